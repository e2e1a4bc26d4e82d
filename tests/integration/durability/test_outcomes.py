"""A queue's durability for outcomes: a job counts as told when replicas know of its end."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from homing import App, Queue, events
from tests.servers import Server, frozen

Pair = tuple[Server, Server]


@pytest.fixture
def told() -> Iterator[list[tuple[str, Mapping[str, object]]]]:
    """What was said about outcomes, in order."""
    seen: list[tuple[str, Mapping[str, object]]] = []
    unsubscribe = events.subscribe(lambda name, fields: seen.append((name, fields)))
    yield seen
    unsubscribe()


def _unsure(told: list[tuple[str, Mapping[str, object]]]) -> list[str]:
    return [name for name, _ in told if name.startswith("outcomes_")]


@pytest.fixture
def queue(app: App) -> Queue:
    return app.queue("mails", engine="lists", durability="replicated")


@pytest.fixture(params=["sync", "async"])
def consume(request: pytest.FixtureRequest) -> Callable[[Queue, Callable[[int], None]], None]:
    """`consume(queue, begin)`: takes all messages; `begin(n)` is called with the n-th in hand."""

    def consume(queue: Queue, begin: Callable[[int], None]) -> None:
        for number, job in enumerate(queue.consume(block=False)):
            with job:
                begin(number)

    def aconsume(queue: Queue, begin: Callable[[int], None]) -> None:
        async def all_of_them() -> None:
            number = 0
            async for job in queue.aconsume(block=False):
                async with job:
                    begin(number)
                number += 1
            await queue.sender.link.aclient.aclose()

        asyncio.run(all_of_them())

    return consume if request.param == "sync" else aconsume


def test_when_the_with_ends_a_replica_knows_of_the_end(queue: Queue, pair: Pair, told: list[Any]) -> None:
    job = queue.put("hello")
    key = f"{queue.keys.base}:job:{job.id}"
    with pair[1].redis() as replica:
        for message in queue.consume(block=False):
            with message:
                assert replica.exists(key) == 1
            assert replica.exists(key) == 0
    assert _unsure(told) == []


def test_without_a_replicas_word_it_waits_tells_once_and_goes_on(
    queue: Queue,
    pair: Pair,
    told: list[tuple[str, Mapping[str, object]]],
    consume: Callable[[Queue, Callable[[int], None]], None],
) -> None:
    queue.put_many(range(4))
    freeze = frozen(pair[1])
    began: list[float] = []

    def begin(number: int) -> None:
        began.append(time.monotonic())
        if number == 1:
            freeze.__enter__()
        if number == 3:
            freeze.__exit__(None, None, None)

    consume(queue, begin)
    assert began[2] - began[1] >= 0.4
    assert began[3] - began[2] >= 0.4
    assert _unsure(told) == ["outcomes_unsure", "outcomes_sure_again"]
    [(_, unsure), (_, again)] = [one for one in told if one[0].startswith("outcomes_")]
    assert unsure == {
        "queue": "mails",
        "asked": "replicated",
        "because": "0 of 1 replicas confirmed it within 400 ms",
    }
    assert again == {"queue": "mails", "unsure": 2}
    assert queue.counts().finished == 4


def test_a_worker_holds_a_job_until_replicas_know_of_its_end(
    app: App, pair: Pair, told: list[tuple[str, Mapping[str, object]]]
) -> None:
    ended: list[float] = []

    @app.task(queue="mails")
    async def note(n: int) -> None:
        ended.append(time.monotonic())

    app.queue("mails", durability="replicated")

    async def work() -> None:
        with frozen(pair[1]):
            async with app.worker(burst=True) as worker:
                await worker.join()
        await app.aclose()

    note.options(durability="memory").enqueue(1)
    asyncio.run(work())
    assert time.monotonic() - ended[0] >= 0.4
    assert _unsure(told) == ["outcomes_unsure"]
    assert app.queue("mails").counts().finished == 1


def test_a_queue_has_one_durability(app: App, queue: Queue) -> None:
    assert app.queue("mails", durability="replicated") is queue
    with pytest.raises(ValueError, match="declared with durability 'replicated' and with 'fsynced'"):
        app.queue("mails", durability="fsynced")
    with pytest.raises(ValueError, match="durability must be one of memory, replicated, fsynced"):
        app.queue("mails", durability="disk")  # type: ignore[arg-type]
