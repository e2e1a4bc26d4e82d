"""Keeping leases: one tick a second for all members of this process, and what a tick asks for.

`TickRound` is the body of the loop, used by the supervisor for its children too; `Ticker` is a
thread around it, for workers inside a program and for `Queue.consume`.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from homing import events
from homing.client import Client
from homing.command import Command
from homing.delivery.backoff import backoff_s, now_and_then
from homing.delivery.heart import boot_s
from homing.engines import make
from homing.engines.engine import Engine, EngineName
from homing.errors import HomingError, LeaseLost
from homing.job import Reclaimed, Ticked
from homing.keys import Keys, queues_key

#: A queue's name is written to the set of all queues at its first tick and this often.
ANNOUNCE_S = 60.0
#: A tick comes at least this often, and at least ten times within the shortest lease.
PERIOD_S = 1.0
#: Most further ticks of one round while more is due; the next round goes on.
ROUNDS_MAX = 50

#: What a job that crashed too often is buried with.
CRASHED = json.dumps(
    {
        "type": "WorkerCrashed",
        "message": "the workers that ran this job were lost with it, more often than `crash_max` allows",
        "traceback": "",
        "reason": "crashed",
    }
).encode()


@dataclass(frozen=True, slots=True)
class Members:
    """The workers of one queue whose leases are kept."""

    queue: str
    engine: str
    workers: Sequence[str]


def period_s(lease_ms: int) -> float:
    """Seconds between two ticks for a lease of this length."""
    return min(PERIOD_S, lease_ms / 10_000)


class TickRound:
    """One round: tick every queue in one flight, reclaim who lapsed, again while more is due."""

    def __init__(self, client: Client, *, prefix: str = "homing") -> None:
        self._client = client
        self._prefix = prefix
        self._engines: dict[tuple[str, str], Engine] = {}
        self._announced: dict[str, float] = {}

    def engine(self, queue: str, name: str) -> Engine:
        """The engine of a queue, made once."""
        known = self._engines.get((queue, name))
        if known is None:
            engine_name: EngineName = "lists" if name == "lists" else "streams"
            known = self._engines[queue, name] = make(engine_name, Keys(queue, self._prefix))
        return known

    def beat(self, members: Sequence[Members]) -> dict[str, Ticked | HomingError]:
        """Tick these queues; per queue the first answer's lost and lapsed with the last one's view.

        A lease counts from before this call. Never raises a HomingError: it is the answer of
        the queues that it kept from ticking.
        """
        self._announce([each.queue for each in members])
        started_s = boot_s()
        seen: dict[str, Ticked | HomingError] = {}
        due = list(members)
        for _ in range(ROUNDS_MAX):
            answers = self._tick(due)
            for each, answer in zip(due, answers, strict=True):
                seen[each.queue] = _merge(seen.get(each.queue), answer)
                if isinstance(answer, Ticked):
                    self._reclaim_lapsed(each, answer.lapsed)
            due = [e for e, a in zip(due, answers, strict=True) if isinstance(a, Ticked) and a.more]
            if not due or boot_s() - started_s > PERIOD_S / 2:
                break
        return seen

    def reclaim(self, queue: str, engine: str, worker: str, **how: Any) -> list[Reclaimed]:
        """Give back all a worker holds, a thousand a call. Raises HomingError when a call fails."""
        done: list[Reclaimed] = []
        while not done or done[-1].more:
            command = self.engine(queue, engine).reclaim(worker, error=CRASHED, **how)
            done.append(self._client.run(command))
        return done

    def _tick(self, members: Sequence[Members]) -> Sequence[Ticked | HomingError]:
        try:
            return self._client.run_many(
                [self.engine(each.queue, each.engine).tick(each.workers) for each in members]
            )
        except HomingError as error:
            return [error] * len(members)

    def _reclaim_lapsed(self, members: Members, lapsed: Sequence[str]) -> None:
        for worker in lapsed:
            try:
                done = self.reclaim(members.queue, members.engine, worker, reason="lapsed")
            except HomingError as error:
                # It stays lapsed: the next tick of anybody names it again.
                events.emit(
                    "reclaim_failed", level=logging.WARNING, queue=members.queue, worker=worker, error=error
                )
                continue
            if not done[-1].alive:
                events.emit(
                    "worker_lapsed",
                    level=logging.WARNING,
                    queue=members.queue,
                    worker=worker,
                    moved=sum(each.moved for each in done),
                    buried=sum(each.buried for each in done),
                )

    def _announce(self, queues: Sequence[str]) -> None:
        now_s = boot_s()
        due = [name for name in queues if now_s - self._announced.get(name, -ANNOUNCE_S) >= ANNOUNCE_S]
        if not due:
            return
        key = queues_key(self._prefix)
        try:
            self._client.run(Command(("SADD",), (key,), tuple(due), int))
        except HomingError as error:
            events.emit("announce_failed", level=logging.WARNING, queues=due, error=error)
        else:
            self._announced.update(dict.fromkeys(due, now_s))


def _merge(before: Ticked | HomingError | None, after: Ticked | HomingError) -> Ticked | HomingError:
    if not isinstance(before, Ticked) or not isinstance(after, Ticked):
        return after
    return Ticked(
        now_ms=after.now_ms,
        lost=[*before.lost, *(each for each in after.lost if each not in before.lost)],
        lapsed=[*before.lapsed, *after.lapsed],
        promoted=before.promoted + after.promoted,
        more=after.more,
        due_in_ms=after.due_in_ms,
        waiting=after.waiting,
        alone=after.alone,
    )


@dataclass(slots=True)
class _Member:
    engine: str
    lease_ms: int
    end_s: float
    joined_s: float
    lost: bool = False


@dataclass(slots=True)
class _Board:
    """What the thread writes and everybody reads: single assignments, so no lock is needed to read."""

    members: dict[tuple[str, str], _Member] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)


class Ticker:
    """A Heart with a thread and a connection of its own. A GIL held longer than the lease loses it.

    The thread starts with the first member; `close` ends it and closes the client.
    """

    def __init__(self, client: Client, *, prefix: str = "homing") -> None:
        self._client = client
        self._round = TickRound(client, prefix=prefix)
        self._board = _Board()
        self._lock = threading.Lock()
        #: What the thread is woken by: a member to give back, or None. Safe to put to from a finalizer.
        self._calls: SimpleQueue[tuple[str, str, str] | None] = SimpleQueue()
        self._closed = False
        self._thread: threading.Thread | None = None

    def join(self, queue: str, engine: str, worker: str, lease_ms: int) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("this ticker is closed")
            known = self._board.members.get((queue, worker))
            # The first join came before the register was sent: a lease from there is a safe guess.
            joined_s = known.joined_s if known else boot_s()
            end_s = joined_s + lease_ms / 1_000 if lease_ms else 0.0
            self._board.members[queue, worker] = _Member(engine, lease_ms, end_s, joined_s)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="homing-ticker", daemon=True)
                self._thread.start()
        self._calls.put(None)

    def leave(self, queue: str, worker: str) -> None:
        with self._lock:
            self._board.members.pop((queue, worker), None)

    def abandon(self, queue: str, engine: str, worker: str) -> None:
        """Give back what a member holds, soon and without waiting: who held it can say so no more.

        Takes no lock, so that a finalizer may call it, in whatever thread the garbage is collected.
        """
        self._calls.put((queue, engine, worker))

    def lease_end_s(self, queue: str, worker: str) -> float:
        member = self._board.members.get((queue, worker))
        return 0.0 if member is None or member.lost else member.end_s

    def waiting(self, queue: str) -> int:
        return self._board.waiting.get(queue, 0)

    def alone(self, queue: str) -> int:
        return self._board.alone.get(queue, 0)

    def started(self, slot: int, queue: str, worker: str, job_id: str) -> None:
        """Nobody outlives this process to read it."""

    def ended(self, slot: int) -> None:
        """Nobody outlives this process to read it."""

    def pulse(self, limit_s: float) -> None:
        """Nobody watches this loop."""

    def close(self) -> None:
        """End the thread, wait for it, and close the connection."""
        self._closed = True
        self._calls.put(None)
        if self._thread is not None:
            self._thread.join()
        self._client.close()

    def _run(self) -> None:
        failures = 0
        while not self._closed:
            started_s = boot_s()
            again, failed = self._beat()
            if again:
                continue
            rest_s = self._period_s() - (boot_s() - started_s)
            failures = failures + 1 if failed else 0
            if failures:
                rest_s = min(PERIOD_S, backoff_s(failures))
                if now_and_then(failures):
                    events.emit(
                        "tick_failed", level=logging.WARNING, queues=sorted(failed), error=failed.popitem()[1]
                    )
            self._listen(max(0.0, rest_s))
        self._listen(0.0)

    def _listen(self, rest_s: float) -> None:
        """Rest until somebody calls, and do what all who called ask for."""
        with contextlib.suppress(Empty):
            call = self._calls.get(timeout=rest_s)
            while True:
                if call is not None:
                    self._give_back(*call)
                call = self._calls.get_nowait()

    def _give_back(self, queue: str, engine: str, worker: str) -> None:
        self.leave(queue, worker)
        try:
            self._round.reclaim(queue, engine, worker, reason="left")
        except LeaseLost:
            pass  # others were quicker
        except HomingError as error:
            # Nobody keeps its lease any more: it lapses, and others give back what it held.
            events.emit("leave_failed", level=logging.WARNING, queue=queue, worker=worker, error=error)

    def _period_s(self) -> float:
        leases = [each.lease_ms for each in list(self._board.members.values()) if each.lease_ms]
        return period_s(min(leases, default=10_000))

    def _beat(self) -> tuple[bool, dict[str, HomingError]]:
        """Tick all members once; returns whether more is due, and the queues that failed."""
        with self._lock:
            held = {key: each for key, each in self._board.members.items() if each.lease_ms and not each.lost}
        by_queue: dict[str, Members] = {}
        for (queue, worker), member in held.items():
            known = by_queue.setdefault(queue, Members(queue, member.engine, []))
            by_queue[queue] = Members(queue, known.engine, [*known.workers, worker])
        if not by_queue:
            return False, {}
        sent_s = boot_s()
        answers = self._round.beat(list(by_queue.values()))
        more, failed = False, dict[str, HomingError]()
        for queue, answer in answers.items():
            if isinstance(answer, Ticked):
                more = more or answer.more
                self._note(queue, answer, held, sent_s)
            else:
                failed[queue] = answer
        return more, failed

    def _note(
        self, queue: str, ticked: Ticked, held: Mapping[tuple[str, str], _Member], sent_s: float
    ) -> None:
        self._board.waiting[queue] = ticked.waiting
        self._board.alone[queue] = ticked.alone
        for (of_queue, worker), member in held.items():
            if of_queue != queue:
                continue
            if worker in ticked.lost:
                member.lost = True  # who holds it learns so at its next look, and tells
            else:
                member.end_s = max(member.end_s, sent_s + member.lease_ms / 1_000)
