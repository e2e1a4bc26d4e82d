"""The bell: one token after whatever makes work for a worker, none after anything else."""

from homing.job import Ack, Cancelled, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, B, C, chosen, ids, later, many, settlement


def test_an_enqueue_rings_once(queue: Queue) -> None:
    queue.enqueue(A, B)
    queue.enqueue(C)
    assert queue.rung()
    assert queue.whole() == Whole(waiting=["a", "b", "c"])


def test_an_enqueue_that_adds_nothing_does_not_ring(queue: Queue) -> None:
    queue.enqueue(chosen(A), lane="lane")
    queue.rung()
    queue.enqueue(chosen(A), lane="lane")
    queue.enqueue(chosen(A))
    queue.enqueue()
    assert not queue.rung()


def test_what_moves_the_earliest_due_time_forward_rings(queue: Queue) -> None:
    queue.enqueue(later(A, 5_000))
    assert queue.rung()
    queue.enqueue(later(B, 6_000))
    assert not queue.rung()
    queue.enqueue(later(C, 4_999))
    assert queue.rung()
    assert queue.whole() == Whole(scheduled=["c", "a", "b"])


def test_a_tick_that_promotes_rings(queue: Queue) -> None:
    queue.enqueue(later(A, 1_000))
    queue.rung()
    queue.tick(after_ms=999)
    assert not queue.rung()
    queue.tick(after_ms=1)
    assert queue.rung()
    queue.tick(after_ms=1)
    assert not queue.rung()


def test_a_claim_that_leaves_something_rings_for_the_others(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    queue.rung()
    worker = queue.register()
    queue.claim(worker, limit=1)
    assert queue.rung()
    queue.claim(worker, limit=2)
    assert not queue.rung()
    assert queue.whole() == Whole(active={"w1": ["a", "b", "c"]}, workers=["w1"])


def test_a_claim_that_took_less_than_asked_or_nothing_does_not_ring(queue: Queue) -> None:
    queue.enqueue(A, later(B, 9_000))
    queue.rung()
    worker = queue.register()
    queue.claim(worker, limit=2)
    queue.claim(worker, limit=2)
    queue.claim(worker, limit=0)
    queue.held(worker)
    assert not queue.rung()


def test_a_claim_that_leaves_due_jobs_rings(queue: Queue) -> None:
    queue.enqueue(*many(150, delay_ms=1_000))
    queue.rung()
    queue.now_ms += 1_000
    worker = queue.register()
    assert queue.claim_whole(worker, limit=100).more
    assert queue.rung()


def test_a_paused_claim_does_not_ring(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.pause()
    queue.rung()
    queue.claim(worker, limit=1)
    assert not queue.rung()


def test_resume_rings_and_pause_does_not(queue: Queue) -> None:
    queue.enqueue(A)
    queue.rung()
    queue.pause()
    assert not queue.rung()
    queue.resume()
    assert queue.rung()


def test_what_is_handed_back_rings(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    jobs = queue.claim(worker)
    queue.rung()
    queue.hand_back(worker, *jobs)
    assert queue.rung()
    queue.hand_back(worker, *jobs)
    assert not queue.rung()


def test_a_suspect_handed_back_rings(queue: Queue) -> None:
    worker = _suspect(queue)
    jobs = queue.claim(worker)
    queue.rung()
    queue.hand_back(worker, *jobs)
    assert queue.rung()


def _suspect(queue: Queue) -> str:
    queue.enqueue(A)
    for _ in range(2):
        worker = queue.register()
        queue.claim(worker)
        queue.reclaim(worker, "died", "a")
    return queue.register()


def test_who_takes_a_suspect_rings_for_what_it_may_not_take(queue: Queue) -> None:
    worker = _suspect(queue)
    queue.enqueue(B)
    queue.rung()
    claim = queue.claim_whole(worker)
    assert (ids(claim.jobs), claim.more) == (["a"], False)
    assert queue.rung()


def test_who_takes_the_last_job_that_is_a_suspect_does_not_ring(queue: Queue) -> None:
    worker = _suspect(queue)
    queue.rung()
    assert ids(queue.claim(worker)) == ["a"]
    assert not queue.rung()


def test_a_suspect_alone_does_not_make_more_for_a_busy_worker(queue: Queue) -> None:
    worker = _suspect(queue)
    held = queue.claim(worker)
    queue.enqueue(B, C)
    busy = queue.register()
    queue.claim(busy, limit=1)
    queue.hand_back(worker, *held)
    queue.rung()
    assert not queue.claim_whole(busy, limit=1).more
    assert not queue.rung()


def test_a_suspect_that_a_busy_worker_met_rings_for_an_idle_one(queue: Queue) -> None:
    worker = _suspect(queue)
    [job] = queue.claim(worker)
    queue.enqueue(B)
    busy = queue.register()
    queue.claim(busy)
    queue.again(worker, job, 0)
    queue.tick()
    queue.rung()
    queue.claim(busy)
    idle = queue.register()
    if queue.engine.name == "streams":
        assert queue.rung()  # it was read, found to be a suspect, and put apart
    assert [(one.id, one.alone) for one in queue.claim(idle)] == [("a", True)]


def test_a_retry_that_moves_the_earliest_due_time_forward_rings(queue: Queue) -> None:
    queue.enqueue(A, B, later(C, 5_000))
    worker = queue.register()
    first, second = queue.claim(worker)
    queue.rung()
    queue.again(worker, first, 5_001)
    assert not queue.rung()
    queue.again(worker, second, 4_999)
    assert queue.rung()


def test_the_first_retry_rings(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    queue.rung()
    queue.again(worker, job, 5_000)
    assert queue.rung()


def test_an_end_does_not_ring(queue: Queue) -> None:
    queue.enqueue(*many(3), A, later(B, 5))
    worker = queue.register()
    jobs = queue.claim(worker, limit=3)
    queue.rung()
    queue.settle(worker, settlement(jobs[0], Ack(b"1")), settlement(jobs[1], Cancelled()))
    queue.bury(worker, jobs[2])
    queue.cancel("a")
    queue.cancel("b")
    queue.purge(State.DEAD)
    assert not queue.rung()


def test_a_reclaim_that_gives_something_back_rings(queue: Queue) -> None:
    queue.enqueue(A)
    first, second = queue.register(), queue.register()
    queue.claim(first)
    queue.rung()
    queue.reclaim(second)
    assert not queue.rung()
    queue.reclaim(first)
    assert queue.rung()


def test_a_replay_rings(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker))
    queue.rung()
    queue.replay("a")
    assert queue.rung()
    queue.replay("a")
    assert not queue.rung()
