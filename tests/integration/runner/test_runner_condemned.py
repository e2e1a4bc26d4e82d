"""A stuck thread costs its process: the others get their grace, and only the stuck job is charged."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from homing import App, State
from homing.client import Client
from homing.delivery.ticker import Ticker
from homing.worker.runner import Ending, Runner
from tests.integration.runner.until import until


@pytest.fixture
def heart(app: App) -> Iterator[Ticker]:
    ticker = Ticker(Client(app.target()), prefix=app.settings.prefix)
    yield ticker
    ticker.close()


async def test_a_stuck_thread_ends_the_worker_and_charges_nobody_else(app: App, heart: Ticker) -> None:
    free = threading.Event()
    began: list[str] = []

    @app.task(queue="q", timeout=0.2)
    def stuck() -> None:
        began.append("stuck")
        free.wait(20)

    @app.task(queue="q")
    def blocks() -> None:
        free.wait(20)

    @app.task(queue="q")
    async def ends_in_time() -> str:
        await asyncio.sleep(0.4)
        return "in time"

    @app.task(queue="q")
    async def too_long() -> None:
        await asyncio.sleep(30)

    runner = Runner(app, queues=["q"], heart=heart, concurrency=2, threads=2, grace=0.4)
    jobs = [stuck.enqueue(), blocks.enqueue(), ends_in_time.enqueue(), too_long.enqueue()]
    await runner.start()
    await until(lambda: len(runner._table.running) == 4)
    waiting = too_long.enqueue()
    assert await asyncio.wait_for(runner.wait(), 10) is Ending.CONDEMNED
    free.set()
    assert [job.state for job in jobs] == [State.DEAD, State.WAITING, State.COMPLETED, State.WAITING]
    assert [job.record().attempt for job in (*jobs[:2], jobs[3], waiting)] == [1, 0, 0, 0]
    assert json.loads(jobs[0].record().error)["type"] == "homing.errors.TimeLimitExceeded"
    found = app.queue("q").counts()
    assert (waiting.state, found.active, found.workers) == (State.WAITING, 0, 0)
    assert app.queue("q").verify() == []


async def test_a_handler_that_swallows_every_cancel_is_stuck_too(
    app: App, heart: Ticker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from homing.worker import alarm

    monkeypatch.setattr(alarm, "STUBBORN_S", 0.02)
    over = asyncio.Event()

    @app.task(queue="q", timeout=0.05)
    async def stubborn() -> None:
        while not over.is_set():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                continue

    runner = Runner(app, queues=["q"], heart=heart, concurrency=1, grace=0)
    job = stubborn.enqueue()
    await runner.start()
    assert await asyncio.wait_for(runner.wait(), 10) is Ending.CONDEMNED
    assert job.state is State.DEAD
    over.set()


async def test_an_inside_worker_replaces_the_slot_of_a_stubborn_handler(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from homing.worker import alarm

    monkeypatch.setattr(alarm, "STUBBORN_S", 0.02)
    over = asyncio.Event()

    @app.task(queue="q", timeout=0.05)
    async def stubborn() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    @app.task(queue="q")
    async def fine() -> None: ...

    jobs = [stubborn.enqueue(), fine.enqueue()]
    await asyncio.wait_for(app.worker(burst=True, concurrency=1).run(), 10)
    assert [job.state for job in jobs] == [State.DEAD, State.COMPLETED]
    over.set()
    await asyncio.sleep(0)
