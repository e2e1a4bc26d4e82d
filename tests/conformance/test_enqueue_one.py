"""One plain job for a queue in use, which goes a road of its own: nobody may see a difference."""

import pytest

from homing.errors import WrongType
from homing.job import NewJob, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import MINUTE_MS, A, B, C, D, at_priority, chosen

E, MESSAGE = NewJob("e", "send", b'[["erin@example.com"],{}]'), NewJob("m", "", b'"hi"')


def test_it_is_stored_as_in_a_batch(queue: Queue) -> None:
    queue.enqueue(A)
    queue.enqueue(B)
    queue.enqueue(MESSAGE)
    queue.enqueue(C, D)
    if queue.engine.name == "lists":
        alone, together = (set(queue.raw.hgetall(queue.keys.job(one))) for one in ("b", "c"))
        assert alone == together
    assert queue.whole() == Whole(waiting=["a", "b", "m", "c", "d"])
    worker = queue.register()
    jobs = {
        job.id: (job.task, job.payload, job.meta, job.attempt, job.sum != b"") for job in queue.claim(worker)
    }
    assert list(jobs) == ["a", "b", "m", "c", "d"]
    assert jobs["b"] == (B.task, B.payload, b"", 0, True)
    assert jobs["m"] == ("", b'"hi"', b"", 0, True)
    assert queue.statistics()["enqueued"] == 5


def test_it_is_found_by_its_id(queue: Queue) -> None:
    queue.enqueue(A)
    queue.enqueue(B)
    record = queue.record("b")
    assert (record.state, record.payload, record.created_ms > 0) == (State.WAITING, B.payload, True)
    assert queue.cancel("b") is State.WAITING
    assert queue.whole() == Whole(waiting=["a"], cancelled=["b"])


def test_it_rings_when_nothing_rang_before(queue: Queue) -> None:
    queue.enqueue(A)
    assert queue.rung()
    queue.enqueue(B)
    assert queue.rung()
    assert not queue.rung()


def test_a_copy_of_it_adds_nothing(queue: Queue) -> None:
    queue.enqueue(A, lane="lane", number=3)
    queue.enqueue(B, lane="lane", number=4)
    before, writes = queue.dump(), queue.writes()
    for late in (4, 3, 2):
        queue.enqueue(C, lane="lane", number=late)
    assert queue.dump() == before
    assert queue.writes() > writes  # for a WAIT behind it to be about
    queue.enqueue(C, lane="lane", number=5)
    assert queue.whole() == Whole(waiting=["a", "b", "c"])


def test_a_copy_of_it_adds_nothing_when_its_lane_has_grown_old(queue: Queue) -> None:
    queue.enqueue(A)
    queue.enqueue(B, lane="lane", number=4)
    queue.enqueue(C, after_ms=15 * MINUTE_MS)
    queue.enqueue(D, after_ms=MINUTE_MS)
    queue.enqueue(E, lane="lane", number=4)
    assert queue.whole() == Whole(waiting=["a", "b", "c", "d"])
    queue.enqueue(E, lane="lane", number=5)
    assert queue.whole() == Whole(waiting=["a", "b", "c", "d", "e"])


def test_it_goes_on_behind_a_call_that_had_an_answer(queue: Queue) -> None:
    queue.enqueue(chosen(A))
    queue.enqueue(B, chosen(A), lane="lane", number=5)
    queue.enqueue(C, lane="lane", number=5)
    queue.enqueue(D, lane="lane", number=6)
    assert queue.whole() == Whole(waiting=["a", "b", "d"], ids=1)


def test_its_priority_is_announced_when_nobody_did(queue: Queue) -> None:
    queue.enqueue(at_priority(A, 10))
    queue.enqueue(B)
    queue.enqueue(C)
    worker = queue.register()
    assert [job.id for job in queue.claim(worker)] == ["a", "b", "c"]


def test_the_statistics_of_its_minute_are_kept_for_a_day(queue: Queue) -> None:
    queue.enqueue(A)
    queue.enqueue(B, after_ms=MINUTE_MS)
    names = [name for name in queue.names() if name.startswith("stats:")]
    assert len(names) == 2
    assert all(queue.ttl_s(name) in range(86_335, 86_401) for name in names)


@pytest.mark.parametrize("name", ["jobs", "index", "lanes", "lanes:old", "meta"])
def test_a_key_of_another_type_stops_it_before_its_first_write(queue: Queue, name: str) -> None:
    queue.enqueue(A)
    at = queue.keys.stream(0) if queue.engine.name == "streams" else queue.keys.waiting(0)
    key = at if name == "jobs" else f"{queue.keys.base}:{name}"
    if name == "index" and queue.engine.name == "lists":
        return  # it has none
    before = queue.raw.dump(key) if queue.raw.exists(key) else None
    queue.raw.set(key, "nonsense")
    wrong = queue.dump()
    with pytest.raises(WrongType):
        queue.enqueue(B)
    assert queue.dump() == wrong
    queue.raw.delete(key)
    if before is not None:
        queue.raw.restore(key, 0, before)
    queue.enqueue(B)
    assert queue.whole() == Whole(waiting=["a", "b"])
