"""Reclaim: every way back without an outcome, and who is charged for it."""

import pytest

from homing.engines.engine import ReclaimReason
from homing.job import NewJob, Reclaimed, State
from tests.conformance.deaths import crash, marks
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, B, C, D, at_priority, ids, many


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
    worker = crash(queue, "a")
    queue.again(worker, queue.claim_one(worker), 1_000)
    assert marks(queue, "a") == (1, 0)
    assert [(job.crashes, job.suspicions) for job in queue.peek(State.SCHEDULED)] == [(1, 0)]
    queue.now_ms += 1_000
    [job] = queue.claim(worker)
    assert marks(queue, "a") == (1, 0)
    queue.bury(worker, job)
    assert [(job.crashes, job.suspicions) for job in queue.peek(State.DEAD)] == [(1, 0)]
    assert queue.whole() == Whole(dead=["a"], workers=["w2"], suspects=1)


def test_marks_go_with_the_job(queue: Queue) -> None:
    queue.enqueue(A, B, C, D)
    worker = crash(queue, "a", "b", "c", "d")
    assert queue.counts().suspects == 4
    [first] = queue.claim(worker, limit=1)
    queue.ack(worker, first)
    assert queue.counts().suspects == 3
    queue.cancel("b")
    queue.remove("c")
    assert queue.counts().suspects == 1
    queue.purge(State.WAITING)
    assert queue.whole() == Whole(completed=["a"], cancelled=["b"], workers=["w2"])


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
