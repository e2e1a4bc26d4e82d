"""What must hold, decided from the histories alone, after the fact. No I/O, no server.

Each check gives its violations as sentences, all of them counted and the first of them kept.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from chaos import clocks, crashes, fencing
from chaos.crashes import DEADLY  # their own crash explains that they ran again
from chaos.history import Account, Fault, Run
from chaos.windows import Windows

#: Violations of one invariant that are kept word for word.
SHOWN = 20
SECOND_NS = 1_000_000_000
#: Decisions after which a job has ended.
TERMINAL = frozenset({"completed", "dead", "cancelled"})
#: How long after a fault a duplicate may still be its doing, beyond the lease; and how long before it, since
#: an end is told a moment before its line is written.
SLACK_NS, EARLIER_NS = 3 * SECOND_NS, SECOND_NS // 2
#: A job that waits for so long while a worker does nothing says that something is wrong.
WAITED_NS = 3 * SECOND_NS
#: What those faults are called that the processes they name do not outlive.
ENDING = ("kill child", "kill supervisor", "kill tree", "rolling restart")
#: Runs that a job of each kind has by itself.
PLANNED = {"fails": 3, "shaky": 2}


@dataclass(frozen=True, kw_only=True)
class Final:
    """What the server said at the very end, when everybody had left."""

    counts: Mapping[str, int]
    dead: frozenset[str] = frozenset()  # ids in the dead letters
    facts: Mapping[str, str] = field(default_factory=dict)  # id -> state it ended in
    leftovers: tuple[str, ...] = ()  # keys and consumers that should be gone
    problems: tuple[str, ...] = ()  # what verify found
    lost_data: bool = False  # the server was allowed to lose what it had acknowledged
    loss_window_s: float | None = None  # but only of so long before a fault that struck everybody
    #: Names of faults around which it was: what it had acknowledged from a second before to a second behind.
    lossy: frozenset[str] = frozenset()
    undone: frozenset[str] = frozenset()  # and those around which it was allowed to forget how a job ended


@dataclass(slots=True)
class Verdict:
    """What the checker found."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)  # name of a fault -> extra executions

    def violate(self, invariant: str, sentence: str) -> None:
        self.counts[f"{invariant} violations"] += 1
        kept = self.violations.setdefault(invariant, [])
        if len(kept) < SHOWN:
            kept.append(sentence)

    @property
    def good(self) -> bool:
        return not self.violations


def check(account: Account, final: Final, *, lease_ms: int) -> Verdict:
    """Hold a run to every invariant that its features know."""
    verdict = Verdict()
    lease_ns = lease_ms * 1_000_000
    _no_loss(account, final, verdict)
    _no_false_end(account, final, verdict)
    _no_phantom(account, verdict)
    _duplicates(account, verdict, lease_ns)
    faithful = not (final.lost_data or final.lossy or final.undone)
    if faithful:
        fencing.reclaimed_workers(account, verdict.violate)
        crashes.buried(account, final.dead, verdict.violate)
        crashes.raised(account, verdict.violate)
    _fencing(account, final, verdict)
    _attempts(account, verdict)
    crashes.charged(account, verdict.violate)
    _liveness(account, verdict, lease_ns)
    _answers(account, verdict)
    _delays(account, verdict)
    for name in ("waiting", "active", "scheduled", "workers", "replies"):
        if final.counts.get(name, 0) and not final.lost_data:
            verdict.violate("I13", f"{final.counts[name]} are still {name}")
    for what in (*final.leftovers, *final.problems):
        verdict.violate("I13", what)
    verdict.counts["enqueued"] = sum(how == "ok" for how in account.enqueued.values())
    verdict.counts["unknown"] = sum(how == "unknown" for how in account.enqueued.values())
    verdict.counts["runs"] = sum(map(len, account.runs.values()))
    verdict.counts["stale ends"] = sum(map(len, account.gone.values())) + account.thrown
    verdict.counts["leases lost"] = len(account.lost)
    return verdict


def id_of(account: Account, n: int) -> str | None:
    """The id of a job; None when nobody was told it."""
    return account.made_ids.get(n) or (account.runs[n][0].id if n in account.runs else f"own-{n}")


def _ended(account: Account, final: Final, job_id: str) -> bool:
    accepted = account.accepted.get(job_id, ())
    return any(one.decision in TERMINAL for one in accepted) or job_id in final.facts or job_id in final.dead


def _no_loss(account: Account, final: Final, verdict: Verdict) -> None:
    """I1: what was enqueued has ended."""
    windows = Windows.around(account, final.lossy)
    for n, how in account.enqueued.items():
        job_id = id_of(account, n)
        if how != "ok" or job_id is None or _ended(account, final, job_id):
            continue
        if windows.hold(account.ok_ns.get(n, 0)):
            verdict.counts["lost in the window"] += 1
            continue
        verdict.counts["lost"] += 1
        if not final.lost_data or not _in_window(account, n, final.loss_window_s):
            runs = len(account.runs.get(n, ()))
            verdict.violate("I1", f"job {n} ({job_id}) was enqueued, ran {runs} times and never ended")


def _in_window(account: Account, n: int, window_s: float | None) -> bool:
    """Whether a job was enqueued so shortly before a fault of everybody's that it may be lost."""
    if window_s is None:
        return True
    tried_ns = account.tried_ns[n]
    return any(
        tried_ns - SECOND_NS / 2 < fault.begin_ns < tried_ns + window_s * SECOND_NS
        for fault in account.faults
        if fault.pids is None
    )


def _no_false_end(account: Account, final: Final, verdict: Verdict) -> None:
    """I1: what is said to be completed has run to its end."""
    completed = {
        job_id
        for job_id, accepted in account.accepted.items()
        if any(one.decision == "completed" for one in accepted)
    }
    completed |= {job_id for job_id, state in final.facts.items() if state == "completed"}
    done = {run.id for runs in account.runs.values() for run in runs if run.how == "done"}
    for job_id in sorted(completed - done):
        verdict.violate("I1", f"job {job_id} is completed, and no run of it came to its end")


def _no_phantom(account: Account, verdict: Verdict) -> None:
    """I2: nothing runs that nobody tried to enqueue, and one enqueue makes one job."""
    for n, runs in account.runs.items():
        if n not in account.tried_ns:
            verdict.violate("I2", f"job {n} ran and nobody enqueued it")
        if len(ids := {run.id for run in runs}) > 1:
            verdict.violate(
                "I2", f"job {n} was enqueued once and is {len(ids)} jobs: {', '.join(sorted(ids))}"
            )


def _extra(account: Account) -> Iterator[tuple[int, Run, Run]]:
    """Pairs of runs of which the second should not have been needed."""
    for n, runs in account.runs.items():
        for before, after in pairwise(runs):
            if after.attempt <= before.attempt:  # a planned run more has an attempt more
                yield n, before, after


def _duplicates(account: Account, verdict: Verdict, lease_ns: int) -> None:
    """I3: each execution more has a fault that touched the run before it."""
    deaths = _deaths(account)
    for n, before, after in _extra(account):
        if before.kind in DEADLY:
            verdict.counts["poison runs"] += 1
            continue
        verdict.counts["extra runs"] += 1
        if before.how == "done":
            verdict.counts["done twice"] += 1
        fault = _cause(account, before, after, lease_ns)
        if fault is None and any(at_ns < after.start_ns for at_ns in deaths[before.pid]):
            verdict.explained["a neighbour's poison"] += 1
        elif fault is None:
            how = before.how or "without an end"
            verdict.violate(
                "I3",
                f"job {n} ({after.kind}, {after.id}) ran in {before.pid} ({how}) and again in {after.pid} "
                f"{(after.start_ns - before.start_ns) / SECOND_NS:.3f} s later, at {after.start_ns}",
            )
        else:
            verdict.explained[fault.name] += 1


def _deaths(account: Account) -> Mapping[int, list[int]]:
    """pid -> when a handler that takes its process with it began there: others may begin until it is done."""
    deaths = defaultdict[int, list[int]](list)
    for runs in account.runs.values():
        for run in runs:
            if run.kind in DEADLY:
                deaths[run.pid].append(run.start_ns)
    return deaths


def _cause(account: Account, before: Run, after: Run, lease_ns: int) -> Fault | None:
    pids = {before.pid, account.trees.get(before.pid, 0)}
    if after.token < before.token:  # it had been delivered there before, and began late
        pids |= {after.pid, account.trees.get(after.pid, 0)}
    for fault in account.faults:
        if fault.begin_ns > after.start_ns:
            break
        over_ns = (fault.end_ns or fault.begin_ns) + lease_ns + SLACK_NS
        if over_ns > before.start_ns and any(map(fault.touches, pids)):
            return fault
    return None


def _fencing(account: Account, final: Final, verdict: Verdict) -> None:
    """I4: one accepted end a job, and none from a run that another one had followed.

    An end that a failover may have taken back does not count.
    """
    windows = Windows.around(account, final.undone)
    by_id = defaultdict[str, list[Run]](list)
    for runs in account.runs.values():
        for run in runs:
            by_id[run.id].append(run)
    for job_id, accepted in account.accepted.items():
        ends = [one for one in accepted if one.decision in TERMINAL and not windows.hold(one.at_ns)]
        if len(ends) > 1 and not final.lost_data:
            told = ", ".join(f"{one.decision} by {one.pid}" for one in ends)
            verdict.violate("I4", f"job {job_id} ended {len(ends)} times: {told}")
        for end in ends:
            own = [run.token for run in by_id[job_id] if run.pid == end.pid and run.start_ns <= end.at_ns]
            newest = max((run.token for run in by_id[job_id]), default=0)
            # A worker that stood still may begin late what had been taken from it: with an older token.
            if own and max(own) < newest and not final.lost_data:
                verdict.violate(
                    "I4", f"job {job_id}: the end of delivery {max(own)} was accepted, and {newest} ran"
                )
    for job_id, every in by_id.items():
        tokens = [run.token for run in every]
        if len(set(tokens)) < len(tokens):
            verdict.violate("I4", f"job {job_id} ran twice under one token: {tokens}")


def _attempts(account: Account, verdict: Verdict) -> None:
    """I6: a run is charged for what the handler raised, and for nothing else."""
    for n, runs in account.runs.items():
        most = PLANNED.get(runs[0].kind, 1)
        if any(run.attempt > most for run in runs):
            verdict.violate("I6", f"job {n} ({runs[0].kind}) ran as attempt {max(r.attempt for r in runs)}")


def _liveness(account: Account, verdict: Verdict, lease_ns: int) -> None:
    """I12: a worker that nothing is done to ends jobs while some wait, also between two faults."""
    ends = defaultdict[int, list[int]](list)
    for runs in account.runs.values():
        for run in runs:
            if run.end_ns is not None:
                ends[account.trees.get(run.pid, run.pid)].append(run.end_ns)
    busy_until = next((at_ns for at_ns, name in account.phases if name == "drain"), 0)
    patience_ns = lease_ns + 5 * SECOND_NS
    waits = _long_waits(account)
    for tree, times in ends.items():
        times.sort()
        struck = [fault for fault in account.faults if _touches_tree(account, fault, tree)]
        deaths = [f.begin_ns for f in struck if f.name.startswith(ENDING) and tree in (f.pids or ())]
        last_ns = min([busy_until, *deaths])
        _recoveries(verdict, times, struck, min(last_ns, times[-1]))
        for begin, end in pairwise([*(at_ns for at_ns in times if at_ns < last_ns), last_ns]):
            if end - begin <= patience_ns:
                continue
            # What was done to it meanwhile does not count, however often it was done.
            own_ns = end - begin - sum(_overlap(begin, end, f.begin_ns, f.end_ns or end) for f in struck)
            if own_ns > patience_ns and any(_overlap(begin, end, *wait) > WAITED_NS for wait in waits):
                told = f"worker {tree} ended no job for {own_ns / SECOND_NS:.1f} s in which nothing was done to it"
                verdict.violate("I12", f"{told}, from {begin} on, though jobs waited")


def _recoveries(verdict: Verdict, times: list[int], struck: list[Fault], last_ns: int) -> None:
    """How long after each fault it took until the worker ended a job again."""
    for fault in struck:
        if fault.end_ns is None or not times[0] < fault.begin_ns or fault.end_ns >= last_ns:
            continue
        took_ms = (times[bisect.bisect(times, fault.end_ns)] - fault.end_ns) // 1_000_000
        verdict.counts["recoveries"] += 1
        verdict.counts["slowest recovery ms"] = max(verdict.counts["slowest recovery ms"], took_ms)


def _overlap(begin: int, end: int, other_begin: int, other_end: int) -> int:
    return max(0, min(end, other_end) - max(begin, other_begin))


def _touches_tree(account: Account, fault: Fault, tree: int) -> bool:
    return fault.touches(tree) or any(account.trees.get(pid) == tree for pid in fault.pids or ())


def _long_waits(account: Account) -> list[tuple[int, int]]:
    """From when to when jobs waited that waited long."""
    first = ((account.tried_ns.get(n, 0), runs[0].start_ns) for n, runs in account.runs.items())
    return [(begin, end) for begin, end in first if end - begin > WAITED_NS]


def _answers(account: Account, verdict: Verdict) -> None:
    """I14: who waits gets the value of that job, an error or a timeout."""
    verdict.counts["answers"] = len(account.answers)
    verdict.counts["no answer"] = sum(how == "none" for how, _ in account.answers.values())
    for n, (how, job_id) in account.answers.items():
        if how == "wrong":
            verdict.violate("I14", f"who waited for job {n} ({job_id}) got another value")


def _delays(account: Account, verdict: Verdict) -> None:
    """I10: nothing runs before it is due."""
    for n, missing_s in clocks.early(account):
        verdict.violate("I10", f"job {n} ran {missing_s:.3f} s before it was due by the server's clock")
