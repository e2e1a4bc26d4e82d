"""Async slots: when a row of jobs that never wait lets others go on."""

import asyncio
import sys
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


def held(table: Table, desk: Desk, jobs: int) -> Slots:
    """Slots for this table, in which so many jobs wait."""
    heart = IdleHeart()
    runs = Runs(table, heart, desk, lambda: False, lambda: None)
    lease = Lease("q", "w", make("lists", Keys("q")), 10_000, heart)
    lease.look()
    task: Any = SimpleNamespace(function=nothing)
    for number in range(jobs):
        job = Claimed(f"job{number}", b"0", "task", b"[[],{}]", 0, b"", 0)
        table.put(Entry(lease, job, task, "async", boot_s()))
    return Slots(table, runs, desk, lambda: None)


async def ended(desk: Desk, jobs: int) -> None:
    async with asyncio.timeout(10.0):
        while len(desk.ended) < jobs:
            await asyncio.sleep(0)


async def test_the_claimer_is_let_in_when_a_buffer_is_half_empty() -> None:
    table, desk = Table({"async": 4}, {"q": {"async"}}, lambda: 0), Desk()
    held(table, desk, 10).start(1)
    await table.changed(10.0)  # as the claimer does while there is no room
    assert len(desk.ended) == 5
    await ended(desk, 10)
    assert desk.ended == [f"job{number}" for number in range(10)]


async def test_the_claimer_is_let_in_as_soon_as_a_claim_is_worth_it() -> None:
    table, desk = Table({"async": 100}, {"q": {"async"}}, lambda: 0), Desk()
    table.benches["async"].pace.fit = 700
    held(table, desk, 520).start(1)
    await table.changed(10.0)
    # 449 wait, of 799 that may: half of 700 has room. Until half of 520 have begun the server would be idle.
    assert len(desk.ended) == 71
    await ended(desk, 520)


async def test_a_job_that_came_alone_begins_at_once_where_python_can_do_that() -> None:
    alone, row = Desk(), Desk()
    held(Table({"async": 4}, {"q": {"async"}}, lambda: 0), alone, 1).start(1, at_once=True)
    held(Table({"async": 4}, {"q": {"async"}}, lambda: 0), row, 2).start(1, at_once=True)
    assert (len(alone.ended), len(row.ended)) == (int(sys.version_info >= (3, 12)), 0)
    await ended(alone, 1)
    await ended(row, 2)
