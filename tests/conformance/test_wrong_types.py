"""Keys that another program took for something else: a call that cannot do all of its work does none of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from homing.errors import WrongType
from homing.job import Ack, Again, Cancelled, Dead, Decision, Enqueued, HandBack, NewJob, State
from tests.conformance.driver import Queue
from tests.conformance.jobs import ERROR, MINUTE_MS, A, B, C, later

ENDS: dict[str, Decision] = {
    "ack": Ack(),
    "result": Ack(b"1"),
    "again": Again(1_000, attempt=1),
    "dead": Dead(ERROR, attempt=1),
    "back": HandBack(),
    "cancel": Cancelled(),
}
BESIDE = ("index", "scheduled", "ids", "suspects", "replies", "results", "finished", "dead", "stats")


@pytest.mark.parametrize("end", ENDS)
def test_a_settlement_beside_a_key_of_another_type_is_done_or_changes_nothing(queue: Queue, end: str) -> None:
    worker = queue.register()
    for key in BESIDE:
        queue.enqueue(replace(A, id=f"beside-{key}"))
        job = queue.claim(worker)[-1]  # behind one that was handed back
        with taken(queue, key):
            before = queue.dump()
            try:
                done = queue.decide(worker, job, ENDS[end]).done
            except WrongType:
                done = 0
                assert queue.dump() == before, key
        if not done:
            assert queue.decide(worker, job, ENDS[end]).done == 1, key


def test_a_cancelled_job_beside_a_key_of_another_type_is_gone_or_stays_as_it_was(queue: Queue) -> None:
    for key in BESIDE[1:]:  # without the index such a job would not be found
        queue.enqueue(replace(A, id="other"))
        with taken(queue, key):
            before = queue.dump()
            try:
                gone = queue.cancel("other")
            except WrongType:
                gone = None
                assert queue.dump() == before, key
        assert (gone or queue.cancel("other")) is State.WAITING, key


@pytest.mark.parametrize("job", [A, later(A, 5)])
def test_statistics_are_not_worth_a_job(queue: Queue, job: NewJob) -> None:
    queue.enqueue(B)  # from now on a job that comes alone is a plain one
    with taken(queue, "stats"):
        assert queue.enqueue(job) == [Enqueued.STORED]
    assert queue.statistics() == {}
    queue.enqueue(C)
    assert queue.statistics() == {"enqueued": 1}


@contextmanager
def taken(queue: Queue, key: str) -> Iterator[None]:
    """Meanwhile this key is another program's."""
    name = f"{queue.keys.base}:{key}"
    if key == "stats":
        name += f":{queue.now_ms // MINUTE_MS}"
    queue.raw.delete(name)
    queue.raw.set(name, "mine")
    yield
    queue.raw.delete(name)
