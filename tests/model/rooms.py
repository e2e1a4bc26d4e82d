"""Where jobs wait, in the order of claiming: the only thing in which the two engines may differ.

Both give the highest priority first, within it what was handed back first, then the oldest; a suspect
comes alone, to a worker that holds nothing. What the contract leaves open, and each engine answers in
its own way:

- *what was handed back in several calls*: the last call first (lists), the oldest job first (streams);
- *a suspect whose retry is due*: waits apart at once (lists), or when its turn comes (streams);
- *a settlement of an earlier delivery* of a job that the same worker holds again: accepted unless it is
  numbered (lists), refused (streams).
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from homing.job import State


@dataclass(eq=False, slots=True)
class Job:
    """A job that has not ended, or is dead."""

    id: str
    task: str = ""
    payload: bytes = b""
    fields: dict[str, str] | None = None
    meta: bytes = b""
    priority: int = 0
    attempt: int = 0
    state: State = State.WAITING
    due_ms: int | None = None
    worker: str = ""
    dead_ms: int | None = None
    error: bytes = b""
    serial: int = 0  # of the time it last became waiting: names its delivery, whoever hands it back
    queued: str = "new"  # streams: new, returned, alone


@dataclass(slots=True)
class Taken:
    """What a claim takes out of a room."""

    jobs: list[Job] = field(default_factory=list)
    alone: bool = False
    put_apart: bool = False  # suspects were found on the way, and wait apart now


class Room(Protocol):
    """Where the jobs of one queue wait. `priorities` are those the queue knows, highest first."""

    #: Whether a settlement must name the delivery that its worker holds.
    strict_refs: bool

    def arrive(self, job: Job) -> None:
        """A job that was not here: new, replayed, or another program's."""

    def due(self, job: Job, *, suspect: bool) -> None:
        """A scheduled job's time has come."""

    def back(self, jobs: list[Job], suspect: Callable[[str], bool]) -> None:
        """Jobs come back, the oldest first."""

    def take(self, limit: int, priorities: list[int], *, idle: bool, suspect: Callable[[str], bool]) -> Taken:
        """Take up to `limit` jobs, or one suspect when the worker is idle."""

    def drop(self, job: Job) -> None:
        """A waiting job leaves."""

    def free(self, job: Job) -> bool:
        """A waiting job is no suspect any more. Returns whether it waited apart."""

    def order(self, priorities: list[int]) -> list[Job]:
        """All that may be claimed, in the order of claiming, suspects first."""

    def apart(self, priorities: list[int]) -> int:
        """How many suspects wait apart."""

    def found(self) -> set[int]:
        """The priorities that somebody who looks at the keys finds."""

    def held(self, jobs: Iterable[Job], priorities: list[int]) -> list[Job]:
        """Jobs of one worker, given in the order of their claims, in the order in which they are told."""

    def reclaimed(self, jobs: list[Job], priorities: list[int]) -> list[Job]:
        """The order in which the jobs of a dead worker are looked at."""


class ListsRoom:
    """A list for each priority and one for suspects; jobs are taken at the right end."""

    strict_refs = False

    def __init__(self) -> None:
        self._alone: deque[Job] = deque()
        self._waiting: dict[int, deque[Job]] = {}

    def _list(self, priority: int) -> deque[Job]:
        return self._waiting.setdefault(priority, deque())

    def arrive(self, job: Job) -> None:
        self._list(job.priority).appendleft(job)

    def due(self, job: Job, *, suspect: bool) -> None:
        (self._alone if suspect else self._list(job.priority)).appendleft(job)

    def back(self, jobs: list[Job], suspect: Callable[[str], bool]) -> None:
        for job in reversed(jobs):
            (self._alone if suspect(job.id) else self._list(job.priority)).append(job)

    def take(self, limit: int, priorities: list[int], *, idle: bool, suspect: Callable[[str], bool]) -> Taken:
        if limit and idle and self._alone:
            return Taken([self._alone.pop()], alone=True)
        jobs: list[Job] = []
        for priority in priorities:
            while len(jobs) < limit and self._list(priority):
                jobs.append(self._list(priority).pop())
        return Taken(jobs)

    def drop(self, job: Job) -> None:
        (self._alone if job in self._alone else self._list(job.priority)).remove(job)

    def free(self, job: Job) -> bool:
        apart = job in self._alone
        if apart:
            self._alone.remove(job)
            self._list(job.priority).append(job)
        return apart

    def order(self, priorities: list[int]) -> list[Job]:
        lists = [self._alone, *(self._list(priority) for priority in priorities)]
        return [job for one in lists for job in reversed(one)]

    def apart(self, priorities: list[int]) -> int:
        return len(self._alone)

    def found(self) -> set[int]:
        return {priority for priority, jobs in self._waiting.items() if jobs}

    def held(self, jobs: Iterable[Job], priorities: list[int]) -> list[Job]:
        return list(jobs)

    def reclaimed(self, jobs: list[Job], priorities: list[int]) -> list[Job]:
        return jobs[::-1]


class StreamsRoom:
    """A stream for each priority: a job that comes back keeps its place in it."""

    strict_refs = True

    def __init__(self) -> None:
        self._waiting: dict[int, list[Job]] = {}  # by serial

    def _of(self, priorities: list[int], queued: str) -> list[Job]:
        return [
            job for priority in priorities for job in self._waiting.get(priority, ()) if job.queued == queued
        ]

    def _put(self, job: Job, queued: str) -> None:
        job.queued = queued
        stream = self._waiting.setdefault(job.priority, [])
        stream.append(job)
        stream.sort(key=lambda one: one.serial)

    def arrive(self, job: Job) -> None:
        self._put(job, "new")

    def due(self, job: Job, *, suspect: bool) -> None:
        self._put(job, "new")

    def back(self, jobs: list[Job], suspect: Callable[[str], bool]) -> None:
        for job in jobs:
            self._put(job, "alone" if suspect(job.id) else "returned")

    def _take_alone(self, priorities: list[int], taken: Taken) -> None:
        if alone := self._of(priorities, "alone"):
            self.drop(alone[0])
            taken.jobs, taken.alone = [alone[0]], True

    def take(self, limit: int, priorities: list[int], *, idle: bool, suspect: Callable[[str], bool]) -> Taken:
        taken = Taken()
        if limit and idle:
            self._take_alone(priorities, taken)
            if taken.alone:
                return taken
        for priority in priorities:
            for job in [*self._of([priority], "returned"), *self._of([priority], "new")]:
                if len(taken.jobs) == limit:
                    break
                if job.queued == "new" and suspect(job.id):
                    job.queued = "alone"
                    taken.put_apart = True
                    continue
                self.drop(job)
                taken.jobs.append(job)
        if limit and idle and taken.put_apart and not taken.jobs:
            self._take_alone(priorities, taken)
        return taken

    def drop(self, job: Job) -> None:
        self._waiting[job.priority].remove(job)

    def free(self, job: Job) -> bool:
        apart = job.queued == "alone"
        if apart:
            job.queued = "returned"
        return apart

    def order(self, priorities: list[int]) -> list[Job]:
        found = self._of(priorities, "alone")
        for priority in priorities:
            found += self._of([priority], "returned") + self._of([priority], "new")
        return found

    def apart(self, priorities: list[int]) -> int:
        return len(self._of(priorities, "alone"))

    def found(self) -> set[int]:
        return set(self._waiting)  # an empty stream stays

    def held(self, jobs: Iterable[Job], priorities: list[int]) -> list[Job]:
        rank = {priority: place for place, priority in enumerate(priorities)}
        return sorted(jobs, key=lambda job: (rank[job.priority], job.serial))

    def reclaimed(self, jobs: list[Job], priorities: list[int]) -> list[Job]:
        return self.held(jobs, priorities)
