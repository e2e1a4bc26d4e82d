"""The account of every job, kept from the order in which the server ran the commands."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from homing.command import Command
from homing.errors import HomingError, LeaseLost
from homing.job import Claim, Enqueued, Reclaimed, Settled, State
from tests.conformance.driver import Whole

#: How many values each kind of end has in a settlement on streams; on lists there is no entry among them.
WIDTHS = {"ack": 2, "result": 3, "again": 5, "dead": 4, "back": 2, "cancel": 3}
ENDS = frozenset({"ack", "result", "dead", "cancel"})


def _ids(args: Any) -> Iterator[str]:
    """The ids of the jobs that an enqueue brings: in one word with the job, or before it."""
    at = 3
    while at < len(args):
        whole = isinstance(args[at + 3], bytes)
        past = at + 3 + (1 if whole else 2) * int(args[at + 2])
        for one in args[at + 3 : past : 1 if whole else 2]:
            yield one.partition(b" ")[0].decode() if whole else one
        at = past


def _ends(command: Command[Any]) -> Iterator[tuple[str, str, bytes]]:
    """The kind, id and ref of each end that a settlement speaks of."""
    args: Any = command.args
    lists = any(":active:" in key for key in command.keys)
    at = 4
    while at < len(args):
        kind, _, priority, count = args[at : at + 4]
        at += 4
        for _ in range(int(count)):
            job_id, entry = str(args[at]), b"" if lists else bytes(args[at + 1])
            yield (
                kind,
                job_id,
                priority if not entry else entry if priority == b"0" else priority + b"/" + entry,
            )
            at += WIDTHS[kind] - lists


class Wrong(AssertionError):
    """A promise was broken."""


class Account:
    """What happened to each job. Raises Wrong when something may not happen."""

    def __init__(self) -> None:
        self.stored: set[str] = set()
        self.holder: dict[str, str] = {}
        self.fenced: set[str] = set()
        self.deliveries: Counter[tuple[str, str]] = Counter()  # (worker, job)
        self.starts: Counter[tuple[str, str]] = Counter()
        self.ends: Counter[str] = Counter()
        self.accepted: Counter[tuple[str, str]] = Counter()  # settlements of (worker, job), by the server
        self.believed: Counter[tuple[str, str]] = Counter()  # the same, by the worker
        self.replays: Counter[str] = Counter()
        self.removed: set[str] = set()
        self.buried = 0  # by crashes
        self.seen: Counter[str] = Counter()
        self._stored_calls: set[tuple[str, int]] = set()
        self._numbers: Counter[str] = Counter()  # of each worker's last claim or `held`
        self._meant: dict[int, tuple[Command[Any], Counter[tuple[str, str]]]] = {}
        self._refs: dict[str, bytes] = {}  # of the last delivery
        self._tokens: dict[str, int] = defaultdict(int)

    # What was asked, and what the server did.

    def asked(self, command: Command[Any]) -> None:
        """A settle speaks of the deliveries that there are when it is first sent."""
        if command.name == "settle":
            self._meant[id(command)] = (command, self.deliveries.copy())

    def saw(self, command: Command[Any], answer: Any) -> None:
        look = getattr(self, f"_{command.name}", None)
        if look is None:
            return
        if isinstance(answer, LeaseLost):
            worker = str(command.args[1])
            if worker not in self.fenced and any(one == worker for one in self.holder.values()):
                raise Wrong(f"{worker} holds jobs, was not reclaimed, and is refused {command.name}")
        elif not isinstance(answer, HomingError):
            self._running = command
            look(command.args, answer)

    def _enqueue(self, args: Any, answer: list[Enqueued]) -> None:
        ids = list(_ids(args))
        call = (str(args[1]), int(args[2]))
        if call in self._stored_calls:
            return
        self._stored_calls.add(call)
        self.seen["jobs"] += answer.count(Enqueued.STORED)
        self.stored |= {one for one, became in zip(ids, answer, strict=True) if became is Enqueued.STORED}

    def _member(self, args: Any) -> str:
        worker = str(args[1])
        if worker in self.fenced:
            raise Wrong(f"{worker} was reclaimed and is not refused")
        return worker

    def _number(self, worker: str, number: int) -> None:
        if number <= self._numbers[worker]:
            raise Wrong(f"{worker} asks under {number} after {self._numbers[worker]} and is not refused")
        self._numbers[worker] = number

    def _claim(self, args: Any, answer: Claim) -> None:
        worker = self._member(args)
        self._number(worker, int(args[3]))
        for job in answer.jobs:
            if job.id in self.holder:
                raise Wrong(f"{job.id} is held by {self.holder[job.id]} and given to {worker}")
            if job.id in self.removed or self.ends[job.id] > self.replays[job.id]:
                raise Wrong(f"{job.id} has ended and is given to {worker}")
            self.holder[job.id] = worker
            self.deliveries[worker, job.id] += 1
            self.seen["deliveries"] += 1
            self._refs[job.id] = job.ref
            self._token(job.id, job.token)

    def _held(self, args: Any, answer: Claim) -> None:
        worker = self._member(args)
        self._number(worker, int(args[2]))
        for job in answer.jobs:
            if self.holder.get(job.id) != worker:
                raise Wrong(f"{job.id} is held by {self.holder.get(job.id)} and told to {worker}")
            self._token(job.id, job.token)

    def _token(self, job_id: str, token: int) -> None:
        if token <= self._tokens[job_id]:
            raise Wrong(f"{job_id} has the token {token} after {self._tokens[job_id]}")
        self._tokens[job_id] = token

    def _settle(self, args: Any, answer: Settled) -> None:
        worker = self._member(args)
        if answer.repeated:
            self.seen["repeated"] += 1
            return
        for kind, job_id, ref in _ends(self._running):
            mine = self.holder.get(job_id) == worker
            if job_id in answer.refused:
                if mine and ref == self._refs[job_id]:
                    raise Wrong(f"{job_id} is held by {worker}, and what it says is refused")
                self.seen["refused"] += 1
                continue
            if not mine:
                raise Wrong(f"{job_id} is held by {self.holder.get(job_id)}, and {worker} may settle it")
            if self._meant[id(self._running)][1][worker, job_id] != self.deliveries[worker, job_id]:
                raise Wrong(f"{worker} has {job_id} again, and its word about an earlier delivery counts")
            del self.holder[job_id]
            self.accepted[worker, job_id] += 1
            if kind in ENDS:
                self._ended(job_id)

    def _ended(self, job_id: str) -> None:
        self.ends[job_id] += 1
        if self.ends[job_id] > 1 + self.replays[job_id]:
            raise Wrong(f"{job_id} has ended {self.ends[job_id]} times")

    def _reclaim(self, args: Any, answer: Reclaimed) -> None:
        worker = str(args[1])
        if answer.alive:
            return
        mine = [job_id for job_id, holder in self.holder.items() if holder == worker]
        if answer.moved + answer.buried != len(mine):
            raise Wrong(f"{worker} held {mine}, and {answer.moved + answer.buried} came back")
        self.fenced.add(worker)
        self.buried += answer.buried
        self.seen["crashed too often"] += answer.buried
        self.seen[f"reclaimed {args[2]}"] += bool(mine)
        for job_id in mine:
            del self.holder[job_id]

    def _cancel(self, args: Any, answer: State | None) -> None:
        if answer in (State.WAITING, State.SCHEDULED):
            if str(args[1]) in self.holder:
                raise Wrong(f"{args[1]} is held and was cancelled")
            self._ended(str(args[1]))

    def _remove(self, args: Any, answer: State | None) -> None:
        if answer is State.ACTIVE or answer is None:
            return
        if str(args[0]) in self.holder:
            raise Wrong(f"{args[0]} is held and was removed")
        self.removed.add(str(args[0]))

    def _replay(self, args: Any, answer: list[str]) -> None:
        self.replays.update(answer)

    # What the actors did.

    def started(self, worker: str, job_id: str) -> None:
        """A handler begins: once for each delivery."""
        self.starts[worker, job_id] += 1
        if self.starts[worker, job_id] > self.deliveries[worker, job_id]:
            raise Wrong(f"{worker} starts {job_id} more often than it was given it")

    def believes(self, worker: str, job_id: str) -> None:
        """A worker was told that its word about a job counts."""
        self.believed[worker, job_id] += 1

    # The end.

    def close(self, whole: Whole, surely: set[str]) -> None:
        """All is drained: each job that was surely enqueued has one place, and the server is clean."""
        if missing := surely - self.stored:
            raise Wrong(f"enqueued and never stored: {sorted(missing)}")
        ended = [*whole.completed, *whole.cancelled, *whole.dead]
        if twice := {one for one in ended if ended.count(one) > 1}:
            raise Wrong(f"in two places: {sorted(twice)}")
        if lost := self.stored - set(ended) - self.removed:
            raise Wrong(f"lost: {sorted(lost)}")
        if whole.waiting or whole.scheduled or whole.active or self.holder:
            raise Wrong(f"not drained: {whole}")
        if back := {one for one in self.removed if one in ended}:
            raise Wrong(f"removed and there again: {sorted(back)}")
        if whole.problems or whole.strays or whole.missing or whole.taken:
            raise Wrong(f"not clean: {whole}")
        for key, count in self.believed.items():
            if count > self.accepted[key]:
                raise Wrong(f"{key} believes in {count} outcomes, the server took {self.accepted[key]}")
        open_ends = {one for one in self.stored - self.removed if self.ends[one] != 1 + self.replays[one]}
        if len(open_ends) > self.buried:  # what crashed too often ended without a word of a worker
            raise Wrong(f"ended without a cause: {sorted(open_ends)}, crashed too often: {self.buried}")
