"""Async slots: when a row of jobs that never wait lets others go on."""

import asyncio
from types import SimpleNamespace
from typing import Any

from homing.delivery.heart import boot_s
from homing.delivery.lease import Lease
from homing.engines import make
from homing.job import Claimed, Decision
from homing.keys import Keys
from homing.worker.runs import Call, Runs
from homing.worker.slots import Slots
from homing.worker.table import Entry, Table
from tests.unit.idle_heart import IdleHeart


class Desk:
    """Gives no arguments, and notes what ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def opened(self, entry: Entry) -> Call:
        return (), {}

    def returned(self, entry: Entry, value: object) -> None:
        raise AssertionError(value)

    def raised(self, entry: Entry, error: BaseException) -> None:
        raise error

    def decided(self, entry: Entry, decision: Decision) -> None:
        self.ended.append(entry.job.id)

    def interrupted(self, entry: Entry) -> None:
        raise AssertionError(entry)

    def stuck(self, entry: Entry) -> None:
        raise AssertionError(entry)


async def nothing() -> None:
    pass


async def test_the_claimer_is_let_in_when_a_buffer_is_half_empty() -> None:
    table, desk, heart = Table({"async": 4}, {"q": {"async"}}, lambda: 0), Desk(), IdleHeart()
    runs = Runs(table, heart, desk, lambda: False, lambda: None)
    slots = Slots(table, runs, desk, lambda: None)
    lease = Lease("q", "w", make("lists", Keys("q")), 10_000, heart)
    lease.look()
    task: Any = SimpleNamespace(function=nothing)
    for number in range(10):
        job = Claimed(f"job{number}", b"0", "task", b"[[],{}]", 0, b"", 0)
        table.put(Entry(lease, job, task, "async", boot_s()))
    slots.start(1)
    await table.changed(10.0)  # as the claimer does while there is no room
    assert len(desk.ended) == 5
    async with asyncio.timeout(10.0):
        while len(desk.ended) < 10:
            await asyncio.sleep(0)
    assert desk.ended == [f"job{number}" for number in range(10)]
