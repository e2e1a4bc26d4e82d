"""What becomes of a job, by how its handler ended: in the loop, in a thread, in a process."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from homing import App, Bury, Cancel, Fixed, Retry, State, current_job
from homing.command import Command
from homing.engines.engine import EngineName
from homing.handle import Job


async def work(app: App, **options: Any) -> dict[str, int]:
    """Run a burst worker until nothing is left; returns what it counted."""
    worker = app.worker(burst=True, **options)
    await asyncio.wait_for(worker.run(), 20)
    return dict(worker.counts)


def reason(job: Job[Any]) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(job.record().error)
    return error


async def test_async_and_sync_handlers_run_and_give_results(app: App, engine: EngineName) -> None:
    @app.task(queue="q", engine=engine)
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return n * 2

    @app.task(queue="q")
    def triple(n: int) -> int:
        return n * 3

    doubled, tripled = double.enqueue(4), triple.enqueue(4)
    counts = await work(app)
    assert (counts["completed"], doubled.state, tripled.state) == (2, State.COMPLETED, State.COMPLETED)
    assert (doubled.record().result, tripled.record().result) == (b"8", b"12")
    assert app.queue("q").verify() == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError("mine"),
        BaseExceptionGroup("group", [SystemExit(1)]),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_handler_raises_ends_its_job_alone(app: App, error: BaseException) -> None:
    @app.task(queue="q")
    async def raise_async() -> None:
        raise error

    @app.task(queue="q")
    async def raise_later() -> None:
        await asyncio.sleep(0.001)
        raise error

    @app.task(queue="q")
    def raise_sync() -> None:
        raise error

    @app.task(queue="q")
    async def fine() -> str:
        return "fine"

    failing = [raise_async.enqueue(), raise_later.enqueue(), raise_sync.enqueue()]
    good = fine.enqueue()
    counts = await work(app, concurrency=1, threads=1)
    assert [job.state for job in failing] == [State.DEAD] * 3
    assert {reason(job)["type"].rpartition(".")[2] for job in failing} == {type(error).__name__}
    assert (good.state, counts["dead"], counts["completed"]) == (State.COMPLETED, 3, 1)


async def test_a_stop_iteration_is_an_error_like_any_other(app: App) -> None:
    @app.task(queue="q")
    async def stop_async() -> None:
        next(iter([]))

    @app.task(queue="q")
    def stop_sync() -> None:
        next(iter([]))

    jobs = [stop_async.enqueue(), stop_sync.enqueue()]
    await work(app, threads=1)
    assert [job.state for job in jobs] == [State.DEAD, State.DEAD]


async def test_a_handler_that_cancels_its_own_task_fails_and_its_slot_goes_on(app: App) -> None:
    @app.task(queue="q")
    async def cancel_self() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(5)

    @app.task(queue="q")
    async def cancel_and_return() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "done"

    @app.task(queue="q")
    async def fine() -> str:
        await asyncio.sleep(0)
        return "fine"

    own, returned, good = cancel_self.enqueue(), cancel_and_return.enqueue(), fine.enqueue()
    await work(app, concurrency=1)
    assert (own.state, returned.state, good.state) == (State.DEAD, State.COMPLETED, State.COMPLETED)


async def test_a_coroutine_as_a_result_is_awaited_and_a_generator_is_an_error(app: App) -> None:
    async def inner() -> str:
        await asyncio.sleep(0.001)
        return "inner"

    def numbers() -> Iterator[int]:
        yield 1

    @app.task(queue="q")
    def gives_coroutine() -> Any:
        return inner()

    @app.task(queue="q")
    async def forgets_await() -> Any:
        return inner()

    @app.task(queue="q")
    def gives_generator() -> Any:
        return numbers()

    @app.task(queue="q")
    async def gives_generator_async() -> Any:
        return numbers()

    awaited = [gives_coroutine.enqueue(), forgets_await.enqueue()]
    refused = [gives_generator.enqueue(), gives_generator_async.enqueue()]
    await work(app)
    assert [job.record().result for job in awaited] == [b'"inner"', b'"inner"']
    assert [reason(job)["type"] for job in refused] == ["TypeError", "TypeError"]


async def test_a_handler_may_retry_bury_or_cancel(app: App, engine: EngineName) -> None:
    runs: list[int] = []

    @app.task(queue="q", engine=engine)
    async def retries() -> None:
        runs.append(current_job().attempt)
        if len(runs) < 3:
            raise Retry(delay=0.05)

    @app.task(queue="q")
    async def buries() -> Any:
        return Bury("not today")

    @app.task(queue="q")
    def cancels() -> None:
        raise Cancel("gone")

    jobs = [retries.enqueue(), buries.enqueue(), cancels.enqueue()]
    counts = await work(app)
    assert [job.state for job in jobs] == [State.COMPLETED, State.DEAD, State.CANCELLED]
    assert (runs, reason(jobs[1])["reason"]) == ([1, 2, 3], "not today")
    assert (counts["retried"], counts["dead"], counts["cancelled"]) == (2, 1, 1)


async def test_a_policy_runs_a_job_again_until_it_is_buried(app: App, engine: EngineName) -> None:
    @app.task(queue="q", engine=engine, retry=Fixed(times=2, delay=0.02))
    async def fails() -> None:
        raise OSError("still away")

    job = fails.enqueue()
    counts = await work(app)
    record = job.record()
    assert (record.state, record.attempt, counts["retried"], counts["dead"]) == (State.DEAD, 3, 2, 1)
    assert reason(job)["message"] == "still away"


async def test_a_time_limit_cancels_an_async_handler(app: App) -> None:
    cleaned: list[str] = []

    @app.task(queue="q", timeout=0.05)
    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cleaned.append("up")

    @app.task(queue="q", timeout=0.05)
    def slow_coroutine() -> Any:
        return asyncio.sleep(30)

    @app.task(queue="q", timeout=0.05)
    async def swallows() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "in time after all"
        return ""

    late, late_too, last = slow.enqueue(), slow_coroutine.enqueue(), swallows.enqueue()
    began = time.monotonic()
    await work(app)
    assert [reason(job)["type"] for job in (late, late_too)] == ["homing.errors.TimeLimitExceeded"] * 2
    assert (cleaned, last.record().result) == (["up"], b'"in time after all"')
    assert time.monotonic() - began < 5


async def test_a_time_limit_of_one_job_goes_before_its_tasks(app: App) -> None:
    @app.task(queue="q", timeout=30)
    async def slow() -> None:
        await asyncio.sleep(30)

    job = slow.options(timeout=0.05).enqueue()
    await work(app)
    assert reason(job)["type"] == "homing.errors.TimeLimitExceeded"


async def test_a_stuck_thread_is_left_behind_and_its_slot_goes_on(app: App, events: list[str]) -> None:
    import threading

    free = threading.Event()

    @app.task(queue="q", timeout=0.05)
    def stuck() -> None:
        free.wait(20)

    @app.task(queue="q")
    def fine() -> None: ...

    jobs = [stuck.enqueue(), fine.enqueue()]
    await work(app, threads=1)
    free.set()
    assert [job.state for job in jobs] == [State.DEAD, State.COMPLETED]
    assert "handler_stuck" in events


async def test_what_does_not_decode_is_buried_whole_and_the_worker_goes_on(
    app: App, engine: EngineName, prefix: str
) -> None:
    @app.task(queue="q", engine=engine)
    async def takes(n: int) -> int:
        return n

    good = takes.enqueue(1)
    foreign = takes.options(id="foreign").enqueue(2)
    await app.aclose()
    redis = app.client  # a plain command through the same connection
    if engine == "lists":
        key = f"{prefix}:{{q}}:job:foreign"
        redis.run(Command(("HSET",), (key,), ("task", "takes", "payload", '[["many"],{}]'), int))
        redis.run(Command(("HDEL",), (key,), ("homing",), int))
    else:
        app.queue("q").remove("foreign")
        key = f"{prefix}:{{q}}:stream:0"
        words = ("*", "id", "foreign2", "task", "takes", "payload", '[["many"],{}]')
        redis.run(Command(("XADD",), (key,), words, bytes, resend=False))
    await work(app)
    bad = foreign if engine == "lists" else app.job("q", "foreign2")
    assert good.state is State.COMPLETED
    assert (bad.state, bad.record().payload) == (State.DEAD, b'[["many"],{}]')
    assert reason(bad)["type"] == "homing.errors.DecodeError"


async def test_a_result_that_json_cannot_carry_is_dropped_and_the_job_is_done(
    app: App, events: list[str]
) -> None:
    @app.task(queue="q")
    async def gives() -> Any:
        return object()

    job = gives.enqueue()
    await work(app)
    assert (job.state, "result_dropped" in events) == (State.COMPLETED, True)


async def test_an_unknown_task_waits_for_a_worker_that_knows_it_and_is_buried_at_last(
    url: str, prefix: str, engine: EngineName, events: list[str]
) -> None:
    producer = App(url, prefix=prefix)

    @producer.task(queue="q", engine=engine)
    async def elsewhere() -> None: ...

    worker_app = App(url, prefix=prefix, unknown_task_for=0.5)

    @worker_app.task(queue="q", engine=engine)
    async def known() -> None: ...

    lost = elsewhere.enqueue()
    counts = await work(worker_app)
    error = json.loads(lost.record().error)
    assert (lost.state, error["type"], lost.record().attempt) == (State.DEAD, "homing.errors.UnknownTask", 0)
    assert (counts["retried"] >= 1, "task_unknown" in events) == (True, True)
    await worker_app.aclose()
    await producer.aclose()


async def test_messages_go_to_the_task_that_takes_them(app: App, engine: EngineName) -> None:
    seen: list[tuple[Any, ...]] = []

    @app.task(queue="outbox", engine=engine, messages=True)
    async def send(recipient: str, subject: str = "", body: str = "") -> None:
        seen.append((recipient, subject, body))

    app.queue("outbox").put({"recipient": "a@b.c", "subject": "Order", "body": "#1"})
    app.queue("outbox").put("only@one.arg")
    await work(app)
    assert seen == [("a@b.c", "Order", "#1"), ("only@one.arg", "", "")]


async def test_a_handler_knows_its_job_and_what_it_sets_in_its_context_stays_its_own(app: App) -> None:
    from contextvars import ContextVar

    mine: ContextVar[str] = ContextVar("mine", default="nobody's")
    seen: dict[str, tuple[str, int, str]] = {}

    def note(name: str) -> None:
        job = current_job()
        seen[name] = (job.queue, job.attempt, mine.get())
        assert (job.id, job.token > 0, job.lost, job.meta) == (job.id, True, False, {})
        mine.set(name)

    @app.task(queue="q")
    async def one(name: str) -> str:
        note(name)
        await asyncio.sleep(0)
        await asyncio.create_task(asyncio.sleep(0))
        assert mine.get() == name
        return current_job().id

    @app.task(queue="q")
    def two(name: str) -> str:
        note(name)
        return current_job().id

    jobs = [one.enqueue("a"), one.enqueue("b"), two.enqueue("c"), two.enqueue("d")]
    await work(app, concurrency=1, threads=1)
    assert seen == dict.fromkeys("abcd", ("q", 1, "nobody's"))
    assert [json.loads(job.record().result or b"") for job in jobs] == [job.id for job in jobs]


async def test_with_concurrency_one_jobs_start_in_the_order_of_their_enqueue(
    app: App, engine: EngineName
) -> None:
    order: list[int] = []

    @app.task(queue="q", engine=engine)
    async def note(n: int) -> None:
        order.append(n)
        await asyncio.sleep(0)

    note.enqueue_many([note.call(n) for n in range(500)])
    await work(app, concurrency=1)
    assert order == list(range(500))


async def test_concurrency_is_what_it_says(app: App) -> None:
    running: list[int] = [0, 0]

    @app.task(queue="q")
    async def overlap() -> None:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.01)
        running[0] -= 1

    overlap.enqueue_many([overlap.call() for _ in range(50)])
    await work(app, concurrency=7)
    assert running == [0, 7]
