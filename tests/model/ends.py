"""What the end of a job leaves behind: facts, results, replies, ids that stay taken, marks; and the counters."""

from collections import Counter
from dataclasses import dataclass, field

from homing.engines.engine import SETTINGS
from homing.job import JobRecord, State
from tests.conformance.jobs import MINUTE_MS

FOREVER = float("inf")
ACQUITTALS_MAX = 8


@dataclass(slots=True)
class Marks:
    crashes: int = 0
    suspicions: int = 0
    acquittals: int = 0

    @property
    def suspect(self) -> bool:
        return self.crashes + self.suspicions >= 2

    def condemned(self, crash_max: int) -> bool:
        return self.crashes >= crash_max or self.crashes + self.suspicions >= crash_max + 2


@dataclass
class Beside:
    """All that stands beside the jobs of a queue."""

    queue: str
    settings: dict[str, int] = field(default_factory=lambda: dict(SETTINGS))
    ids: dict[str, float] = field(default_factory=dict)  # a caller's id -> until when it is taken
    marks: dict[str, Marks] = field(default_factory=dict)
    waiters: dict[str, list[str]] = field(default_factory=dict)  # job id -> processes
    told: dict[str, list[str]] = field(default_factory=dict)  # process -> what it was told
    facts: dict[str, tuple[State, int, bool]] = field(default_factory=dict)
    facts_old: dict[str, tuple[State, int, bool]] = field(default_factory=dict)
    results: dict[str, tuple[State, bytes]] = field(default_factory=dict)
    result_ids: list[str] = field(default_factory=list)  # oldest first
    statistics: dict[int, Counter[str]] = field(default_factory=dict)

    def count(self, now_ms: int, **counters: int) -> None:
        minute = self.statistics.setdefault(now_ms // MINUTE_MS, Counter())
        minute.update({name: number for name, number in counters.items() if number})

    def suspect(self, job_id: str) -> bool:
        return job_id in self.marks and self.marks[job_id].suspect

    def mark(self, job_id: str, *, seen: bool) -> None:
        """Mark a job for the end of its worker."""
        one = self.marks.setdefault(job_id, Marks())
        if seen:
            one.crashes += 1
        else:
            one.suspicions += 1

    def acquit(self, job_id: str) -> bool:
        """Take a suspicion back. Returns whether there was one."""
        one = self.marks.get(job_id)
        if one is None or not one.suspicions or one.acquittals == ACQUITTALS_MAX:
            return False
        one.suspicions -= 1
        one.acquittals += 1
        return True

    def release(self, job_id: str, until_ms: float) -> None:
        """A caller's id stays taken for a while after its job; the marks go with the job."""
        if job_id in self.ids:
            self.ids[job_id] = until_ms
        self.marks.pop(job_id, None)

    def reply(self, job_id: str, state: str, body: bytes) -> bool:
        processes = self.waiters.pop(job_id, [])
        for process in processes:
            self.told.setdefault(process, []).append(f"{job_id}\n{state}\n{body.decode()}")
        return bool(processes)

    def follow(self, job_id: str, process: str) -> None:
        processes = self.waiters.setdefault(job_id, [])
        if process not in processes:
            processes.append(process)

    def finish(self, ends: list[tuple[str, State, bytes]], now_ms: int, *, lean: bool) -> None:
        """Jobs that completed or were cancelled, together."""
        told = [end for end in ends if self.reply(*end) or end[2]]
        if told and not lean:
            self._keep_results(told)
        for job_id, _, _ in ends:
            self.release(job_id, now_ms + self.settings["id_ttl_ms"])
        if lean or not ends:
            return
        for job_id, state, body in ends:
            self.facts[job_id] = (state, now_ms, bool(body))
            if job_id in self.ids:  # only of a chosen id it is looked for
                self.facts_old.pop(job_id, None)
        if len(self.facts) >= self.settings["facts_max"]:
            self.facts, self.facts_old = {}, self.facts

    def _keep_results(self, ends: list[tuple[str, State, bytes]]) -> None:
        most = self.settings["result_max"]
        if self.settings["result_ttl_ms"] <= 0 or most <= 0:
            return
        kept = [*((job_id, None) for job_id in self.result_ids), *((end[0], end[1:]) for end in ends)]
        gone = min(max(len(kept) - most, 0), 2 * len(ends))
        for job_id, _ in kept[:gone]:
            self.results.pop(job_id, None)
        self.result_ids = [job_id for job_id, _ in kept[gone:]]
        self.results |= {job_id: end for job_id, end in kept[gone:] if end}

    def ended(self, job_id: str) -> JobRecord | None:
        """What is still known of a job that ended."""
        fact = self.facts.get(job_id) or self.facts_old.get(job_id)
        result = self.results.get(job_id)
        if fact is None and result is None:
            return None
        return JobRecord(
            id=job_id,
            queue=self.queue,
            state=fact[0] if fact else result[0],  # type: ignore[index]
            ended_ms=fact[1] if fact else None,
            returned=fact[2] if fact else False,
            result=result[1] if result else None,
        )

    def forget(self, job_id: str) -> None:
        """All traces of an end."""
        for kept in (self.facts, self.facts_old, self.results, self.marks, self.ids):
            kept.pop(job_id, None)

    def free_ids(self, now_ms: int) -> None:
        for job_id in [one for one, until_ms in self.ids.items() if until_ms <= now_ms]:
            del self.ids[job_id]
