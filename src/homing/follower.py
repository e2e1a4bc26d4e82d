"""Waiting for the ends of jobs: one blocking reader per process and queue serves all who wait."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from homing import ids
from homing.command import Command
from homing.errors import HomingError
from homing.handle import End, end_of, not_found
from homing.job import JobRecord, State
from homing.sender import Sender
from homing.steps import Steps, run

if TYPE_CHECKING:
    import asyncio

#: One blocking read of the reply list.
BLOCK_S = 1.0
#: A waiter looks at the stored end by itself after this long, then half as often each time.
LOOK_FIRST_S, LOOK_MAX_S = 1.0, 15.0

Waiter = TypeVar("Waiter")


class Waiters(Generic[Waiter]):
    """Who waits for which job. Pure."""

    def __init__(self) -> None:
        self._by_id: defaultdict[str, list[Waiter]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def first(self) -> Waiter | None:
        """One of those who wait, None when nobody does."""
        return next((waiters[0] for waiters in self._by_id.values()), None)

    def add(self, job_id: str, waiter: Waiter) -> None:
        self._by_id[job_id].append(waiter)

    def remove(self, job_id: str, waiter: Waiter) -> None:
        if waiter in self._by_id.get(job_id, ()):
            self._by_id[job_id].remove(waiter)
            if not self._by_id[job_id]:
                del self._by_id[job_id]

    def take(self, job_id: str) -> list[Waiter]:
        return self._by_id.pop(job_id, [])


def told(item: bytes) -> tuple[str, End]:
    """One item of a reply list: id, state and body, a line each."""
    job_id, state, body = item.split(b"\n", 2)
    return job_id.decode(), End(State(state.decode()), body)


class Asking:
    """The questions both followers put, as procedures."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        #: Names this reader's reply list.
        self.process = ids.new_id()

    def follow(self, job_ids: list[str]) -> Steps[list[JobRecord | None]]:
        engine = yield from self.sender.opened()
        return (yield from run(engine.follow(job_ids, process=self.process)))

    def command(self, job_ids: list[str]) -> Command[list[JobRecord | None]] | None:
        """All that `follow` does once the queue's engine is known, None before."""
        engine = self.sender.link.engines.get(self.sender.name)
        return None if engine is None else engine.follow(job_ids, process=self.process)

    def look(self, job_id: str) -> Steps[End | None]:
        engine = yield from self.sender.opened()
        return self.read(job_id, (yield from run(engine.job(job_id))))

    def read(self, job_id: str, record: JobRecord | None) -> End | None:
        if record is None:
            raise not_found(f"{self.sender.name}/{job_id}")
        return end_of(record)

    @property
    def key(self) -> str:
        return self.sender.keys.reply(self.process)


def _looks() -> Iterable[float]:
    pause_s = LOOK_FIRST_S
    while True:
        yield pause_s * random.uniform(0.9, 1.1)
        pause_s = min(pause_s * 2, LOOK_MAX_S)


class _Ear:
    """One waiting thread. It is woken when its job's end is told, or when it is its turn to read."""

    __slots__ = ("end", "woken")

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.end: End | None = None


class Follower:
    """For threads: one of those that wait reads for all. Its own end needs no other thread to wake it."""

    def __init__(self, sender: Sender) -> None:
        self._asking = Asking(sender)
        self._link = sender.link
        self._lock = threading.Lock()
        self._waiters: Waiters[_Ear] = Waiters()
        self._reading = False
        self._closed = threading.Event()

    def end(self, job_id: str, timeout: float | None) -> End | None:
        """Wait until the job has ended; None after `timeout` seconds. Raises JobNotFound.

        A server looks at who is blocked ten times a second: the None may come a tenth of a second late.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        ear = _Ear()
        with self._lock:
            self._waiters.add(job_id, ear)
        try:
            [record] = self._follow(job_id)
            end = self._asking.read(job_id, record)
            return self._listen(job_id, ear, deadline) if end is None else end
        finally:
            with self._lock:
                self._waiters.remove(job_id, ear)
                self._call_reader()

    def _follow(self, job_id: str) -> list[JobRecord | None]:
        link = self._link
        command = self._asking.command([job_id])
        return link.do(self._asking.follow([job_id])) if command is None else link.client.run(command)

    def _listen(self, job_id: str, ear: _Ear, deadline: float | None) -> End | None:
        for pause_s in _looks():
            until = time.monotonic() + pause_s
            if (end := self._hear(ear, until if deadline is None else min(until, deadline))) is not None:
                return end
            if (end := self._link.do(self._asking.look(job_id))) is not None:
                return end
            if deadline is not None and time.monotonic() >= deadline:
                break
        return None

    def _hear(self, ear: _Ear, until: float) -> End | None:
        """What is told of its job, None when nothing was by then. Reads itself when nobody does."""
        while ear.end is None and (left_s := until - time.monotonic()) > 0:
            if not self._take_turn():
                ear.woken.wait(left_s)
                ear.woken.clear()  # an end is there before it is told of
                continue
            try:
                self._read(min(left_s, BLOCK_S))
            finally:
                with self._lock:
                    self._reading = False
        return ear.end

    def _take_turn(self) -> bool:
        with self._lock:
            if self._reading or self._closed.is_set():
                return False
            self._reading = True
            return True

    def _call_reader(self) -> None:
        """Who was reading, or was to read, has gone: another one's turn."""
        if not self._reading and (ear := self._waiters.first()) is not None:
            ear.woken.set()

    def _read(self, block_s: float) -> None:
        try:
            item = self._link.client.pop(self._asking.key, block_s)
        except HomingError:
            # Every waiter looks at the stored end by itself meanwhile, and is told the error there.
            self._closed.wait(min(block_s, random.uniform(0.1, 1.0)))
            return
        if item is not None:
            job_id, end = told(item)
            with self._lock:
                ears = self._waiters.take(job_id)
            for ear in ears:
                ear.end = end
                ear.woken.set()

    def close(self) -> None:
        """Nobody reads any more, within one block; who still waits goes on by looking."""
        self._closed.set()


class AsyncFollower:
    """For one event loop: the reader is a task that lives while somebody waits."""

    def __init__(self, sender: Sender) -> None:
        from homing.coalescer import Coalescer

        self._asking = Asking(sender)
        self._link = sender.link
        self._waiters: Waiters[asyncio.Future[End | None]] = Waiters()
        self._reader: asyncio.Task[None] | None = None
        self._follows: Coalescer[str, JobRecord | None] = Coalescer(self._follow, _thousands, ahead=True)

    async def end(self, job_id: str, timeout: float | None) -> End | None:  # noqa: ASYNC109 - the caller's
        """As `Follower.end`; questions of the same tick of the loop share a round trip."""
        import asyncio

        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        ear: asyncio.Future[End | None] = loop.create_future()
        self._waiters.add(job_id, ear)
        try:
            end = self._asking.read(job_id, await self._follows.add(job_id))
            if end is not None:
                return end
            for pause_s in _looks():
                self._read()
                left_s = pause_s if deadline is None else min(pause_s, deadline - loop.time())
                if (end := await _heard(ear, left_s)) is not None:
                    return end
                self._waiters.remove(job_id, ear)
                ear = loop.create_future()
                self._waiters.add(job_id, ear)
                if (end := await self._link.ado(self._asking.look(job_id))) is not None:
                    return end
                if deadline is not None and loop.time() >= deadline:
                    break
        finally:
            self._waiters.remove(job_id, ear)
        return None

    async def _follow(self, job_ids: list[str]) -> list[JobRecord | Exception | None]:
        link = self._link
        command = self._asking.command(job_ids)
        if command is None:
            return [*(await link.ado(self._asking.follow(job_ids)))]
        return [*(await link.aclient.run(command))]

    def _read(self) -> None:
        import asyncio

        if self._reader is None or self._reader.done():
            self._reader = asyncio.get_running_loop().create_task(self._work(), name="homing-replies")

    async def _work(self) -> None:
        import asyncio

        client = self._link.aclient
        while self._waiters:
            try:
                item = await client.pop(self._asking.key, BLOCK_S)
            except HomingError:
                # Every waiter looks at the stored end by itself meanwhile, and is told the error there.
                await asyncio.sleep(random.uniform(0.1, 1.0))
                continue
            if item is None:
                continue
            job_id, end = told(item)
            for ear in self._waiters.take(job_id):
                if not ear.done():
                    ear.set_result(end)

    def close(self) -> None:
        """The reader ends by itself once nobody waits."""


async def _heard(ear: "asyncio.Future[End | None]", timeout_s: float) -> End | None:
    """What is told, None when nothing was in time. Nothing but the ear itself stands between the two."""
    alarm = ear.get_loop().call_later(max(timeout_s, 0), _deafen, ear)
    try:
        return await ear
    finally:
        alarm.cancel()


def _deafen(ear: "asyncio.Future[End | None]") -> None:
    if not ear.done():
        ear.set_result(None)


def _thousands(job_ids: Iterable[str]) -> Iterable[list[str]]:
    every = list(job_ids)
    return [every[start : start + 1_000] for start in range(0, len(every), 1_000)]


def follower(sender: Sender) -> Follower:
    """The one of this process for a queue."""
    return sender.link.shared(f"follower/{sender.name}", lambda: Follower(sender))


def async_follower(sender: Sender) -> AsyncFollower:
    """The running loop's one for a queue."""
    return sender.link.shared_in_loop(f"follower/{sender.name}", lambda: AsyncFollower(sender))
