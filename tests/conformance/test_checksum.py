"""The checksum beside a payload goes with the job into every state, and shows what a payload lost."""

import pytest
from msgspec.structs import replace

from homing.checksum import checksum
from homing.job import Claimed, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, B, C, D, at_priority, ids, later

SUM = checksum(B.task, B.payload)


def _flip(queue: Queue, job_id: str = "b") -> None:
    """One bit of a stored payload flips, where the job stands in a hash."""
    payload = queue.raw.hget(queue.keys.job(job_id), "payload")
    queue.raw.hset(queue.keys.job(job_id), "payload", payload[:-3] + bytes([payload[-3] ^ 4]) + payload[-2:])


def _taken(queue: Queue, worker: str) -> Claimed:
    job = queue.claim_one(worker)
    assert (job.id, job.sum, job.payload, job.corrupted) == ("b", SUM, B.payload, False)
    return job


def test_the_checksum_travels_through_every_state(queue: Queue) -> None:
    queue.enqueue(later(at_priority(B, 3), 1_000))
    worker = queue.register()
    queue.tick(worker, after_ms=1_000)
    job = _taken(queue, worker)
    queue.again(worker, job, 500, meta=b'{"seen":1}')
    queue.now_ms += 500
    job = _taken(queue, worker)
    queue.hand_back(worker, job)
    job = _taken(queue, worker)
    queue.bury(worker, job)
    assert queue.replay("b") == ["b"]
    _taken(queue, worker)
    assert queue.held(worker).jobs[0].sum == SUM
    queue.reclaim(worker, "died", "b")
    _taken(queue, queue.register())
    assert not queue.record("b").corrupted


@pytest.mark.parametrize("meta", [b"", b'{"timeout":3}'])
def test_a_waiting_job_keeps_its_checksum(queue: Queue, meta: bytes) -> None:
    queue.enqueue(A, replace(B, meta=meta), C)
    jobs = queue.claim(queue.register())
    assert [job.sum for job in jobs] == [checksum(job.task, job.payload) for job in (A, B, C)]
    assert [job.meta for job in jobs] == [A.meta, meta, b""]


@pytest.mark.parametrize("field", ["payload", "task"])
def test_what_was_changed_in_a_stored_job_shows(queue: Queue, field: str) -> None:
    queue.enqueue(later(A, 1_000), later(B, 1_000))
    if field == "payload":
        _flip(queue)
    else:
        queue.raw.hset(queue.keys.job("b"), "task", "sent")
    assert queue.record("b").corrupted
    worker = queue.register()
    queue.tick(worker, after_ms=1_000)
    jobs = queue.claim(worker)
    assert {job.id: job.corrupted for job in jobs} == {"a": False, "b": True}
    [found] = [job for job in jobs if job.id == "b"]
    queue.bury(worker, found, attempt=0)
    record = queue.record("b")
    assert (record.state, record.corrupted, record.attempt) == (State.DEAD, True, 0)
    assert queue.whole() == Whole(active={"w1": ["a"]}, dead=["b"], workers=["w1"])


def test_a_corrupted_job_that_is_replayed_is_still_corrupted(queue: Queue) -> None:
    queue.enqueue(B)
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker))
    _flip(queue)
    queue.replay("b")
    job = queue.claim_one(worker)
    assert (job.corrupted, job.sum) == (True, SUM)


def test_a_corrupted_job_whose_checksum_was_taken_away_may_run(queue: Queue) -> None:
    queue.enqueue(B)
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker))
    _flip(queue)
    queue.raw.hdel(queue.keys.job("b"), "sum")
    queue.replay("b")
    job = queue.claim_one(worker)
    assert (job.corrupted, job.sum, job.payload) == (False, b"", b'[["bob@example.com"],\x7f}]')


def test_a_foreign_job_may_bring_a_checksum_or_none(queue: Queue) -> None:
    queue.foreign({"payload": '{"n":1}'}, job_id="none")
    queue.foreign({"payload": '{"n":1}', "sum": checksum("", b'{"n":1}').decode()}, job_id="right")
    queue.foreign({"task": "send", "payload": "[[],{}]", "sum": "00000000"}, job_id="wrong")
    queue.foreign({"item": "tea", "sum": "12.50"}, job_id="price")
    jobs = {job.id: job for job in queue.claim(queue.register())}
    assert {job_id: job.corrupted for job_id, job in jobs.items()} == {
        "none": False, "right": False, "wrong": True, "price": False,
    }  # fmt: skip
    assert jobs["price"].fields == {"item": "tea", "sum": "12.50"}
    record = queue.record("price")
    assert (record.fields, record.corrupted) == ({"item": "tea", "sum": "12.50"}, False)


def test_a_foreign_price_survives_a_retry(queue: Queue) -> None:
    queue.foreign({"item": "tea", "sum": "12.50"}, job_id="price")
    worker = queue.register()
    queue.again(worker, queue.claim_one(worker), 10)
    queue.tick(worker, after_ms=10)
    assert queue.claim_one(worker).fields == {"item": "tea", "sum": "12.50"}


def test_jobs_of_a_release_without_checksums_run(queue: Queue) -> None:
    """Their entries have other positions than ours."""
    queue.enqueue(D)
    for job_id, meta in (("old", ""), ("older", '{"timeout":3}')):
        queue.foreign(
            {"task": "send", "payload": "[[],{}]", "attempt": "2", **({"meta": meta} if meta else {})},
            job_id=job_id,
        )
    jobs = queue.claim(queue.register())
    assert ids(jobs) == ["d", "old", "older"]
    assert [(job.task, job.payload, job.attempt, job.meta, job.corrupted) for job in jobs[1:]] == [
        ("send", b"[[],{}]", 2, b"", False),
        ("send", b"[[],{}]", 2, b'{"timeout":3}', False),
    ]
