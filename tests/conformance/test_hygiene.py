"""After a worker is gone nothing of it is left, and nothing goes while it still holds a job."""

from collections.abc import Callable

import pytest

from homing.engines.engine import ReclaimReason
from homing.errors import LeaseLost
from tests.conformance.driver import Queue
from tests.conformance.jobs import A, B, ids, many


@pytest.mark.exact_answers("a copy goes on where the first one ended")
def test_a_reclaim_that_ends_half_way_deletes_nothing_that_still_holds_jobs(queue: Queue) -> None:
    jobs = many(1_200)
    queue.enqueue(*jobs[:1_000])
    queue.enqueue(*jobs[1_000:])
    dead = queue.register()
    queue.claim(dead, limit=1_000)
    queue.claim(dead, limit=1_000)
    other = queue.register()
    assert queue.tick_past_lease(other).lapsed == [dead]
    assert queue.reclaim(dead, "lapsed").more
    # Whoever reclaimed ends here. What is left is still the dead worker's, and nobody may say otherwise.
    assert (queue.problems(), queue.counts().active) == ([], 200)
    assert "worker:w1" in queue.names()
    subject = "active:w1" if queue.engine.name == "lists" else "consumer:0/w1"
    assert [queue.repair(each).outcome for each in (subject, "worker:w1")] == ["fine", "fine"]
    with pytest.raises(LeaseLost):
        queue.claim(dead)
    assert queue.tick(other).lapsed == [dead]
    assert not queue.reclaim(dead, "lapsed").more
    whole = queue.whole()
    assert (len(whole.waiting), whole.workers, whole.strays) == (1_200, [other], [])
    assert sorted(whole.waiting) == ids(jobs)


@pytest.mark.parametrize("reason", ["lapsed", "died", "left"])
def test_what_a_reclaimed_worker_says_afterwards_leaves_no_trace_of_it(
    queue: Queue, reason: ReclaimReason
) -> None:
    queue.enqueue(A, B)
    worker, other = queue.register(), queue.register()
    [job] = queue.claim(worker, limit=1)
    queue.tick_past_lease(other)
    queue.reclaim(worker, reason)
    late: list[Callable[[], object]] = [
        lambda: queue.claim(worker),
        lambda: queue.held(worker),
        lambda: queue.ack(worker, job),
        lambda: queue.hand_back(worker, job),
    ]
    for say in late:
        with pytest.raises(LeaseLost):
            say()
    assert queue.tick(worker, other).lost == [worker]
    queue.reclaim(worker, reason)
    whole = queue.whole()
    assert (whole.waiting, whole.workers, whole.strays, whole.problems) == (["a", "b"], [other], [], [])
