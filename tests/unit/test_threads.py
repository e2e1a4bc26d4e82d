"""The threads of sync handlers: as many as calls in flight, woken one at a time."""

import asyncio
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from homing.worker.threads import Threads

DEADLINE_S = 10.0


class Pool:
    """Threads, and what they told the loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended: list[tuple[object, BaseException | None]] = []
        self.frees = 0
        self._changed = asyncio.Event()
        self.threads = Threads(self.loop, self._freed)

    def submit(self, call: Callable[[], object]) -> None:
        self.threads.submit(call, lambda value, error: self.ended.append((value, error)))

    def _freed(self) -> None:
        self.frees += 1
        self._changed.set()

    async def until(self, count: int) -> list[object]:
        """Wait for so many ends; returns their values."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.ended) < count:
                self._changed.clear()
                await self._changed.wait()
        return [value for value, _ in self.ended]


@contextmanager
def changing_threads_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("homing-")]


def while_all_end(pool: Pool, count: int) -> None:
    """The loop stands still until so many have ended."""
    deadline = time.monotonic() + DEADLINE_S
    while len(pool.threads._ended) < count and time.monotonic() < deadline:
        time.sleep(0)


async def gone() -> None:
    async with asyncio.timeout(DEADLINE_S):
        while ours():
            await asyncio.sleep(0)


async def test_all_calls_in_flight_run_at_once() -> None:
    pool, all_here = Pool(), threading.Barrier(8)
    for _ in range(3):  # threads of its own for the first round, woken ones for the others
        pool.ended.clear()
        for _ in range(8):
            pool.submit(lambda: all_here.wait(DEADLINE_S) >= 0)
        assert await pool.until(8) == [True] * 8
        assert len(ours()) == 8
    pool.threads.close()
    await gone()


async def test_what_a_call_raises_is_handed_on_whatever_it_is() -> None:
    pool = Pool()
    raised: list[BaseException] = [StopIteration(1), SystemExit(2), KeyboardInterrupt(), ValueError("3")]

    def fail(error: BaseException) -> Callable[[], object]:
        def call() -> object:
            raise error

        return call

    for error in raised:
        pool.submit(fail(error))
        await pool.until(len(pool.ended) + 1)
    assert [error for _, error in pool.ended] == raised
    assert len(ours()) == 1, "a thread outlives what its call raises"
    pool.threads.close()
    await gone()


async def test_a_stuck_call_leaves_its_thread_and_the_next_one_gets_another() -> None:
    pool, gate = Pool(), threading.Event()
    pool.submit(lambda: gate.wait(DEADLINE_S))
    pool.submit(lambda: "next")
    assert await pool.until(1) == ["next"]
    gate.set()
    assert await pool.until(2) == ["next", True]
    pool.threads.close()
    await gone()


async def test_ends_that_came_together_are_told_together() -> None:
    pool = Pool()
    for n in range(16):
        pool.submit(lambda n=n: n)  # type: ignore[misc]
    while_all_end(pool, 16)
    assert sorted(await pool.until(16)) == list(range(16))  # type: ignore[type-var]
    assert pool.frees <= 2
    pool.threads.close()
    await gone()


async def test_an_end_that_cannot_be_told_holds_up_no_other() -> None:
    pool, failed = Pool(), list[object]()
    pool.loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def fail(value: object, error: BaseException | None) -> None:
        raise LookupError(value)

    pool.threads.submit(lambda: "untold", fail)
    for n in range(3):
        pool.submit(lambda n=n: n)  # type: ignore[misc]
    while_all_end(pool, 4)
    assert sorted(await pool.until(3)) == [0, 1, 2]  # type: ignore[type-var]
    assert [str(error) for error in failed] == ["untold"]
    pool.threads.close()
    await gone()


async def test_no_call_is_left_behind_however_threads_take_turns() -> None:
    pool, dice = Pool(), random.Random(1)
    most = most_seen = 0
    pauses = [dice.choice([0.0, 0.0, 0.0, 1e-5, 1e-4]) for _ in range(6_000)]
    with changing_threads_often():
        while pauses or len(pool.ended) < 6_000:
            for _ in range(min(len(pauses), dice.randrange(1, 9))):
                pause = pauses.pop()
                pool.submit(lambda pause=pause: time.sleep(pause) if pause else None)  # type: ignore[misc]
            most = max(most, 6_000 - len(pauses) - len(pool.ended))
            most_seen = max(most_seen, len(ours()))
            await pool.until(6_000 - len(pauses) - dice.randrange(8) * bool(pauses))
    assert most_seen <= most, "more threads than calls in flight"
    pool.threads.close()
    await gone()


@pytest.mark.parametrize("count", [0, 1, 5])
async def test_closing_ends_idle_threads_and_lets_the_others_end_their_call(count: int) -> None:
    pool, gate = Pool(), threading.Event()
    for _ in range(count):
        pool.submit(lambda: gate.wait(DEADLINE_S))
    pool.threads.close()
    gate.set()
    await pool.until(count)
    await gone()


class Parking(list[threading.Lock]):
    """Where idle threads park; `before` happens when the first of them is about to."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._before: list[Callable[[], None]] = [before]

    def append(self, bell: threading.Lock) -> None:
        if self._before:
            self._before.pop()()
        super().append(bell)


async def test_a_call_that_comes_while_the_only_thread_is_about_to_park_is_run() -> None:
    pool, collected = Pool(), threading.Event()

    def another() -> None:
        assert collected.wait(DEADLINE_S)
        pool.submit(lambda: "another")

    pool.threads._parked = Parking(another)
    pool.submit(lambda: "first")
    await pool.until(1)
    collected.set()
    assert await pool.until(2) == ["first", "another"]
    assert len(ours()) == 1
    pool.threads.close()
    await gone()


async def test_a_thread_that_is_about_to_park_when_all_is_closed_ends() -> None:
    pool = Pool()
    pool.threads._parked = Parking(pool.threads.close)
    pool.submit(lambda: None)
    await pool.until(1)
    await gone()


class Ends(deque[tuple[Any, object, BaseException | None]]):
    """What ended; `empty` happens when the loop has just seen that nothing else did."""

    def __init__(self, empty: Callable[[], None]) -> None:
        super().__init__()
        self._empty: list[Callable[[], None]] = [empty]

    def __bool__(self) -> bool:
        if not len(self) and self._empty:
            self._empty.pop()()
            return False
        return len(self) > 0


async def test_an_end_that_comes_when_the_loop_has_just_looked_is_told() -> None:
    pool, gate = Pool(), threading.Event()
    ends: Ends

    def end_the_other() -> None:
        gate.set()
        deadline = time.monotonic() + DEADLINE_S
        while not len(ends) and time.monotonic() < deadline:
            time.sleep(0)

    ends = pool.threads._ended = Ends(end_the_other)
    pool.submit(lambda: gate.wait(DEADLINE_S))
    pool.submit(lambda: "first")
    assert await pool.until(2) == ["first", True]
    pool.threads.close()
    await gone()
