"""Verify and repair on live queues: nothing is told that is not so, and mending disturbs nobody."""

import asyncio
from typing import Any

import pytest

from homing import App, Queue, audit
from homing.aclient import AsyncClient
from homing.command import Command
from homing.engines.engine import EngineName
from homing.errors import SettingsError
from homing.job import Counts
from homing.steps import Run, RunMany, Sleep, Steps


def acting(app: App, steps: Steps[Any], at_rest: Any) -> Any:
    """Drive a procedure; where it rests, `at_rest(seconds)` acts in its place."""
    try:
        effect = next(steps)
        while True:
            match effect:
                case Run(command):
                    effect = steps.send(app.client.run(command))
                case RunMany(commands):
                    effect = steps.send(app.client.run_many(commands))
                case Sleep(seconds):
                    effect = steps.send(at_rest(seconds))
                case other:
                    raise AssertionError(other)
    except StopIteration as end:
        return end.value


def hset(app: App, key: str, *fields: object) -> None:
    app.client.run(Command(("HSET",), (key,), [str(field) for field in fields], int))


def test_another_program_in_the_middle_of_its_enqueue_is_no_problem(app: App) -> None:
    queue = app.queue("outbox", engine="lists")
    queue.put("ours")
    app.client.run(Command(("LPUSH",), (queue.keys.waiting(0),), ("theirs",), int, resend=False))
    engine = queue.engine(app.client)
    rests: list[float] = []

    def body_comes(seconds: float) -> None:
        rests.append(seconds)
        hset(app, queue.keys.job("theirs"), "payload", "1")

    assert acting(app, audit.verify(engine), body_comes) == []
    assert rests == [audit.MOMENT_S]
    app.client.run(Command(("DEL",), (queue.keys.job("theirs"),), (), int))
    problems = acting(app, audit.verify(engine), rests.append)
    assert [(problem.subject, "no body" in problem.says) for problem in problems] == [("job:theirs", True)]


def test_a_rate_rests_between_pages(app: App, queue: Queue) -> None:
    queue.put_many(range(500))
    rests: list[float] = []
    assert acting(app, audit.verify(queue.engine(app.client), rate=1_000), rests.append) == []
    assert len(rests) >= 2
    assert all(0.1 < each <= 0.2 for each in rests)
    for wrong in (0, -1, float("nan"), "10", True):
        with pytest.raises(SettingsError, match="rate"):
            queue.verify(rate=wrong)  # type: ignore[arg-type]


def test_a_dry_run_says_what_a_repair_then_does(app: App, queue: Queue) -> None:
    queue.put_many(range(3))
    hset(app, queue.keys.job("stray"), "state", "scheduled", "payload", '"x"')
    hset(app, queue.keys("suspects"), "ghost", "1 1")
    dry = queue.repair(dry_run=True)
    assert (len(dry.mended), dry.left, len(queue.verify())) == (2, [], 2)
    assert queue.repair() == dry
    assert (queue.verify(), queue.repair()) == ([], audit.Repaired([], []))
    assert queue.counts() == Counts(waiting=3, scheduled=1)


def test_payloads_are_compared_where_it_is_asked_for(app: App, queue: Queue) -> None:
    queue.put_many(range(250))
    job = queue.put("later", delay=60)
    assert queue.verify(payloads=True) == []
    hset(app, queue.keys.job(job.id), "payload", '"latex"')
    assert queue.verify() == []
    [problem] = queue.verify(payloads=True, rate=1e6)
    assert f"job {job.id} is not what was enqueued" in problem


def test_a_job_lost_from_a_long_list_comes_back(app: App) -> None:
    queue = app.queue("outbox", engine="lists")
    jobs = queue.put_many(range(1_500))
    app.client.run(Command(("LREM",), (queue.keys.waiting(0),), (1, jobs[700].id), int))
    assert queue.verify() == [f"job {jobs[700].id} says that it is waiting and is not there"]
    assert len(queue.repair().mended) == 1
    assert (queue.verify(), queue.peek(limit=1).jobs[0].id) == ([], jobs[700].id)


async def test_what_is_left_is_told_and_the_rest_is_mended(app: App, engine: EngineName) -> None:
    async with app:
        queue = app.queue("outbox", engine=engine)
        await queue.aput("held")
        async for job in queue.aconsume(block=False):
            if engine == "lists":
                await app.aclient.run(Command(("DEL",), (queue.keys.job(job.id),), (), int))
            else:
                entry = job.claimed.ref.decode()
                await app.aclient.run(Command(("XDEL",), (queue.keys.stream(0),), (entry,), int))
            await app.aclient.run(Command(("HSET",), (queue.keys("suspects"),), ("ghost", "1 0"), int))
            done = await queue.arepair()
            assert (len(done.mended), {"will" in each or "named" in each for each in done.left}) == (
                1,
                {True},
            )
            await job.aack()
        assert (await queue.averify(), await queue.acounts()) == ([], Counts(finished=1))


async def test_a_busy_queue_has_no_problem_at_any_time(app: App, engine: EngineName) -> None:
    """Verified, and repaired, all the while jobs come, fail, are retried, buried, replayed and cancelled."""
    found: list[str] = []
    runs = 0

    @app.task(queue="busy", engine=engine, retry=[0.0, 0.001])
    async def step(n: int) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if n % 3 == 0:
            raise OSError("now and then")

    async with app, app.worker(concurrency=20):
        queue = app.queue("busy")
        looking = AsyncClient(app.target())
        verbs = await queue.aengine(looking)
        for turn in range(25):
            await step.aenqueue_many([step.call(n) for n in range(40)])
            await step.options(delay=0.02).aenqueue(turn)
            cursor = ""
            while True:
                page = await looking.run(verbs.verify(cursor=cursor, limit=10))
                found += [problem.says for problem in page.problems]
                if not (cursor := page.cursor):
                    break
            if turn % 5 == 0:
                await queue.areplay()
                found += (await queue.arepair()).mended
        await looking.aclose()
    assert runs > 1_000
    assert found == []
