"""Messages in and out: put, consume, and every way in which one is settled."""

import asyncio
import time

import pytest

from homing import App, Backoff, Bury, Cancel, Fixed, Queue, Retry, State
from homing.command import Command
from homing.errors import (
    JobError,
    JobExists,
    JobNotSettled,
    LeaseLost,
    PayloadTooLarge,
    SettingsError,
    WrongEngine,
)
from homing.job import Counts
from tests.integration.queues.waiting import eventually


def bodies(queue: Queue, **options: object) -> list[object]:
    """Consume what is there and ack it."""
    taken = []
    for job in queue.consume(burst=True, **options):  # type: ignore[arg-type]
        with job:
            taken.append(job.payload)
    return taken


def test_messages_come_out_in_the_order_they_went_in(queue: Queue) -> None:
    queue.put({"recipient": "bob@example.com", "body": "Größe: „9½“"})
    queue.put_many([None, [1, 2], "three"])
    assert bodies(queue) == [{"recipient": "bob@example.com", "body": "Größe: „9½“"}, None, [1, 2], "three"]
    assert (queue.counts(), queue.verify()) == (Counts(finished=4), [])


def test_a_higher_priority_comes_first(queue: Queue) -> None:
    queue.put("later")
    queue.put("now", priority=100)
    queue.put("last", priority=-100)
    assert bodies(queue) == ["now", "later", "last"]


def test_a_delayed_message_waits_for_its_time(queue: Queue) -> None:
    job = queue.put("in a moment", delay=0.3)
    assert job.state is State.SCHEDULED
    start = time.monotonic()
    assert bodies(queue) == ["in a moment"]
    assert 0.25 < time.monotonic() - start < 3


def test_an_id_is_taken_while_its_job_exists_and_after(queue: Queue) -> None:
    queue.put("welcome", id="welcome-42")
    with pytest.raises(JobExists, match="welcome-42"):
        queue.put("again", id="welcome-42")
    assert bodies(queue) == ["welcome"]
    with pytest.raises(JobExists, match="id_ttl"):
        queue.put("again", id="welcome-42")


def test_an_exception_retries_as_the_policy_says_and_the_loop_goes_on(queue: Queue) -> None:
    queue.put_many(["moody", "fine"])
    runs = []
    for job in queue.consume(burst=True, retry=Fixed(times=2, delay=0.05)):
        with job:
            runs.append((job.payload, job.attempt))
            if job.payload == "moody" and job.attempt < 3:
                raise ConnectionError("451 try again later")
    assert runs == [("moody", 1), ("fine", 1), ("moody", 2), ("moody", 3)]
    assert queue.counts() == Counts(finished=2)


def test_without_runs_left_a_message_is_buried_with_its_error(queue: Queue) -> None:
    job = queue.put("refused")
    for message in queue.consume(burst=True):
        with message:
            raise ValueError("550 no such user")
    [dead] = queue.dead()
    assert (dead.id, dead.payload, dead.attempt) == (job.id, b'"refused"', 1)
    assert b"550 no such user" in dead.error
    assert (queue.counts(), queue.verify()) == (Counts(dead=1), [])


def test_a_dead_message_is_replayed_as_if_new(queue: Queue) -> None:
    job = queue.put("refused")
    for message in queue.consume(burst=True):
        with message:
            raise ValueError("550")
    assert queue.replay() == [job.id]
    for message in queue.consume(block=False):
        with message:
            assert (message.payload, message.attempt) == ("refused", 1)
    assert queue.counts() == Counts(finished=1)


@pytest.mark.parametrize(
    ("outcome", "left"),
    [
        (Bury("not for us"), Counts(dead=1)),
        (Cancel("changed my mind"), Counts(finished=1)),
        (Retry(delay=3600), Counts(scheduled=1)),
    ],
)
def test_a_raised_outcome_decides(queue: Queue, outcome: Exception, left: Counts) -> None:
    queue.put("x")
    for job in queue.consume(block=False):
        with job:
            raise outcome
    assert queue.counts() == left


def test_each_verb_settles_once(queue: Queue) -> None:
    queue.put_many(["ack", "retry", "bury", "cancel", "release"])
    consumer = queue.consume(prefetch=5, retry=Backoff(times=1))
    for job in consumer:
        if job.payload == "release":
            job.release()
            break
        verb = getattr(job, job.payload)
        verb()
        with pytest.raises(JobError, match="settled before"):
            job.ack()
    consumer.close()
    assert queue.counts() == Counts(waiting=1, scheduled=1, dead=1, finished=2)
    assert queue.verify() == []


def test_going_on_with_an_unsettled_message_hands_it_back_and_says_so(queue: Queue) -> None:
    queue.put_many(["first", "second"])
    with pytest.raises(JobNotSettled, match="with job:"):
        for _ in queue.consume():
            pass
    assert queue.counts() == Counts(waiting=2)
    assert bodies(queue) == ["first", "second"]


def test_leaving_with_an_unsettled_message_hands_it_back_and_says_so(queue: Queue) -> None:
    queue.put("first")
    with pytest.raises(JobNotSettled), queue.consume() as jobs:
        assert next(jobs).payload == "first"
    assert queue.counts() == Counts(waiting=1)


def test_a_loop_that_is_left_leaves_the_queue_at_once(queue: Queue) -> None:
    queue.put_many(["first", "second"])
    for job in queue.consume(prefetch=2):
        with job:
            break
    assert queue.counts() == Counts(waiting=1, finished=1)


def test_an_exception_outside_of_with_hands_the_message_back(queue: Queue) -> None:
    queue.put("first")
    with pytest.raises(ZeroDivisionError) as raised, queue.consume() as jobs:
        for _ in jobs:
            raise ZeroDivisionError
    assert "without an outcome" in raised.value.__notes__[0]
    assert queue.counts() == Counts(waiting=1)


def test_stopping_the_program_hands_the_message_back_uncharged(queue: Queue) -> None:
    queue.put("first")
    with pytest.raises(KeyboardInterrupt), queue.consume() as jobs:
        for job in jobs:
            with job:
                raise KeyboardInterrupt
    [record] = queue.peek(State.WAITING).jobs
    assert (record.attempt, queue.counts()) == (0, Counts(waiting=1))


def test_what_a_consumer_prefetched_goes_back_in_order_when_it_leaves(queue: Queue) -> None:
    queue.put_many(range(10))
    with queue.consume(prefetch=10) as jobs, next(jobs):
        assert queue.counts() == Counts(active=10, workers=1)
    assert bodies(queue) == list(range(1, 10))


def test_a_lost_lease_is_told_and_the_loop_goes_on(app: App, queue: Queue) -> None:
    queue.put_many(["first", "second"])
    tokens: dict[str, list[int]] = {}
    refused = 0
    with queue.consume(prefetch=2, idle=1) as jobs:
        for job in jobs:
            tokens.setdefault(job.payload, []).append(job.token)
            if len(tokens) == 1 and refused == 0:
                [worker] = queue.workers()
                app.client.run(queue.engine(app.client).reclaim(worker.id, reason="died"))
                with pytest.raises(LeaseLost, match="runs again elsewhere"):
                    job.ack()
                refused += 1
                assert job.lost
                continue
            with job:
                assert not job.lost
    before, after = tokens["first"]
    assert after > before
    assert (list(tokens), queue.counts().finished, queue.verify()) == (["first", "second"], 2, [])


def test_a_thread_keeps_the_lease_while_a_message_takes_long(app: App, queue: Queue) -> None:
    app.client.run(queue.engine(app.client).open({"lease_ms": 400}))
    queue.put("long")
    with queue.consume(block=False) as jobs:
        for job in jobs:
            with job:
                [worker] = queue.workers()
                end = time.monotonic() + 1.6  # four leases
                while time.monotonic() < end:
                    assert [each.id for each in queue.workers() if each.expires_in_ms > 0] == [worker.id]
                assert not job.lost
    assert queue.counts() == Counts(finished=1)


def test_a_blocked_consumer_has_a_message_as_soon_as_it_is_put(app: App, queue: Queue) -> None:
    import threading

    taken: list[float] = []

    def consume() -> None:
        for job in queue.consume(idle=5):
            with job:
                taken.append(time.monotonic() - job.payload)
            if len(taken) == 3:
                return

    thread = threading.Thread(target=consume)
    thread.start()
    eventually(lambda: queue.counts().workers == 1)
    for number in range(3):
        queue.put(time.monotonic())
        eventually(lambda number=number: len(taken) == number + 1)  # type: ignore[misc]
    thread.join()
    assert max(taken) < 1, taken


def test_a_paused_queue_gives_nothing_until_it_is_resumed(queue: Queue) -> None:
    queue.put("x")
    queue.pause()
    assert (bodies(queue), queue.counts()) == ([], Counts(waiting=1, paused=True))
    queue.resume()
    assert bodies(queue) == ["x"]


def test_a_hash_of_plain_fields_is_a_message_of_its_fields(app: App) -> None:
    queue = app.queue("outbox", engine="lists")
    key = queue.keys.job("1")
    fields = ("recipient", "a@b.c", "subject", "hi")
    app.client.run_many(
        [
            Command(("HSET",), (key,), fields, int),
            Command(("LPUSH",), (queue.keys.waiting(0),), ("1",), int, resend=False),
        ]
    )
    for job in queue.consume(block=False):
        with job:
            assert job.payload == job.fields == {"recipient": "a@b.c", "subject": "hi"}
    assert queue.counts() == Counts(finished=1)


def test_a_payload_that_does_not_decode_is_buried_whole_and_the_loop_goes_on(app: App) -> None:
    queue = app.queue("outbox", engine="lists")
    queue.put("good")
    broken = queue.put("soon broken")
    queue.put("good too")
    app.client.run(Command(("HSET",), (queue.keys.job(broken.id),), ("payload", '{"half'), int))
    app.client.run(Command(("HDEL",), (queue.keys.job(broken.id),), ("homing",), int))
    assert bodies(queue) == ["good", "good too"]
    [dead] = queue.dead()
    assert (dead.id, dead.payload) == (broken.id, b'{"half')
    assert b"does not decode" in dead.error


def test_the_queue_of_the_other_engine_is_refused(app: App, valkey: object) -> None:
    app.queue("outbox", engine="lists").put("x")
    other = App(app.settings.url, prefix=app.settings.prefix)
    with other, pytest.raises(WrongEngine, match="lists"):
        other.queue("outbox", engine="streams").put("y")


def test_no_engine_takes_what_the_queue_has(app: App) -> None:
    app.queue("outbox", engine="lists").put("x")
    with App(app.settings.url, prefix=app.settings.prefix) as other:
        queue = other.queue("outbox")
        queue.put("y")
        assert (bodies(queue), queue.engine(other.client).name) == (["x", "y"], "lists")


def test_looking_at_a_queue_makes_none(app: App) -> None:
    queue = app.queue("typo")
    assert (queue.counts(), queue.peek().jobs, queue.workers(), queue.verify()) == (Counts(), [], [], [])
    assert list(app.client.scan(f"{app.settings.prefix}:*")) == []


def test_bad_values_are_refused_before_anything_is_sent(app: App, queue: Queue) -> None:
    with pytest.raises(TypeError, match=r"payload\.x"):
        queue.put({"x": {1, 2}})
    with pytest.raises(PayloadTooLarge, match="1,048,576"):
        queue.put("x" * (1 << 20))
    for bad in (float("nan"), -1, 1e12):
        with pytest.raises(SettingsError, match="delay"):
            queue.put("x", delay=bad)
    with pytest.raises(SettingsError, match="priority"):
        queue.put("x", priority=101)
    with pytest.raises(SettingsError, match="job id"):
        queue.put("x", id="a b")
    with pytest.raises(SettingsError, match="prefetch"):
        queue.consume(prefetch=0)
    assert list(app.client.scan(f"{app.settings.prefix}:*")) == []


def test_a_message_that_was_changed_in_the_server_is_buried_and_the_next_one_comes(
    app: App, queue: Queue
) -> None:
    queue.put("bad", delay=0.05, id="bad")
    queue.put("good", delay=0.06)
    app.client.run(Command(("HSET",), (queue.keys.job("bad"),), ("payload", b'"bed"'), int))
    assert bodies(queue) == ["good"]
    [record] = queue.dead()
    assert (record.id, record.payload, record.corrupted, record.attempt) == ("bad", b'"bed"', True, 0)
    assert b'"reason":"corrupted"' in record.error
    queue.replay(["bad"])
    assert bodies(queue) == []
    assert (queue.counts(), queue.verify()) == (Counts(finished=1, dead=1, ids=1), [])


@pytest.mark.parametrize("last", ["at-once", "cancelled-on-the-way"])
def test_a_loop_left_as_its_event_loop_ends_gives_back_what_it_held(queue: Queue, last: str) -> None:
    async def take_one() -> None:
        async for job in queue.aconsume(prefetch=3):
            async with job:
                break
        if last != "at-once":
            await asyncio.sleep(0)  # its leaving has begun when the end of the event loop cancels it

    queue.put_many(["first", "second", "third"])
    asyncio.run(take_one())
    eventually(lambda: queue.counts() == Counts(waiting=2, finished=1))
