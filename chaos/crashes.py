"""I6, for jobs that died: by what they raised, or with their workers."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping

from chaos.history import Account, Run

Violate = Callable[[str, str], None]
#: Kinds that end in the dead letters by what they raise, or by their time limit.
RAISING = frozenset({"fails", "hungry", "stops", "leaves", "quits", "endless"})
#: Kinds that take their process with them.
DEADLY = frozenset({"exits", "faults", "endless"})
#: Kinds that run in threads.
THREADED = frozenset({"thread", "stops", "hog", "endless", "faults"})


def charged(account: Account, violate: Violate) -> None:
    """A crash is charged to what had started, and to nobody who only waited in the same worker.

    Of each process one job may have been about to write down that it starts; and who waits for a thread
    is said to have started before it has. When a whole tree died nobody saw who ran, and nobody is charged.
    """
    if any(fault.pids is None for fault in account.faults):
        return
    runs_of, too_many = _runs_of(account), dict[str, int]()
    for at_ns, job_id, crashes in account.marks:
        runs = runs_of.get(job_id, ())
        if runs and runs[0].kind not in THREADED:
            starts = sum(run.start_ns < at_ns for run in runs)
            too_many[job_id] = max(too_many.get(job_id, 0), crashes - starts)
    deaths = sum(run.kind in DEADLY for runs in runs_of.values() for run in runs)
    deaths += sum(bool(fault.pids) for fault in account.faults)
    if (charges := sum(too_many.values())) > deaths:
        violate(
            "I6", f"{charges} charges for crashes fell on jobs that had not started, {deaths} processes died"
        )


def raised(account: Account, violate: Violate) -> None:
    """Nobody is buried for what it raised whose handler raises nothing."""
    for job_id, runs in _runs_of(account).items():
        if runs[-1].kind not in RAISING and _raised(account, job_id):
            violate("I6", f"job {job_id} ({runs[-1].kind}) was buried for what it raised")


def _raised(account: Account, job_id: str) -> bool:
    return any(one.decision == "dead" for one in account.accepted.get(job_id, ()))


def buried(account: Account, dead: Collection[str], violate: Violate) -> None:
    """Before a job is buried for crashes it ran alone: its last run had nobody beside it who may be the one."""
    by_pid = defaultdict[int, list[Run]](list)
    for runs in account.runs.values():
        for run in runs:
            by_pid[run.pid].append(run)
    for job_id, runs in _runs_of(account).items():
        last = runs[-1]
        if job_id not in dead or last.kind in RAISING or _raised(account, job_id):
            continue
        beside = sum(run is not last and _overlap(run, last) for run in by_pid[last.pid])
        if beside:
            violate(
                "I6",
                f"job {job_id} ({last.kind}) was buried for a crash that {beside} others may have caused",
            )


def _overlap(one: Run, other: Run) -> bool:
    """A run without an end lasted until its process was gone."""
    return (one.end_ns is None or one.end_ns > other.start_ns) and (
        other.end_ns is None or one.start_ns < other.end_ns
    )


def _runs_of(account: Account) -> Mapping[str, list[Run]]:
    """id -> its runs, in the order of their starts."""
    found = defaultdict[str, list[Run]](list)
    for runs in account.runs.values():
        for run in runs:
            found[run.id].append(run)
    for runs in found.values():
        runs.sort(key=lambda run: run.start_ns)
    return found
