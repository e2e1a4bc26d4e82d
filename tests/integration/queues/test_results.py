"""What became of a job: its state, its result, its error."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from homing import App, Job, Queue, State, follower
from homing.command import Command
from homing.engines.engine import EngineName
from homing.errors import JobCancelled, JobFailed, JobNotFound, ResultTimeout
from homing.handle import RemoteError
from tests.integration.queues.waiting import eventually


@contextmanager
def answering(queue: Queue) -> Iterator[None]:
    """Somebody who acks each message with its doubled payload, or buries the payload 0."""

    def work() -> None:
        for job in queue.consume(idle=20):
            if job.payload == "stop":
                job.ack()
                return
            with job:
                job.ack(job.payload * 2) if job.payload else 1 / job.payload

    thread = threading.Thread(target=work)
    thread.start()
    try:
        eventually(lambda: queue.counts().workers == 1)
        yield
    finally:
        queue.put("stop", priority=-1)
        thread.join()


def test_a_result_comes_to_who_waits_before_and_after_the_end(queue: Queue) -> None:
    with answering(queue):
        jobs = [queue.put(number) for number in range(1, 6)]
        assert [job.result(timeout=10) for job in jobs] == [2, 4, 6, 8, 10]
        assert [job.result(timeout=0) for job in jobs] == [2, 4, 6, 8, 10]
        assert jobs[0].state is State.COMPLETED


def test_many_threads_wait_for_one_job(queue: Queue) -> None:
    job, results = queue.put("ab"), []
    threads = [threading.Thread(target=lambda: results.append(job.result(timeout=10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: queue.counts().replies == 1)
    with answering(queue):
        for thread in threads:
            thread.join()
    assert results == ["abab"] * 8


def test_many_threads_wait_for_many_jobs_and_read_for_each_other(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LOOK_FIRST_S", 60.0)  # nobody is told by looking
    jobs = [queue.put(number) for number in range(1, 13)]
    results: dict[int, object] = {}

    def wait(at: int) -> None:
        results[at] = jobs[at].result(timeout=20)

    threads = [threading.Thread(target=wait, args=(at,)) for at in range(len(jobs)) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: queue.counts().replies == len(jobs))
    began = time.monotonic()
    with answering(queue):
        for thread in threads:
            thread.join()
    assert results == {at: 2 * (at + 1) for at in range(len(jobs))}
    assert time.monotonic() - began < 15


def test_who_read_for_the_others_and_gives_up_leaves_it_to_them(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LOOK_FIRST_S", 60.0)
    job, results = queue.put("ab"), list[object]()
    thread = threading.Thread(target=lambda: results.append(job.result(timeout=20)))
    with pytest.raises(ResultTimeout):
        other = queue.put("x", delay=3600)
        timer = threading.Timer(0.2, thread.start)
        timer.start()
        other.result(timeout=0.6)  # it reads first
    timer.join()
    eventually(lambda: queue.counts().replies == 2)
    began = time.monotonic()
    with answering(queue):
        thread.join()
    assert results == ["abab"]
    assert time.monotonic() - began < 15


def test_a_lost_reply_is_made_up_for_by_looking(app: App, queue: Queue) -> None:
    job, results = queue.put("ab"), []
    thread = threading.Thread(target=lambda: results.append(job.result(timeout=20)))
    thread.start()
    eventually(lambda: queue.counts().replies == 1)
    app.client.run(Command(("DEL",), (queue.keys("replies"),), (), int))
    for message in queue.consume(block=False):
        message.ack("abab")
    thread.join()
    assert results == ["abab"]


def test_a_failed_job_raises_with_its_error_as_plain_data(queue: Queue) -> None:
    job = queue.put(0)
    with answering(queue), pytest.raises(JobFailed, match="ZeroDivisionError: division by zero") as raised:
        job.result(timeout=10)
    error = raised.value.error
    assert isinstance(error, RemoteError)
    assert (error.type, error.message) == ("ZeroDivisionError", "division by zero")
    assert "job.payload" in error.traceback
    with pytest.raises(JobFailed):
        job.result()


@pytest.mark.exact_answers("a copy takes what an earlier call cancelled for its own work")
def test_a_cancelled_job_raises(queue: Queue) -> None:
    job = queue.put("x")
    assert job.cancel()
    with pytest.raises(JobCancelled, match=job.address):
        job.result(timeout=10)
    assert not job.cancel()


def test_cancelling_tells_who_waits(queue: Queue) -> None:
    job = queue.put("x")
    raised: list[Exception] = []

    def wait() -> None:
        try:
            job.result(timeout=10)
        except JobCancelled as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    eventually(lambda: queue.counts().replies == 1)
    job.cancel()
    thread.join()
    assert len(raised) == 1


def test_a_timeout_says_that_the_job_is_still_on_its_way(queue: Queue) -> None:
    job = queue.put("x")
    with pytest.raises(ResultTimeout, match="still on its way"):
        job.result(timeout=0.05)
    with pytest.raises(TimeoutError):
        job.result(timeout=0)
    assert job.state is State.WAITING


def test_an_unknown_job_has_two_readings(app: App, queue: Queue) -> None:
    queue.put("x")
    job = app.job("outbox", "nobody")
    for ask in (lambda: job.state, job.record, job.cancel, job.result):
        with pytest.raises(JobNotFound, match=r"never was .* or it ended and was forgotten"):
            ask()


def test_the_record_shows_the_job_whole(queue: Queue) -> None:
    job = queue.put({"a": 1}, priority=7, delay=60)
    record = job.record()
    assert (record.id, record.queue, record.state) == (job.id, "outbox", State.SCHEDULED)
    assert (record.payload, record.priority, record.attempt) == (b'{"a":1}', 7, 0)


async def test_async_waiters_share_a_reader_and_a_round_trip(app: App, queue: Queue) -> None:
    async with app:
        jobs = [await queue.aput(number) for number in range(1, 201)]
        waiting = asyncio.gather(*[job.aresult(timeout=20) for job in jobs])

        async def work() -> None:
            async for message in queue.aconsume(burst=True, prefetch=50):
                await message.aack(message.payload * 2)

        results, _ = await asyncio.gather(waiting, work())
        assert results == [number * 2 for number in range(1, 201)]
        with pytest.raises(ResultTimeout):
            await (await queue.aput("x")).aresult(timeout=0.02)
        assert await jobs[0].astate() is State.COMPLETED


@dataclass
class Receipt:
    sent_at: datetime
    lines: list[str]


def test_a_result_arrives_as_the_annotated_type(app: App, engine: EngineName) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)

    @app.task(queue="typed", engine=engine)
    def send(to: str) -> Receipt:
        return Receipt(now, [to])

    job: Job[Receipt] = send.enqueue("alice")
    for message in app.queue("typed").consume(block=False):
        message.ack(send("alice"))
    assert job.result(timeout=5) == Receipt(now, ["alice"])


def test_none_is_a_result_whether_waited_for_or_not(app: App, engine: EngineName) -> None:
    @app.task(queue="typed", engine=engine)
    def quiet() -> None: ...

    @app.task(queue="typed", engine=engine)
    def silent():  # type: ignore[no-untyped-def]
        ...

    jobs = [quiet.enqueue(), silent.enqueue()]
    for message in app.queue("typed").consume(block=False):
        message.ack()
    assert [job.result(timeout=5) for job in jobs] == [None, None]


def test_a_forgotten_result_is_no_none(app: App, engine: EngineName) -> None:
    @app.task(queue="typed", engine=engine)
    def length(text: str) -> int:
        return len(text)

    job = length.enqueue("abc")
    for message in app.queue("typed").consume(block=False):
        message.ack(3)
    app.client.run(Command(("DEL",), (app.queue("typed").keys.result(job.id),), (), int))
    with pytest.raises(JobNotFound, match="its result was forgotten"):
        job.result(timeout=5)
