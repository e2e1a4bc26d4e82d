"""homing as a user writes it, for type checkers: this file is checked, never run.

An ignore that names its rule stands where a mistake must be seen: a checker that sees none
complains about the ignore.
"""

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from homing import App, Backoff, Bury, Cancel, Fixed, Job, Linear, Message, Queue, Retry, State, Task
from homing.errors import JobFailed
from homing.job import Counts, JobRecord
from homing.task import Bound, Call

app = App()
also = App("redis://localhost:6379/0", prefix="shop", folder="./data", deadline=2)


@app.task
def add(a: int, b: int = 0) -> int:
    return a + b


@app.task
async def greet(name: str, *, loud: bool = False) -> str:
    return name.upper() if loud else name


@app.task(queue="emails", retry=Backoff(times=5), timeout=30, priority=3)
async def send_email(recipient: str, subject: str, body: str) -> str:
    if not recipient:
        raise Bury("nobody")
    return recipient


@app.task(isolation="process", timeout=timedelta(minutes=5), retry=[1, 10, timedelta(minutes=1)])
def render(page: int) -> bytes:
    return bytes(page)


@app.task(retry=lambda error, attempt: 60 if isinstance(error, OSError) and attempt < 3 else None)
def flaky() -> Retry | Cancel | None:
    return Retry(delay=5)


@app.task(queue="outbox", messages=True, engine="lists", name="deliver", retry=Fixed(times=2, delay=1))
def deliver(recipient: str, subject: str, body: str) -> None: ...


def calling_a_task_runs_it_here() -> None:
    assert_type(add(1, 2), int)
    greeting = greet("bob", loud=True)
    _ = assert_type(greeting, Coroutine[Any, Any, str])
    add("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = greet("bob", volume=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def durability_is_one_of_three_words() -> None:
    add.options(durability="replicated").enqueue(1)
    app.queue("sure", durability="fsynced").put({"a": 1}, durability="memory")
    add.options(durability="disk")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def enqueueing_takes_the_tasks_own_arguments() -> None:
    assert_type(add.enqueue(1), Job[int])
    assert_type(send_email.enqueue("a@b.c", subject="hi", body="…"), Job[str])
    assert_type(render.enqueue(3).result(timeout=5), bytes)
    assert_type(deliver.enqueue("a", "b", "c"), Job[None])
    add.enqueue("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.enqueue()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    add.enqueue(1, delay=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def awaiting() -> None:
    assert_type(await greet("bob"), str)
    job = await greet.aenqueue("bob", loud=True)
    assert_type(job, Job[str])
    assert_type(await job.aresult(timeout=timedelta(seconds=5)), str)
    assert_type(await job.astate(), State)
    await greet.aenqueue(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await job.acancel()


def options() -> None:
    bound = send_email.options(
        delay=60, priority=5, id="welcome-42", timeout=5, retry=Linear(times=3, step=1)
    )
    assert_type(bound.enqueue("a@b.c", "s", "b"), Job[str])
    assert_type(add.options(at=datetime.now(UTC), queue="other").enqueue(1, b=2), Job[int])
    bound.enqueue("a@b.c")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    add.options(delay="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.options(unique_for=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def many() -> None:
    assert_type(add.call(1, 2), Call[int])
    assert_type(add.enqueue_many([add.call(n) for n in range(3)]), list[Job[int]])
    later = add.options(delay=60)
    assert_type(add.enqueue_many(later.call(n) for n in range(3)), list[Job[int]])
    add.call("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.enqueue_many([greet.call("bob")])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def handing_tasks_around(any_task: Task[..., Any], one: Task[[int, int], int]) -> None:
    any_task.enqueue(1, "x", y=None)
    assert_type(one.enqueue(1, 2), Job[int])
    assert_type(one.options(), Bound[[int, int], int])
    one.enqueue(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    handing_tasks_around(add, one)
    handing_tasks_around(greet, one)


def outcomes(job: Job[int]) -> int:
    try:
        return job.result()
    except JobFailed as failed:
        print(failed.error)
        return 0


def messages() -> None:
    outbox = app.queue("outbox", engine="lists")
    assert_type(outbox, Queue)
    assert_type(outbox.put({"recipient": "bob@example.com"}, delay=1.5, priority=-3), Job[Any])
    assert_type(outbox.put_many(["a", 1, None]), list[Job[Any]])
    for job in outbox.consume(prefetch=10, retry=Backoff(times=3)):
        assert_type(job, Message)
        with job:
            print(job.id, job.payload["recipient"], job.attempt, job.token, job.lost)
    with outbox.consume(idle=timedelta(seconds=5), burst=True) as jobs:
        for job in jobs:
            job.ack({"sent": True})
    assert_type(outbox.counts(), Counts)
    assert_type(outbox.dead(), list[JobRecord])
    assert_type(outbox.verify(), list[str])
    app.queue("outbox", engine="list")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def async_messages() -> None:
    outbox = app.queue("outbox")
    await outbox.aput("x")
    async for job in outbox.aconsume(block=False):
        async with job:
            print(job.payload)
    async with outbox.aconsume() as jobs:
        async for job in jobs:
            await job.aretry(delay=60)


async def a_worker_in_the_program() -> None:
    async with app, app.worker(concurrency=10, queues=["emails"]):
        await send_email.aenqueue("a@b.c", "s", "b")
