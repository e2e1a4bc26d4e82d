"""Keys that another program took for something else: a call that cannot do all of its work does none of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from homing.engines.engine import ReclaimReason
from homing.errors import WrongType
from homing.job import Ack, Again, Cancelled, Dead, Decision, Enqueued, HandBack, NewJob, State
from tests.conformance.deaths import crash, marks
from tests.conformance.driver import Queue
from tests.conformance.jobs import ERROR, MINUTE_MS, A, B, C, D, later, made_at, settlement

#: What may become of a job, and the state in which it is then found.
ENDS: dict[str, tuple[Decision, State]] = {
    "ack": (Ack(), State.COMPLETED),
    "result": (Ack(b"1"), State.COMPLETED),
    "again": (Again(1_000, attempt=1), State.SCHEDULED),
    "dead": (Dead(ERROR, attempt=1), State.DEAD),
    "back": (HandBack(), State.WAITING),
    "cancel": (Cancelled("no"), State.CANCELLED),
}
BESIDE = ("scheduled", "ids", "suspects", "replies", "results", "finished", "dead", "stats")


def beside(queue: Queue) -> tuple[str, ...]:
    """Keys that another program may take while a job is in a worker's hands: they hold no part of it."""
    return (*BESIDE, *(("waiting:0", "alone") if queue.engine.name == "lists" else ("index",)))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("awaited", [False, True])
def test_a_settlement_beside_a_key_of_another_type_is_done_or_changes_nothing(
    queue: Queue, end: str, *, awaited: bool
) -> None:
    decision, state = ENDS[end]
    for number, key in enumerate(beside(queue)):
        worker = queue.register()
        job_id = made_at(queue.now_ms, number)  # it says where the job stands: of an index that is gone too
        queue.enqueue(replace(A, id=job_id))
        job = next(job for job in queue.claim(worker) if job.id == job_id)
        if awaited and key != "replies":
            queue.follow(job.id)
        with taken(queue, key):
            before = queue.dump()
            try:
                done = queue.decide(worker, job, decision).done
            except WrongType:
                done = 0
                assert queue.dump() == before, key
        if not done:
            assert queue.decide(worker, job, decision).done == 1, key
        assert queue.record(job.id).state is state, key


@pytest.mark.parametrize("end", ["ack", "result", "dead", "cancel"])
def test_jobs_end_though_a_list_of_replies_is_of_another_type(queue: Queue, end: str) -> None:
    decision, state = ENDS[end]
    queue.enqueue(A, B)
    for job_id in ("a", "b"):
        queue.follow(job_id)
    queue.follow("b", process="other")
    worker = queue.register()
    with taken(queue, "reply:p"):
        assert queue.settle(worker, *(settlement(job, decision) for job in queue.claim(worker))).done == 2
    assert [queue.record(job_id).state for job_id in ("a", "b")] == [state, state]
    assert len(queue.told("other")) == 1
    assert not queue.raw.exists(queue.keys("replies"))


@pytest.mark.exact_answers("a copy tells what it moved itself")
@pytest.mark.parametrize("reason", ["died", "lapsed", "left"])
@pytest.mark.parametrize("crash_max", [1, 3])
def test_a_reclaim_beside_a_key_of_another_type_is_done_or_changes_nothing(
    queue: Queue, reason: ReclaimReason, crash_max: int
) -> None:
    queue.open(crash_max=crash_max)
    for number, key in enumerate(beside(queue)):
        queue.enqueue(replace(A, id=made_at(queue.now_ms, number)))
        worker = queue.register()
        [job] = queue.claim(worker)
        queue.tick_past_lease()
        with taken(queue, key):
            before = queue.dump()
            try:
                back = queue.reclaim(worker, reason, job.id)
            except WrongType:
                back = None
                assert queue.dump() == before, key
        back = back or queue.reclaim(worker, reason, job.id)
        assert back.moved + back.buried == 1, key
        assert marks(queue, job.id) == {"died": (1, 0), "lapsed": (0, 1), "left": (0, 0)}[reason], key
        queue.remove(job.id)


@pytest.mark.exact_answers("a copy tells what it moved itself")
@pytest.mark.parametrize("by", ["hand back", "reclaim"])
def test_a_suspect_stays_in_its_hands_while_its_place_apart_is_of_another_type(queue: Queue, by: str) -> None:
    if queue.engine.name == "streams":
        pytest.skip("its place apart is a consumer of its stream")
    queue.enqueue(A)
    crash(queue, "a")
    worker = crash(queue, "a")
    [job] = queue.claim(worker)
    assert job.alone

    def give_back() -> int:
        if by == "hand back":
            return queue.hand_back(worker, job).done
        return queue.reclaim(worker, "left").moved

    with taken(queue, "alone"):
        before = queue.dump()
        with pytest.raises(WrongType):
            give_back()
        assert queue.dump() == before
    assert give_back() == 1
    assert queue.whole().waiting == ["a"]


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize("verb", ["purge", "remove"])
def test_jobs_are_not_deleted_half_while_nobody_can_be_told(queue: Queue, verb: str) -> None:
    queue.enqueue(replace(A, own_id=True), B)

    def delete() -> bool:
        return queue.purge(State.WAITING) == 2 if verb == "purge" else queue.remove("a") is State.WAITING

    with taken(queue, "replies"):
        before = queue.dump()
        with pytest.raises(WrongType):
            delete()
        assert queue.dump() == before
    assert delete()


def test_dead_letters_are_purged_whoever_waits_for_others(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker))
    with taken(queue, "replies"):
        assert queue.purge(State.DEAD) == 1


def test_a_cancelled_job_beside_a_key_of_another_type_is_gone_or_stays_as_it_was(queue: Queue) -> None:
    for key in BESIDE:
        queue.enqueue(replace(A, id="other"))
        with taken(queue, key):
            before = queue.dump()
            try:
                gone = queue.cancel("other")
            except WrongType:
                gone = None
                assert queue.dump() == before, key
        assert (gone or queue.cancel("other")) is State.WAITING, key
        assert queue.record("other").state is State.CANCELLED, key


@pytest.mark.parametrize("job", [C, A, later(A, 5)], ids=["plain", "with-meta", "later"])
def test_statistics_are_not_worth_a_job(queue: Queue, job: NewJob) -> None:
    queue.enqueue(B)  # from now on a job that comes alone is a plain one
    with taken(queue, "stats"):
        assert queue.enqueue(job) == [Enqueued.STORED]
    assert queue.statistics() == {}
    queue.enqueue(D)
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
