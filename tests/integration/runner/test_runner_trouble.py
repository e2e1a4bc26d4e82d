"""Workers among lost replies, killed connections, forgotten scripts, restarts and a full server."""

import asyncio
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from homing import App, Fixed, State
from homing.aclient import AsyncClient
from homing.delivery import claimer
from homing.engines.engine import EngineName
from homing.worker.inside import InsideWorker
from tests.integration.runner.lossy import lossy
from tests.integration.runner.until import until
from tests.servers import Missing, Server, Servers, running, start

JOBS = 1_500
LOST = 15
SEED = int(os.environ.get("HOMING_TEST_SEED", "7"))


def ended(app: App) -> bool:
    found = app.queue("q").counts()
    return found.waiting + found.scheduled + found.active == 0


def declare(app: App, engine: EngineName, runs: Counter[int]) -> Any:
    @app.task(queue="q", engine=engine, retry=Fixed(times=50, delay=0))
    async def step(n: int) -> int:
        runs[n] += 1
        await asyncio.sleep(0.001 * (n % 3))
        if n % 7 == 0 and runs[n] == 1:
            raise OSError("once")
        return n

    return step


async def test_lost_replies_lose_no_job_and_run_none_twice(
    app: App, valkey: Server, prefix: str, engine: EngineName, events: list[str]
) -> None:
    runs: Counter[int] = Counter()
    step = declare(app, engine, runs)
    with tempfile.TemporaryDirectory() as folder:
        async with lossy(valkey.path, Path(folder), seed=SEED) as (proxy, url):
            beyond = App(url, prefix=prefix)
            declare(beyond, engine, runs)
            async with beyond.worker(concurrency=20) as worker:
                proxy.share = 0.15
                jobs = 0
                while proxy.lost < LOST:
                    step.enqueue_many([step.call(n) for n in range(jobs, jobs + 5)])
                    jobs += 5
                    await asyncio.sleep(0.002)
                await until(lambda: ended(app), 60)
                proxy.share = 0.0
                await until(lambda: worker.held == 0)
            await beyond.aclose()
    # The worker never died, so no run has an excuse for a second one.
    assert {n: count for n, count in runs.items() if count != (2 if n % 7 == 0 else 1)} == {}
    assert len(runs) == jobs
    assert {"adopted", "settle_failed", "claim_failed"} <= set(events)
    assert app.queue("q").verify() == []


async def test_killed_connections_and_forgotten_scripts_stop_nobody(
    app: App, valkey: Server, engine: EngineName
) -> None:
    runs: Counter[int] = Counter()
    step = declare(app, engine, runs)
    with valkey.redis() as admin:
        async with app.worker(concurrency=20):
            for first in range(0, JOBS, 100):
                step.enqueue_many([step.call(n) for n in range(first, first + 100)])
                admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                admin.execute_command("SCRIPT", "FLUSH")
                await asyncio.sleep(0.01)
            await until(lambda: ended(app), 30)
    assert len(runs) == JOBS
    assert app.queue("q").verify() == []


async def test_a_worker_outlasts_a_restart_of_its_server(tmp_path: Path, engine: EngineName) -> None:
    runs: Counter[int] = Counter()
    options = {"appendonly": "yes", "appendfsync": "always"}
    server = start("valkey-9.1", tmp_path / "server", **options)
    app = App(server.url)
    step = declare(app, engine, runs)
    step.enqueue_many([step.call(n) for n in range(1, 7)])
    async with app.worker(concurrency=20) as worker:
        await until(lambda: ended(app))
        server.stop()
        server = start("valkey-9.1", tmp_path / "server", **options)
        step.enqueue_many([step.call(n) for n in range(8, 14)])
        await until(lambda: worker.counts["completed"] == 12, 20)
    assert (set(runs.values()), app.queue("q").verify()) == ({1}, [])
    await app.aclose()
    server.stop()


async def test_a_worker_outlasts_the_loss_of_all_data(engine: EngineName) -> None:
    with running("valkey-9.1") as server, server.redis() as admin:
        app = App(server.url)
        runs: Counter[int] = Counter()
        step = declare(app, engine, runs)
        async with app.worker() as worker:
            step.enqueue(1)
            await until(lambda: worker.counts["completed"] == 1)
            admin.flushall()
            step.enqueue(2)
            await until(lambda: runs[2] == 1, 5)
            await until(lambda: worker.counts["completed"] == 2)
        assert app.queue("q").verify() == []
        await app.aclose()


@pytest.mark.parametrize("name", ["valkey-9.1", "redis-6.2"])
async def test_a_full_server_drains(engine: EngineName, name: str) -> None:
    with running(name) as server, server.redis() as admin:
        app = App(server.url)
        ran: list[int] = []

        @app.task(queue="q", engine=engine)
        async def step(n: int, ballast: str) -> str:
            ran.append(n)
            return ballast

        step.enqueue_many([step.call(n, "x" * 1_000) for n in range(500)])
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] - 100_000)
        await asyncio.wait_for(app.worker(burst=True).run(), 20)
        assert (sorted(ran), app.queue("q").counts().active) == (list(range(500)), 0)
        admin.config_set("maxmemory", 0)
        assert app.queue("q").verify() == []
        await app.aclose()


async def test_a_lease_in_doubt_is_asked_for_before_anything_starts(
    app: App, engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    @app.task(queue="q", engine=engine)
    async def step(n: int) -> None:
        ran.append(n)

    worker: InsideWorker = app.worker()
    async with worker:
        runner, ticker = worker._runner, worker._ticker
        assert runner is not None
        await until(lambda: runner._claimers[0]._blocking)
        [lease] = runner._table.leases.values()
        # As after a long stop of this process: its lease's end is past, and the heart knows no better.
        monkeypatch.setattr(ticker, "lease_end_s", lambda *_: 1.0)
        lease.end_s = 1.0
        go = asyncio.Event()
        calls: Counter[str] = Counter()
        ask, beat, pick = lease.ask, runner._executor.pulse, runner._table.next

        async def ask_late(run: Any) -> None:
            calls["ask"] += 1
            await go.wait()
            await ask(run)

        def count(name: str, call: Any, *words: Any) -> Any:
            calls[name] += 1
            return call(*words)

        monkeypatch.setattr(type(lease), "ask", lambda _, run: ask_late(run))
        monkeypatch.setattr(runner._executor, "pulse", lambda: count("pulse", beat))
        monkeypatch.setattr(runner._table, "next", lambda *words: count("next", pick, *words))
        step.enqueue(1)
        await until(lambda: worker.held == 1)
        await until(lambda: calls["pulse"] == 3)
        assert (ran, calls["ask"]) == ([], 1)
        assert calls["next"] < 40  # looked at now and then, not in a circle
        go.set()
        await until(lambda: ran == [1])


async def test_errors_of_jobs_are_kept_with_their_traceback(app: App) -> None:
    @app.task(queue="q")
    async def fails() -> None:
        raise ValueError("a reason")

    job = fails.enqueue()
    await asyncio.wait_for(app.worker(burst=True).run(), 10)
    error = json.loads(job.record().error)
    assert (job.state, error["type"], error["message"]) == (State.DEAD, "ValueError", "a reason")
    assert "in fails" in error["traceback"]


async def test_a_claimer_that_hears_nothing_although_jobs_wait_gets_a_new_connection(
    app: App, engine: EngineName, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimer, "STUCK_S", 0.3)
    ran: list[int] = []

    @app.task(queue="q", engine=engine)
    async def step(n: int) -> None:
        ran.append(n)

    listen, deaf = AsyncClient.listen, [True]

    async def never(self: AsyncClient, *words: Any) -> Any:
        if deaf[0]:
            await asyncio.Event().wait()
        return await listen(self, *words)

    monkeypatch.setattr(AsyncClient, "listen", never)
    worker: InsideWorker = app.worker()
    async with worker:
        runner = worker._runner
        assert runner is not None
        await until(lambda: runner._claimers[0]._blocking)
        step.enqueue(1)
        await until(lambda: "claimer_stuck" in events)
        deaf[0] = False
        await until(lambda: ran == [1])


async def test_on_a_cluster_each_queue_has_a_connection_of_its_own(servers: Servers) -> None:
    try:
        server = servers["valkey-cluster"]
    except Missing as reason:
        pytest.skip(str(reason))
    app = App(server.url, prefix="cluster")
    ran: list[str] = []
    for name in ("one", "two", "three"):

        @app.task(queue=name, name=name)
        async def step(n: int, name: str = name) -> None:
            ran.append(name)

    for name, task in app.tasks.items():
        task.enqueue_many([task.call(n, name) for n in range(100)])
    worker = app.worker(burst=True)
    await asyncio.wait_for(worker.run(), 20)
    assert Counter(ran) == {"one": 100, "two": 100, "three": 100}
    await app.aclose()
