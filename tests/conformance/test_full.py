"""A full server (`maxmemory`, `noeviction`): nothing new goes in, everything in it drains."""

import pytest

from homing.errors import QueueFull
from homing.job import Ack, Again, Cancelled, Dead, Decision, HandBack, Reclaimed, Settled, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, A, B, C, D, chosen, ids, later, many, settlement


@pytest.mark.exact_answers("a full server cannot say of a try whose answer was lost whether it ran")
def test_a_full_server_takes_no_job(queue: Queue) -> None:
    queue.enqueue(A)
    before = queue.dump()
    with queue.full_server():
        for jobs in ([B], [later(B, 5)], [chosen(B)], [B, C]):
            with pytest.raises(QueueFull):
                queue.enqueue(*jobs)
    assert queue.dump() == before
    queue.enqueue(B)
    assert queue.whole() == Whole(waiting=["a", "b"])


def test_a_full_server_drains(queue: Queue) -> None:
    queue.enqueue(*many(250))
    queue.enqueue(*many(50, "k", delay_ms=1_000))
    queue.now_ms += 1_000
    with queue.full_server():
        worker = queue.register()
        while jobs := queue.claim(worker, limit=100):
            settlements = [settlement(job, Ack(b"result")) for job in jobs]
            assert queue.settle(worker, *settlements, lean=True) == Settled(len(jobs))
            queue.tick(worker)
        queue.reclaim(worker)
    assert queue.whole() == Whole()


@pytest.mark.parametrize(
    "decision", [Again(5, 1), Dead(ERROR, 1), HandBack(), Cancelled(), Ack(b"1")], ids=repr
)
def test_a_lean_outcome_is_taken_on_a_full_server(queue: Queue, decision: Decision) -> None:
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    with queue.full_server():
        assert queue.decide(worker, job, decision, lean=True) == Settled(1)
    whole = queue.whole()
    assert (whole.active, whole.problems, whole.strays) == ({}, [], [])
    assert {Again: whole.scheduled, Dead: whole.dead, HandBack: whole.waiting}.get(type(decision), ["a"]) == [
        "a"
    ]
    assert (whole.completed, whole.cancelled) == ([], [])


def test_a_plain_settle_on_a_full_server_is_done_whole_or_not_at_all(queue: Queue) -> None:
    queue.enqueue(A, B, C, D)
    worker = queue.register()
    jobs = queue.claim(worker)
    decisions: list[Decision] = [Ack(b"1"), Again(5, 1), Dead(ERROR, 1), HandBack()]
    before = queue.dump()
    with queue.full_server():
        try:
            done = queue.settle(worker, *map(settlement, jobs, decisions))
        except QueueFull:
            assert queue.dump() == before
            return
    assert done == Settled(4)
    assert queue.whole() == Whole(waiting=["d"], scheduled=["b"], dead=["c"], completed=["a"], workers=["w1"])


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_a_job_comes_home_from_a_dead_worker_on_a_full_server(queue: Queue) -> None:
    queue.enqueue(A, B)
    first, second = queue.register(), queue.register()
    queue.claim(first)
    with queue.full_server():
        queue.tick_past_lease(second)
        assert queue.reclaim(first, "lapsed") == Reclaimed(2, 0, more=False)
        assert ids(queue.claim(second)) == ["a", "b"]
        assert ids(queue.held(second, "a").jobs) == ["b"]
    assert queue.whole() == Whole(active={"w2": ["a", "b"]}, workers=["w2"], suspects=2)


def test_a_full_server_can_be_administered(queue: Queue) -> None:
    queue.enqueue(A, B, later(C, 9_000), D)
    with queue.full_server():
        queue.open(lease_ms=5_000)
        queue.pause()
        queue.resume()
        assert queue.cancel("a") is State.WAITING
        assert queue.remove("b") is State.WAITING
        assert queue.purge(State.SCHEDULED) == 1
        assert queue.counts().waiting == 1
    assert queue.whole() == Whole(waiting=["d"], cancelled=["a"])
