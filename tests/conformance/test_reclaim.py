"""Reclaim: every way back without an outcome, and who is charged for it."""

import pytest
from msgspec.structs import replace

from homing.engines.engine import ReclaimReason
from homing.job import Claimed, NewJob, Reclaimed, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, A, B, C, D, at_priority, chosen, ids, many


def marks(queue: Queue, job_id: str) -> tuple[int, int]:
    job = queue.record(job_id)
    return job.crashes, job.suspicions


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_what_a_worker_left_goes_to_the_front_in_its_old_order(queue: Queue) -> None:
    queue.enqueue(A, B, C, D)
    worker = queue.register()
    queue.claim(worker, limit=1)
    queue.claim(worker, limit=2)
    assert queue.reclaim(worker, "left") == Reclaimed(3, 0, more=False)
    assert queue.whole() == Whole(waiting=["a", "b", "c", "d"])
    assert ids(queue.claim(queue.register())) == ["a", "b", "c", "d"]


def test_each_job_goes_back_to_its_priority(queue: Queue) -> None:
    queue.enqueue(A, at_priority(B, 7), at_priority(C, -7), D)
    worker = queue.register()
    queue.claim(worker, limit=2)
    queue.claim(worker)
    queue.enqueue(at_priority(NewJob("e"), 7))
    queue.reclaim(worker)
    assert queue.whole() == Whole(waiting=["b", "e", "a", "d", "c"])


def test_what_two_workers_left_keeps_its_order_within_each(queue: Queue) -> None:
    queue.enqueue(*many(6))
    first, second = queue.register(), queue.register()
    mine, yours = ids(queue.claim(first, limit=3)), ids(queue.claim(second, limit=3))
    queue.reclaim(second)
    queue.reclaim(first)
    waiting = queue.whole().waiting
    assert sorted(waiting) == sorted(mine + yours)
    assert [one for one in waiting if one in mine] == mine
    assert [one for one in waiting if one in yours] == yours


def test_leaving_charges_nobody(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "left", "a")
    assert marks(queue, "a") == (0, 0)
    assert queue.whole() == Whole(waiting=["a"])


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_a_death_that_was_seen_charges_what_had_started(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.claim(worker)
    assert queue.reclaim(worker, "died", "a") == Reclaimed(2, 0, more=False)
    assert (marks(queue, "a"), marks(queue, "b")) == ((1, 0), (0, 0))
    assert queue.whole() == Whole(waiting=["a", "b"], suspects=1)
    assert [(job.id, job.attempt) for job in queue.claim(queue.register())] == [("a", 0), ("b", 0)]


def test_a_death_that_nobody_saw_makes_everything_suspect(queue: Queue) -> None:
    queue.enqueue(A, B)
    first, second = queue.register(), queue.register()
    queue.claim(first)
    queue.tick_past_lease(second)
    queue.reclaim(first, "lapsed", "a")
    assert (marks(queue, "a"), marks(queue, "b")) == ((0, 1), (0, 1))
    assert queue.whole() == Whole(waiting=["a", "b"], workers=["w2"], suspects=2)


def test_marks_add_up_and_are_seen_in_every_state(queue: Queue) -> None:
    queue.enqueue(A)
    worker = _crash(queue, "a")
    queue.again(worker, queue.claim_one(worker), 1_000)
    assert marks(queue, "a") == (1, 0)
    assert [(job.crashes, job.suspicions) for job in queue.peek(State.SCHEDULED)] == [(1, 0)]
    queue.now_ms += 1_000
    [job] = queue.claim(worker)
    assert marks(queue, "a") == (1, 0)
    queue.bury(worker, job)
    assert [(job.crashes, job.suspicions) for job in queue.peek(State.DEAD)] == [(1, 0)]
    assert queue.whole() == Whole(dead=["a"], workers=["w2"], suspects=1)


def _crash(queue: Queue, *job_ids: str) -> str:
    """A worker dies with these jobs running; returns a new one."""
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", *job_ids)
    return queue.register()


def test_marks_go_with_the_job(queue: Queue) -> None:
    queue.enqueue(A, B, C, D)
    worker = _crash(queue, "a", "b", "c", "d")
    assert queue.counts().suspects == 4
    [first] = queue.claim(worker, limit=1)
    queue.ack(worker, first)
    assert queue.counts().suspects == 3
    queue.cancel("b")
    queue.remove("c")
    assert queue.counts().suspects == 1
    queue.purge(State.WAITING)
    assert queue.whole() == Whole(completed=["a"], cancelled=["b"], workers=["w2"])


def test_a_job_with_two_marks_comes_alone(queue: Queue) -> None:
    queue.enqueue(A, B)
    _crash(queue, "b")
    worker = _crash(queue, "b")
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
    first = _crash(queue, "a")
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
    worker = _crash(queue, "a")
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
        _crash(queue, "a")
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


@pytest.mark.exact_answers("a copy goes on where the first one ended")
def test_reclaim_of_more_than_a_thousand_jobs_takes_several_calls(queue: Queue) -> None:
    queue.enqueue(*many(1_000))
    queue.enqueue(*many(5, "k"))
    worker, other = queue.register(), queue.register()
    queue.claim(worker, limit=1_000)
    queue.claim(worker, limit=5)
    assert queue.reclaim(worker, "left") == Reclaimed(1_000, 0, more=True)
    halfway = queue.counts()
    assert (halfway.waiting, halfway.active, halfway.workers) == (1_000, 5, 2)
    assert {one.id: one.holding for one in queue.workers()} == {worker: 5, other: 0}
    assert queue.tick(other).lapsed == [worker]
    assert queue.reclaim(worker, "left") == Reclaimed(5, 0, more=False)
    assert queue.whole() == Whole(waiting=ids(many(1_000)) + ids(many(5, "k")), workers=[other])


def test_reclaim_leaves_nothing_of_the_worker(queue: Queue) -> None:
    queue.enqueue(A, at_priority(B, 3))
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker)
    assert queue.whole() == Whole(waiting=["b", "a"])
    assert [name for name in queue.names() if worker in name] == []


def test_reclaim_of_an_idle_worker_makes_it_leave(queue: Queue) -> None:
    worker = queue.register()
    assert queue.reclaim(worker) == Reclaimed(0, 0, more=False)
    assert queue.whole() == Whole()


def test_reclaim_of_nobody_does_nothing(queue: Queue) -> None:
    queue.enqueue(A)
    before = queue.dump()
    reasons: list[ReclaimReason] = ["left", "died", "lapsed"]
    for reason in reasons:
        assert queue.reclaim("nobody", reason, "a") == Reclaimed(0, 0, more=False)
    assert queue.dump() == before


def test_a_second_reclaim_does_nothing(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    before = queue.dump()
    assert queue.reclaim(worker, "died", "a") == Reclaimed(0, 0, more=False)
    assert queue.dump() == before


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_what_is_settled_is_not_reclaimed(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    jobs = queue.claim(worker)
    queue.ack(worker, jobs[0])
    queue.again(worker, jobs[1], 9_000)
    assert queue.reclaim(worker, "died", "a", "b", "c") == Reclaimed(1, 0, more=False)
    assert queue.whole() == Whole(waiting=["c"], scheduled=["b"], completed=["a"], suspects=1)


def test_a_reclaimed_job_can_be_reclaimed_again(queue: Queue) -> None:
    queue.enqueue(A, B)
    tokens = []
    for _ in range(3):
        worker = queue.register()
        first, second = queue.claim(worker)
        assert (first.id, second.id) == ("a", "b")
        tokens.append(first.token)
        queue.reclaim(worker, "left")
    assert tokens == sorted(set(tokens))
    assert queue.whole() == Whole(waiting=["a", "b"])


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
