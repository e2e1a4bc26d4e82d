"""What carries calls over, without a server: procedures, shared round trips, batches."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from homing.client import Client
from homing.coalescer import Coalescer
from homing.command import Command
from homing.engines.engine import BATCH_MAX
from homing.errors import LeaseLost, QueueFull
from homing.job import NewJob
from homing.sender import BATCH_BYTES, batches
from homing.steps import Steps, drive, run, run_all

PING: Command[Any] = Command(("PING",), (), (), bytes)


class Answers:
    """A client that answers from a list; errors in it are raised."""

    def __init__(self, *answers: object) -> None:
        self._answers = [*answers]

    def run(self, command: Command[Any]) -> object:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run_many(self, commands: Sequence[Command[Any]]) -> object:
        return self._answers.pop(0)


def driven(steps: Steps[Any], *answers: object) -> Any:
    return drive(cast("Client", Answers(*answers)), steps)


def test_a_procedure_gets_its_answers_and_gives_its_value() -> None:
    def twice() -> Steps[list[object]]:
        return [(yield from run(PING)), (yield from run(PING))]

    assert driven(twice(), 1, 2) == [1, 2]


def test_a_procedure_may_survive_an_error() -> None:
    def patient() -> Steps[object]:
        try:
            return (yield from run(PING))
        except LeaseLost:
            return (yield from run(PING))

    assert driven(patient(), LeaseLost("x"), "again") == "again"
    with pytest.raises(QueueFull):
        driven(patient(), QueueFull("x"))


def test_the_first_error_of_a_flight_is_raised() -> None:
    with pytest.raises(LeaseLost, match="second"):
        driven(run_all([PING, PING, PING]), [1, LeaseLost("second"), QueueFull("third")])
    assert driven(run_all([PING, PING]), [1, 2]) == [1, 2]


def test_batches_are_cut_by_number_and_by_bytes_in_order() -> None:
    small = [NewJob(str(number)) for number in range(2 * BATCH_MAX + 1)]
    assert [len(batch) for batch in batches(small)] == [BATCH_MAX, BATCH_MAX, 1]
    assert [job for batch in batches(small) for job in batch] == small
    large = [NewJob(str(number), payload=b"x" * (BATCH_BYTES // 2)) for number in range(5)]
    assert [len(batch) for batch in batches(large)] == [2, 2, 1]
    assert list(batches([])) == []


class Flights:
    """What a coalescer sent, and a gate that holds its answers back."""

    def __init__(self, *, ahead: bool = False) -> None:
        self.sent: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.coalescer: Coalescer[int, int] = Coalescer(self._send, lambda items: [list(items)], ahead=ahead)

    async def _send(self, items: list[int]) -> list[int | Exception]:
        self.sent.append(items)
        await asyncio.sleep(0)  # no answer comes at once
        await self.gate.wait()
        if 99 in items:
            raise QueueFull("99")
        return [ValueError(item) if item < 0 else item * 2 for item in items]


async def test_items_of_one_tick_fly_together_also_after_one_that_came_alone() -> None:
    flights = Flights()
    assert await flights.coalescer.add(9) == 18
    assert await asyncio.gather(*[flights.coalescer.add(number) for number in range(4)]) == [0, 2, 4, 6]
    assert await flights.coalescer.add(5) == 10
    assert flights.sent == [[9], [0, 1, 2, 3], [5]]


async def test_who_comes_alone_again_and_again_goes_ahead_where_order_is_nothing() -> None:
    flights = Flights(ahead=True)
    await flights.coalescer.add(1)
    second = asyncio.create_task(flights.coalescer.add(2))
    await asyncio.sleep(0)  # as long as it takes to begin
    assert (flights.sent, await second) == ([[1], [2]], 4)
    # Of several that follow one goes ahead; from then on they fly together.
    assert await asyncio.gather(*map(flights.coalescer.add, (3, 4, 5))) == [6, 8, 10]
    assert await asyncio.gather(*map(flights.coalescer.add, (6, 7, 8))) == [12, 14, 16]
    assert flights.sent[2:] == [[3], [4, 5], [6, 7, 8]]


async def test_an_error_among_the_answers_is_its_callers_alone() -> None:
    flights = Flights()
    answers = await asyncio.gather(*map(flights.coalescer.add, (1, -2, 3)), return_exceptions=True)
    assert [repr(answer) for answer in answers] == ["2", "ValueError(-2)", "6"]


async def test_a_failed_flight_fails_all_its_callers_and_not_the_next() -> None:
    flights = Flights()
    answers = await asyncio.gather(*map(flights.coalescer.add, (1, 99)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [QueueFull, QueueFull]
    assert await flights.coalescer.add(1) == 2


async def test_who_gives_up_leaves_the_others_alone() -> None:
    flights = Flights()
    flights.gate.clear()
    calls = [asyncio.create_task(flights.coalescer.add(number)) for number in range(3)]
    while not flights.sent:
        await asyncio.sleep(0)
    calls[1].cancel()
    flights.gate.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["int", "CancelledError", "int"]
    assert flights.sent == [[0, 1, 2]]
