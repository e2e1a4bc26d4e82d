"""Taking suspicions back: a worker that was only taken for dead clears the names of what it held."""

import pytest

from homing.job import State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, B, C, at_priority


def _lapse(queue: Queue, times: int = 1) -> None:
    """Workers that claimed all there is are not heard of until their leases are over."""
    for _ in range(times):
        worker, other = queue.register(), queue.register()
        queue.claim(worker)
        queue.tick_past_lease(other)
        queue.reclaim(worker, "lapsed")
        queue.reclaim(other, "left")


def marks(queue: Queue, job_id: str) -> tuple[int, int]:
    job = queue.record(job_id)
    return job.crashes, job.suspicions


def test_a_suspicion_is_taken_back(queue: Queue) -> None:
    queue.enqueue(A, B)
    _lapse(queue)
    assert queue.acquit("a") == 1
    assert (marks(queue, "a"), marks(queue, "b")) == ((0, 0), (0, 1))
    assert queue.acquit("a") == 0
    assert queue.whole() == Whole(waiting=["a", "b"], suspects=2)


def test_a_crash_is_never_taken_back(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    assert queue.acquit("a") == 0
    assert marks(queue, "a") == (1, 0)


def test_who_is_no_suspect_any_more_waits_among_the_others_in_its_old_place(queue: Queue) -> None:
    queue.enqueue(A, B, at_priority(C, 5))
    _lapse(queue, 2)
    assert queue.tick(queue.register()).alone == 3
    queue.rung()
    assert queue.acquit("b", "a", "c") == 3
    worker = queue.register()
    assert queue.tick(worker).alone == 0
    assert queue.rung()
    assert [(job.id, job.alone) for job in queue.claim(worker)] == [("c", False), ("a", False), ("b", False)]


def test_a_suspect_that_runs_is_acquitted_where_it_is(queue: Queue) -> None:
    queue.enqueue(A)
    _lapse(queue, 2)
    worker = queue.register()
    [job] = queue.claim(worker)
    assert job.alone
    queue.rung()
    assert queue.acquit("a") == 1
    assert not queue.rung()
    assert queue.whole() == Whole(active={worker: ["a"]}, workers=[worker], suspects=1)
    queue.hand_back(worker, job)
    assert [one.alone for one in queue.claim(worker)] == [False]


def test_of_three_suspicions_one_stays_a_suspect(queue: Queue) -> None:
    queue.enqueue(A)
    _lapse(queue, 3)
    assert queue.acquit("a") == 1
    assert marks(queue, "a") == (0, 2)
    assert queue.tick(queue.register()).alone == 1


def test_what_has_no_suspicions_is_passed_over(queue: Queue) -> None:
    queue.enqueue(A)
    assert queue.acquit("a", "nobody") == 0
    assert queue.whole() == Whole(waiting=["a"])


def test_what_stops_its_workers_again_and_again_is_buried_all_the_same(queue: Queue) -> None:
    queue.enqueue(A)
    for _ in range(8):
        _lapse(queue)
        assert queue.acquit("a") == 1
    for suspicions in range(1, 5):
        _lapse(queue)
        assert queue.acquit("a") == 0
        assert marks(queue, "a") == (0, suspicions)
    _lapse(queue)
    assert [job.id for job in queue.peek(State.DEAD)] == ["a"]


def test_a_crash_keeps_what_was_taken_back(queue: Queue) -> None:
    """Eight times are eight in all, whatever came between."""
    queue.enqueue(A)
    for _ in range(8):
        _lapse(queue)
        queue.acquit("a")
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    _lapse(queue)
    assert queue.acquit("a") == 0
    assert marks(queue, "a") == (1, 1)


@pytest.mark.parametrize("count", [1_001])
def test_at_most_a_thousand_a_call(queue: Queue, count: int) -> None:
    with pytest.raises(ValueError, match="1001 jobs in one call, at most 1000"):
        queue.engine.acquit(["a"] * count)


@pytest.mark.parametrize("written", ["2 0", "nonsense", ""])
def test_marks_that_somebody_else_wrote(queue: Queue, written: str) -> None:
    queue.enqueue(A)
    queue.raw.hset(f"{queue.keys.base}:suspects", "a", written)
    crashes = 2 if written == "2 0" else 0
    assert marks(queue, "a") == (crashes, 0)
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    assert queue.record("a").crashes == crashes + 1
    assert queue.acquit("a") == 0
