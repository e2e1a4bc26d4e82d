"""Tasks: a function is handed over with its arguments, a worker runs it, and its end can be asked for."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from homing import App, Backoff, Cancel, Fixed, Retry, State, current_job
from homing.engines.engine import EngineName
from homing.errors import JobCancelled, JobFailed
from homing.handle import RemoteError
from homing.job import Counts


async def test_an_enqueued_call_is_run_by_a_worker_and_its_result_comes_back(
    app: App, engine: EngineName
) -> None:
    @app.task(queue="emails", engine=engine)
    async def send_email(recipient: str, subject: str, body: str = "…") -> str:
        return f"{recipient}: {subject} {body}"

    async with app.worker():
        job = await send_email.aenqueue("alice@example.com", subject="Größe „9½“")
        assert await job.aresult(timeout=10) == "alice@example.com: Größe „9½“ …"
        assert await job.astate() is State.COMPLETED


async def test_sync_functions_run_in_threads_beside_the_loop(app: App, engine: EngineName) -> None:
    @app.task(engine=engine)
    def where() -> str:
        return threading.current_thread().name

    async with app.worker():
        job = await where.aenqueue()
        assert await job.aresult(timeout=10) != threading.current_thread().name


def test_jobs_wait_until_somebody_works(app: App, engine: EngineName) -> None:
    seen: list[int] = []

    @app.task(queue="numbers", engine=engine)
    def note(number: int) -> None:
        seen.append(number)

    note.enqueue_many(note.call(number) for number in range(5))
    assert app.queue("numbers").counts() == Counts(waiting=5)
    asyncio.run(app.worker(threads=1, burst=True).run())
    assert (seen, app.queue("numbers").counts().finished) == ([0, 1, 2, 3, 4], 5)


@dataclass(frozen=True)
class Order:
    number: UUID
    total: Decimal
    placed: datetime


async def test_arguments_and_results_arrive_as_annotated(app: App, engine: EngineName) -> None:
    @app.task(engine=engine)
    async def ship(order: Order, *, within: timedelta) -> Order:
        assert (type(order.total), within) == (Decimal, timedelta(days=2))
        return Order(order.number, order.total * 2, order.placed + within)

    order = Order(UUID(int=7), Decimal("19.90"), datetime(2026, 1, 2, tzinfo=UTC))
    async with app.worker():
        job = await ship.aenqueue(order, within=timedelta(days=2))
        assert await job.aresult(timeout=10) == Order(
            UUID(int=7), Decimal("39.80"), datetime(2026, 1, 4, tzinfo=UTC)
        )


async def test_a_failing_task_is_retried_as_it_says(app: App, engine: EngineName) -> None:
    attempts = []

    @app.task(engine=engine, retry=Fixed(times=3, delay=0.01))
    async def flaky() -> int:
        attempts.append(current_job().attempt)
        if len(attempts) < 3:
            raise ConnectionError("451")
        return len(attempts)

    async with app.worker():
        assert await (await flaky.aenqueue()).aresult(timeout=10) == 3
    assert attempts == [1, 2, 3]


async def test_with_no_runs_left_it_is_in_the_dead_letters_whole(app: App, engine: EngineName) -> None:
    @app.task(queue="emails", engine=engine, retry=Backoff(times=1, base=0))
    async def refused(recipient: str) -> None:
        raise ValueError(f"550 no such user: {recipient}")

    async with app.worker():
        job = await refused.aenqueue("nobody@example.com")
        with pytest.raises(JobFailed, match="550 no such user") as raised:
            await job.aresult(timeout=10)
    error = raised.value.error
    assert isinstance(error, RemoteError)
    assert (error.type, "in refused" in error.traceback) == ("ValueError", True)
    [dead] = await app.queue("emails").adead()
    assert (dead.id, dead.task, dead.payload, dead.attempt) == (
        job.id,
        "refused",
        b'[["nobody@example.com"],{}]',
        2,
    )


async def test_options_of_one_job_go_before_those_of_its_task(app: App, engine: EngineName) -> None:
    runs = []

    @app.task(engine=engine)
    async def flaky() -> None:
        runs.append(1)
        raise ConnectionError

    async with app.worker():
        job = await flaky.options(retry=[0.01, 0.01]).aenqueue()
        with pytest.raises(JobFailed):
            await job.aresult(timeout=10)
    assert len(runs) == 3


async def test_a_handler_decides_by_what_it_raises_or_returns(app: App, engine: EngineName) -> None:
    @app.task(engine=engine)
    async def once_more() -> int | Retry:
        return Retry(delay=0) if current_job().attempt == 1 else current_job().attempt

    @app.task(engine=engine)
    async def changed_its_mind() -> None:
        raise Cancel("not needed any more")

    async with app.worker():
        assert await (await once_more.aenqueue()).aresult(timeout=10) == 2
        with pytest.raises(JobCancelled):
            await (await changed_its_mind.aenqueue()).aresult(timeout=10)


async def test_a_delayed_job_is_run_when_it_is_due(app: App, engine: EngineName) -> None:
    @app.task(engine=engine)
    async def now() -> float:
        return datetime.now(UTC).timestamp()

    async with app.worker():
        before = datetime.now(UTC)
        job = await now.options(delay=0.3).aenqueue()
        other = await now.options(at=before + timedelta(seconds=0.3)).aenqueue()
        assert await job.astate() is State.SCHEDULED
        for one in (job, other):
            assert 0.28 < await one.aresult(timeout=10) - before.timestamp() < 3


async def test_a_cancelled_job_is_never_run(app: App, engine: EngineName) -> None:
    runs = []

    @app.task(engine=engine)
    async def work(number: int) -> None:
        runs.append(number)

    jobs = [await work.aenqueue(0), await work.aenqueue(1)]
    assert await jobs[0].acancel()
    async with app.worker():
        await jobs[1].aresult(timeout=10)
        with pytest.raises(JobCancelled):
            await jobs[0].aresult(timeout=10)
    assert runs == [1]


async def test_a_job_may_enqueue_jobs(app: App, engine: EngineName) -> None:
    @app.task(engine=engine)
    async def leaf(number: int) -> int:
        return number

    @app.task(engine=engine)
    async def branch(number: int) -> int:
        leaves = await asyncio.gather(*[leaf.aenqueue(each) for each in range(number)])
        return sum([await each.aresult(timeout=10) for each in leaves])

    async with app.worker():
        assert await (await branch.aenqueue(10)).aresult(timeout=20) == 45
    assert (await app.queue("default").acounts()).finished == 11


async def test_a_worker_that_stops_loses_nothing(app: App, engine: EngineName) -> None:
    started = asyncio.Event()

    @app.task(engine=engine)
    async def long(number: int) -> None:
        started.set()
        await asyncio.Event().wait()

    jobs = [await long.aenqueue(number) for number in range(5)]
    async with app.worker(concurrency=2, grace=0):
        await started.wait()
    queue = app.queue("default")
    assert (await queue.acounts(), await queue.averify()) == (Counts(waiting=5), [])
    assert [record.id for record in (await queue.apeek()).jobs] == [job.id for job in jobs]
