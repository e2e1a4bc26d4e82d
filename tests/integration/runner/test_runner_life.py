"""How a worker begins and ends: drained, interrupted, cancelled with its program, without its lease."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from homing import App, State, current_job
from homing.client import Client
from homing.command import Command
from homing.delivery.ticker import Ticker
from homing.engines.engine import EngineName
from homing.errors import WrongEngine
from homing.job import Counts, Reclaimed
from homing.keys import Keys
from homing.worker.inside import InsideWorker
from homing.worker.runner import Ending, Runner
from tests.integration.runner.until import until

Make = Callable[[], Awaitable[None]]


def inner(worker: InsideWorker) -> Runner:
    assert worker._runner is not None
    return worker._runner


def counts(app: App, queue: str = "q") -> Counts:
    return app.queue(queue).counts()


def places(app: App) -> tuple[int, int, int]:
    found = counts(app)
    return found.waiting, found.active, found.workers


async def test_a_drained_worker_lets_jobs_end_and_hands_back_what_has_not_started(
    app: App, engine: EngineName
) -> None:
    go = asyncio.Event()
    started: list[int] = []

    @app.task(queue="q", engine=engine)
    async def waits(n: int) -> int:
        started.append(n)
        await go.wait()
        return n

    jobs = [waits.enqueue(n) for n in range(5)]
    async with app.worker(concurrency=2) as worker:
        await until(lambda: len(started) == 2)
        stopping = asyncio.create_task(worker.stop())
        await until(lambda: inner(worker)._table.closed)
        go.set()
        assert await stopping is Ending.DRAINED
    assert [job.state for job in jobs] == [State.COMPLETED] * 2 + [State.WAITING] * 3
    assert (started, places(app)) == ([0, 1], (3, 0, 0))
    assert app.queue("q").verify() == []


async def test_what_is_handed_back_keeps_its_order_and_goes_before_what_came_later(
    app: App, engine: EngineName
) -> None:
    order: list[int] = []
    hold = asyncio.Event()

    @app.task(queue="q", engine=engine)
    async def note(n: int) -> None:
        order.append(n)
        if n == 0:
            await hold.wait()

    note.enqueue_many([note.call(n) for n in range(60)])
    async with app.worker(concurrency=1, grace=0) as worker:
        await until(lambda: order == [0])
    assert worker.counts["released"] >= 1
    note.enqueue_many([note.call(n) for n in range(60, 70)])
    hold.set()
    order.clear()
    await asyncio.wait_for(app.worker(concurrency=1, burst=True).run(), 10)
    assert order == list(range(70))


async def test_an_interrupted_worker_cancels_and_hands_back_without_a_charge(
    app: App, engine: EngineName
) -> None:
    cancelled: list[str] = []
    free = threading.Event()

    @app.task(queue="q", engine=engine)
    async def waits() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(current_job().id)
            raise

    @app.task(queue="q")
    def blocks() -> None:
        free.wait(20)

    jobs = [waits.enqueue(), blocks.enqueue()]
    worker = app.worker()
    async with worker:
        await until(lambda: counts(app).active == 2 and len(inner(worker)._table.running) == 2)
        began = time.monotonic()
        assert await worker.interrupt() is Ending.INTERRUPTED
        assert time.monotonic() - began < 5
    free.set()
    assert [(job.state, job.record().attempt) for job in jobs] == [(State.WAITING, 0)] * 2
    assert (cancelled, places(app)) == ([jobs[0].id], (2, 0, 0))
    assert app.queue("q").verify() == []


async def test_past_its_grace_a_drain_hands_back_what_still_runs(app: App) -> None:
    @app.task(queue="q")
    async def waits() -> None:
        await asyncio.sleep(30)

    job = waits.enqueue()
    async with app.worker(grace=0.05) as worker:
        await until(lambda: worker.held == 1)
    assert (job.state, job.record().attempt) == (State.WAITING, 0)


async def test_a_program_that_is_cancelled_hands_back_what_ran(url: str, prefix: str) -> None:
    app = App(url, prefix=prefix)
    started = threading.Event()

    @app.task(queue="q")
    async def waits() -> None:
        started.set()
        await asyncio.sleep(30)

    job = await waits.aenqueue()

    async def program(alone: bool) -> None:
        worker = asyncio.create_task(app.worker().run())
        await until(started.is_set)
        if not alone:
            raise RuntimeError("the program fails, its worker beside it")
        worker.cancel()
        await asyncio.wait([worker])

    # Loops of their own, as asyncio.run makes and tears down for a program.
    await asyncio.to_thread(asyncio.run, program(alone=True))
    assert job.record().attempt == 0
    assert job.state is State.WAITING
    started.clear()
    with pytest.raises(RuntimeError):
        await asyncio.to_thread(asyncio.run, program(alone=False))
    assert (job.state, job.record().attempt) == (State.WAITING, 0)
    app.close()


async def test_a_job_that_waits_in_a_buffer_for_a_second_goes_to_another_worker(
    app: App, url: str, prefix: str, engine: EngineName
) -> None:
    hold = asyncio.Event()
    ran: list[tuple[str, int]] = []

    def declare(of: App, name: str) -> Any:
        @of.task(queue="q", engine=engine, name="step")
        async def step(n: int) -> None:
            ran.append((name, n))
            if n == 100:
                await hold.wait()

        return step

    step = declare(app, "first")
    other = App(url, prefix=prefix)
    declare(other, "second")
    async with app.worker(concurrency=1) as first:
        # Quick jobs teach the first worker to take more than it runs at once.
        step.enqueue_many([step.call(n) for n in range(100)])
        await until(lambda: len(ran) == 100)
        step.enqueue_many([step.call(n) for n in range(100, 130)])
        await until(lambda: ran[-1] == ("first", 100))
        async with other.worker(concurrency=1) as second:
            await until(lambda: len(ran) == 130, 1.8)
            assert {name for name, n in ran if n > 100} == {"second"}
            assert [n for _, n in ran] == list(range(130))
            hold.set()
            await until(lambda: first.counts["completed"] + second.counts["completed"] == 130)
    await other.aclose()


async def test_a_worker_whose_lease_was_reclaimed_drops_its_jobs_and_registers_again(
    app: App, engine: EngineName, events: list[str]
) -> None:
    hold = asyncio.Event()
    lost: list[bool] = []
    tokens: list[int] = []

    @app.task(queue="q", engine=engine)
    async def waits(n: int) -> None:
        tokens.append(current_job().token)
        if len(tokens) > 1:
            return
        await hold.wait()
        lost.append(current_job().lost)

    job = waits.enqueue(1)
    async with app.worker(concurrency=3) as worker:
        await until(lambda: len(tokens) == 1)
        [record] = app.queue("q").workers()
        verbs = app.queue("q").engine(app.client)
        app.client.run(verbs.reclaim(record.id, reason="died", started=[job.id]))
        await until(lambda: len(tokens) == 2)
        hold.set()
        await until(lambda: lost == [True])
        await until(lambda: worker.counts["thrown_away"] == 1)
        assert job.state is State.COMPLETED
        [again] = app.queue("q").workers()
        assert again.id != record.id
    assert tokens[1] > tokens[0]
    assert {"lease_lost", "registered_again"} <= set(events)
    assert app.queue("q").verify() == []


@pytest.mark.exact_answers("a copy tells what it moved itself")
async def test_a_worker_that_was_taken_for_dead_clears_what_it_had_not_started_and_then_what_ends(
    app: App, engine: EngineName
) -> None:
    hold = asyncio.Event()
    ran: list[int] = []

    @app.task(queue="q", engine=engine)
    async def step(n: int) -> None:
        ran.append(n)
        if n == 100:
            await hold.wait()

    queue = app.queue("q")
    async with app.worker(concurrency=1):
        step.enqueue_many([step.call(n) for n in range(100)])  # they teach it to take more than it runs
        await until(lambda: len(ran) == 100)
        jobs = step.enqueue_many([step.call(n) for n in range(100, 130)])
        await until(lambda: ran[-1] == 100)
        queue.pause()
        [worker] = queue.workers()
        verbs, keys = queue.engine(app.client), Keys("q", app.settings.prefix)
        lapse = Command(("ZADD",), (keys("workers"),), ("XX", 0, worker.id), int)
        _, reclaimed = app.client.run_many([lapse, verbs.reclaim(worker.id, reason="lapsed")])
        assert isinstance(reclaimed, Reclaimed)
        assert reclaimed.moved > 1

        def suspicions() -> list[int]:
            return [record.suspicions if (record := job.record()) else 0 for job in jobs]

        await until(lambda: suspicions() == [1] + [0] * 29)
        hold.set()
        await until(lambda: suspicions() == [0] * 30)
        queue.resume()
        await until(lambda: len(ran) == 131)


async def test_a_burst_waits_for_what_is_scheduled_and_for_what_others_run(app: App) -> None:
    @app.task(queue="q")
    async def quick() -> None: ...

    quick.options(delay=0.4).enqueue()
    began = time.monotonic()
    worker = app.worker(burst=True)
    assert await asyncio.wait_for(worker.run(), 10) is Ending.DONE
    assert worker.counts["completed"] == 1
    assert 0.4 <= time.monotonic() - began < 3


async def test_a_queue_without_a_task_is_left_to_its_consumers(app: App, engine: EngineName) -> None:
    """A worker could only pass its messages on, and bury them after `unknown_task_for`."""
    outbox = app.queue("outbox", engine=engine)

    @app.task(queue="q", engine=engine)
    async def quick() -> None: ...

    outbox.put("a letter")
    quick.enqueue()
    worker = app.worker(burst=True)
    assert await asyncio.wait_for(worker.run(), 10) is Ending.DONE
    assert (worker.counts["claimed"], outbox.counts().waiting) == (1, 1)


async def test_a_worker_of_the_wrong_engine_says_so_at_its_start(app: App, url: str, prefix: str) -> None:
    app.queue("q", engine="lists").put(1)
    other = App(url, prefix=prefix)
    other.queue("q", engine="streams")
    with pytest.raises(WrongEngine):
        await other.worker(queues=["q"]).start()
    await other.aclose()


async def test_a_suspect_runs_with_nothing_else_in_the_process(app: App, engine: EngineName) -> None:
    running: set[int] = set()
    beside: dict[int, int] = {}
    hold = asyncio.Event()

    @app.task(queue="q", engine=engine)
    async def step(n: int) -> None:
        running.add(n)
        beside[n] = len(running)
        await (asyncio.sleep(0.05) if n == 0 else asyncio.sleep(0.01))
        running.discard(n)

    suspect = step.enqueue(0)
    verbs = app.queue("q").engine(app.client)
    for number in range(2):  # two workers die with it, and somebody saw it
        app.client.run(verbs.register(f"w{number}"))
        [claimed] = app.client.run(verbs.claim(f"w{number}", limit=1, number=1)).jobs
        app.client.run(verbs.reclaim(f"w{number}", reason="died", started=[claimed.id]))
    step.enqueue_many([step.call(n) for n in range(1, 40)])
    hold.set()
    await asyncio.wait_for(app.worker(burst=True, concurrency=10).run(), 20)
    assert suspect.state is State.COMPLETED
    assert beside[0] == 1
    assert (len(beside), max(beside.values()) > 1) == (40, True)


async def test_a_paused_queue_gives_nothing_until_it_is_resumed(app: App, engine: EngineName) -> None:
    ran: list[int] = []

    @app.task(queue="q", engine=engine)
    async def note(n: int) -> None:
        ran.append(n)

    note.enqueue(1)
    app.queue("q").pause()
    async with app.worker() as worker:
        await until(lambda: inner(worker)._claimers[0]._blocking)
        assert ran == []
        app.queue("q").resume()
        await until(lambda: ran == [1])
        note.enqueue(2)
        await until(lambda: ran == [1, 2])


async def test_one_worker_serves_several_queues_and_threads_do_not_keep_the_loop(app: App) -> None:
    free = threading.Event()
    ran: list[str] = []

    @app.task(queue="slow")
    def slow() -> None:
        free.wait(20)

    @app.task(queue="quick")
    async def quick() -> None:
        ran.append("quick")

    slow.enqueue_many([slow.call() for _ in range(20)])
    async with app.worker(threads=2) as worker:
        await until(lambda: len(inner(worker)._table.running) == 2)
        for count in range(1, 11):
            quick.enqueue()
            await until(lambda count=count: len(ran) == count, 3.0)  # type: ignore[misc]
        free.set()
        await until(lambda: worker.counts["completed"] == 30)


async def test_start_twice_or_without_a_queue_is_refused_with_the_remedy(app: App) -> None:
    from homing.errors import SettingsError

    with pytest.raises(SettingsError, match="declare a task, or name queues"):
        app.worker()
    worker: InsideWorker = app.worker(queues="q")
    async with worker:
        with pytest.raises(RuntimeError, match="make a new one"):
            await worker.start()


async def test_a_solo_worker_runs_the_suspects_and_ends(app: App, engine: EngineName) -> None:
    ran: list[int] = []

    @app.task(queue="q", engine=engine)
    async def step(n: int) -> None:
        ran.append(n)

    suspect = step.enqueue(0)
    verbs = app.queue("q").engine(app.client)
    for number in range(2):
        app.client.run(verbs.register(f"w{number}"))
        app.client.run(verbs.claim(f"w{number}", limit=1, number=1))
        app.client.run(verbs.reclaim(f"w{number}", reason="died", started=[suspect.id]))
    ticker = Ticker(Client(app.target()), prefix=app.settings.prefix)
    runner = Runner(app, queues=["q"], heart=ticker, solo=True)
    await runner.start()
    assert await asyncio.wait_for(runner.wait(), 10) is Ending.DONE
    ticker.close()
    assert (ran, suspect.state, places(app)) == ([0], State.COMPLETED, (0, 0, 0))
