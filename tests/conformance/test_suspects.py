"""Suspects: jobs with two marks come alone, and those that take their workers with them are buried."""

import pytest
from msgspec.structs import replace

from homing.job import Claimed, NewJob, Reclaimed, State
from tests.conformance.deaths import crash, marks
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, A, B, C, at_priority, chosen, ids


def test_a_job_with_two_marks_comes_alone(queue: Queue) -> None:
    queue.enqueue(A, B)
    crash(queue, "b")
    worker = crash(queue, "b")
    assert marks(queue, "b") == (2, 0)
    assert queue.tick(worker).alone == 1
    queue.do(queue.engine.pause())
    assert queue.tick(worker).alone == 0  # nobody may have it now
    queue.do(queue.engine.resume())
    claim = queue.claim_whole(worker)
    assert [(job.id, job.alone) for job in claim.jobs] == [("b", True)]
    other = queue.register()
    assert [(job.id, job.alone) for job in queue.claim(other)] == [("a", False)]
    active = queue.whole().active
    assert {job_ids[0] for job_ids in active.values()} == {"a", "b"}
    assert queue.tick(worker).alone == 0


def test_one_crash_and_one_suspicion_make_a_suspect(queue: Queue) -> None:
    queue.enqueue(A, B)
    first = crash(queue, "a")
    queue.claim(first)
    second = queue.register()
    queue.tick_past_lease(second)
    queue.reclaim(first, "lapsed")
    assert (marks(queue, "a"), marks(queue, "b")) == ((1, 1), (0, 1))
    assert [(job.id, job.alone) for job in queue.claim(second)] == [("a", True)]


def _suspects(queue: Queue, *jobs: NewJob) -> None:
    """Jobs with two marks each, waiting."""
    queue.enqueue(*jobs)
    for _ in range(2):
        worker = queue.register()
        while claimed := queue.claim(worker):
            if claimed[0].alone:
                queue.hand_back(worker, *claimed)
                break
        queue.reclaim(worker, "died", *ids(jobs))
    assert queue.counts().suspects == len(jobs)


def test_a_suspect_is_not_given_to_a_worker_that_holds_something(queue: Queue) -> None:
    _suspects(queue, A)
    queue.enqueue(B, C)
    worker, other = queue.register(), queue.register()
    assert [(job.id, job.alone) for job in queue.claim(other, limit=1)] == [("a", True)]
    [busy] = queue.claim(worker, limit=1)
    queue.hand_back(other, *_held(queue, other))
    assert queue.whole() == Whole(
        waiting=["a", "c"], active={worker: ["b"]}, workers=[worker, other], suspects=1
    )
    assert ids(queue.claim(worker)) == ["c"]
    assert queue.claim(worker) == []
    queue.ack(worker, busy, *_held(queue, worker, "b"))
    assert [(job.id, job.alone) for job in queue.claim(worker)] == [("a", True)]
    assert queue.whole() == Whole(
        active={worker: ["a"]}, completed=["b", "c"], workers=[worker, other], suspects=1
    )


def _held(queue: Queue, worker: str, *known: str) -> list[Claimed]:
    return queue.held(worker, *known).jobs


def test_a_worker_with_a_suspect_gets_nothing_else(queue: Queue) -> None:
    _suspects(queue, A)
    queue.enqueue(B)
    worker = queue.register()
    [job] = queue.claim(worker)
    assert (job.id, job.alone) == ("a", True)
    assert queue.claim(worker) == []
    assert queue.whole() == Whole(waiting=["b"], active={worker: ["a"]}, workers=[worker], suspects=1)
    queue.ack(worker, job)
    assert [(job.id, job.alone) for job in queue.claim(worker)] == [("b", False)]


def test_held_tells_that_a_suspect_is_alone(queue: Queue) -> None:
    _suspects(queue, A)
    worker = queue.register()
    queue.claim(worker)
    assert [(job.id, job.alone) for job in queue.held(worker).jobs] == [("a", True)]
    queue.ack(worker, *_held(queue, worker))
    queue.enqueue(B)
    queue.claim(worker)
    assert [(job.id, job.alone) for job in queue.held(worker).jobs] == [("b", False)]


def test_suspects_come_one_by_one(queue: Queue) -> None:
    _suspects(queue, A, at_priority(B, 5))
    first, second = queue.register(), queue.register()
    claimed = [queue.claim(worker) for worker in (first, second)]
    assert [[job.alone for job in jobs] for jobs in claimed] == [[True], [True]]
    assert sorted(job.id for jobs in claimed for job in jobs) == ["a", "b"]


def test_a_suspect_that_failed_comes_alone_again(queue: Queue) -> None:
    _suspects(queue, A)
    worker = queue.register()
    queue.again(worker, queue.claim_one(worker), 1_000)
    queue.tick(worker, after_ms=1_000)
    assert [(job.id, job.alone) for job in queue.claim(worker)] == [("a", True)]
    assert queue.whole() == Whole(active={worker: ["a"]}, workers=[worker], suspects=1)


def test_a_suspect_that_failed_does_not_come_with_others(queue: Queue) -> None:
    _suspects(queue, A)
    worker = queue.register()
    queue.again(worker, queue.claim_one(worker), 1_000)
    queue.enqueue(B, C)
    queue.now_ms += 1_000
    turns = []
    while claimed := queue.claim(worker):
        turns.append({job.id: job.alone for job in claimed})
        queue.ack(worker, *claimed)
    turns.sort(key=len)
    assert turns == [{"a": True}, {"b": False, "c": False}]
    assert queue.whole() == Whole(completed=["a", "b", "c"], workers=[worker])


def test_a_suspect_handed_back_comes_alone_again(queue: Queue) -> None:
    _suspects(queue, A)
    queue.enqueue(B)
    worker = queue.register()
    queue.hand_back(worker, *queue.claim(worker))
    assert queue.whole() == Whole(waiting=["a", "b"], workers=[worker], suspects=1)
    assert [(job.id, job.alone) for job in queue.claim(worker)] == [("a", True)]


def _lapse(queue: Queue) -> Reclaimed:
    """A worker that claimed is not heard of until its lease is over."""
    worker, other = queue.register(), queue.register()
    queue.claim(worker)
    queue.tick_past_lease(other)
    reclaimed = queue.reclaim(worker, "lapsed")
    queue.reclaim(other, "left")
    return reclaimed


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_a_suspect_whose_worker_lapsed_is_not_charged_a_crash(queue: Queue) -> None:
    _suspects(queue, A)
    assert _lapse(queue) == Reclaimed(1, 0, more=False)
    assert marks(queue, "a") == (2, 1)
    assert queue.whole() == Whole(waiting=["a"], suspects=1)
    worker = crash(queue, "a")
    assert marks(queue, "a") == (3, 1)
    assert queue.whole() == Whole(dead=["a"], workers=[worker], suspects=1)


@pytest.mark.exact_answers("a copy tells what it moved itself")
@pytest.mark.parametrize("crash_max", [1, 3])
def test_a_job_that_takes_whole_workers_with_it_is_buried_after_as_many_alone(
    queue: Queue, crash_max: int
) -> None:
    queue.open(crash_max=crash_max)
    queue.enqueue(A)
    for suspicions in range(1, crash_max + 2):
        assert _lapse(queue) == Reclaimed(1, 0, more=False)
        assert marks(queue, "a") == (0, suspicions)
    assert _lapse(queue) == Reclaimed(0, 1, more=False)
    assert marks(queue, "a") == (0, crash_max + 2)
    assert queue.whole() == Whole(dead=["a"], suspects=1)


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_a_job_that_crashed_too_often_is_buried_with_the_error(queue: Queue) -> None:
    job = replace(A, priority=4)
    queue.enqueue(job)
    for _ in range(2):
        crash(queue, "a")
    worker = queue.register()
    queue.claim(worker)
    assert queue.reclaim(worker, "died", "a") == Reclaimed(0, 1, more=False)
    record = queue.record("a")
    assert (record.state, record.error, record.crashes) == (State.DEAD, ERROR, 3)
    assert (record.payload, record.meta, record.priority, record.task) == (A.payload, A.meta, 4, "send")
    assert (record.ended_ms, record.attempt) == (queue.now_ms, 0)
    whole = queue.whole()
    assert (whole.dead, whole.suspects, whole.strays, whole.problems) == (["a"], 1, [], [])


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_how_often_a_job_may_crash_is_the_queues_setting(queue: Queue) -> None:
    queue.open(crash_max=1)
    queue.enqueue(A, B)
    worker = queue.register()
    queue.claim(worker)
    assert queue.reclaim(worker, "died", "a") == Reclaimed(1, 1, more=False)
    assert queue.whole() == Whole(waiting=["b"], dead=["a"], suspects=1)


def test_reclaim_of_a_chosen_id_that_dies_keeps_it_taken(queue: Queue) -> None:
    queue.open(crash_max=1)
    queue.enqueue(chosen(A))
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    assert queue.whole() == Whole(dead=["a"], suspects=1, ids=1)


def test_a_worker_whose_suspect_vanished_takes_others_again(queue: Queue) -> None:
    _suspects(queue, A)
    queue.enqueue(B)
    worker = queue.register()
    queue.claim(worker)
    queue.hand_back(worker, *_held(queue, worker))
    queue.claim(worker)
    queue.raw.delete(queue.keys.job("a"), queue.keys.stream(0))  # somebody deleted the body
    assert queue.held(worker).jobs == []
    queue.enqueue(C)
    claim = queue.claim(worker)
    assert ("c", False) in [(job.id, job.alone) for job in claim]
    assert [job.alone for job in queue.held(worker).jobs] == [False] * len(claim)
