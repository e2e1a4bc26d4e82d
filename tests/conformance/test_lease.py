"""Leases: counted time, who lapses, and what a worker hears that is no member any more."""

import pytest

from homing.errors import ClaimRefused, LeaseLost
from homing.job import Reclaimed, Registered, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import HOUR_MS, LEASE_MS, A, B, ids, later


def test_a_registered_worker_is_a_member_with_a_full_lease(queue: Queue) -> None:
    registered = queue.registered("w1", b'{"host":"here"}')
    assert (registered.lease_ms, registered.now_ms, registered.paused) == (LEASE_MS, queue.now_ms, False)
    [worker] = queue.workers()
    assert (worker.id, worker.info, worker.expires_in_ms, worker.holding) == (
        "w1", b'{"host":"here"}', LEASE_MS, 0,
    )  # fmt: skip
    assert queue.whole() == Whole(workers=["w1"])


def test_the_lease_is_the_queues_setting(queue: Queue) -> None:
    assert queue.registered("w1", settings={"lease_ms": 2_000}).lease_ms == 2_000
    assert queue.registered("w2").lease_ms == 2_000
    queue.open(lease_ms=400)
    assert queue.registered("w3").lease_ms == 400
    assert queue.tick(after_ms=101).lapsed == []
    for _ in range(4):
        tick = queue.tick(after_ms=100)
    assert tick.lapsed == ["w3"]


def test_a_lease_runs_on_while_others_tick(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    for _ in range(10):
        assert queue.tick(second, after_ms=1_000).lapsed == []
    assert [(one.id, one.expires_in_ms) for one in queue.workers()] == [(first, 0), (second, LEASE_MS)]
    assert queue.tick(second, after_ms=1).lapsed == [first]
    assert queue.tick(second).lapsed == [first]
    assert queue.whole() == Whole(workers=["w1", "w2"])


def test_a_tick_keeps_the_leases_of_all_it_names(queue: Queue) -> None:
    workers = [queue.register() for _ in range(3)]
    tick = queue.tick_past_lease(*workers)
    assert (tick.lapsed, tick.lost) == ([], [])
    assert all(worker.expires_in_ms == LEASE_MS for worker in queue.workers())


def test_a_tick_that_comes_late_but_before_reclaim_keeps_the_lease(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    assert queue.tick_past_lease(second).lapsed == [first]
    assert queue.tick(first).lapsed == []
    assert queue.reclaim(first, "lapsed") == Reclaimed(0, 0, more=False, alive=True)
    assert queue.whole() == Whole(workers=["w1", "w2"])


@pytest.mark.parametrize("look", ["tick", "claim", "register", "reclaim"])
def test_a_pause_of_an_hour_costs_at_most_a_quarter_of_a_lease(queue: Queue, look: str) -> None:
    first, second = queue.register(), queue.register()
    queue.now_ms += HOUR_MS
    match look:
        case "tick":
            queue.tick()
        case "claim":
            queue.claim(second)
        case "register":
            queue.register()
        case "reclaim":
            assert queue.reclaim(second, "lapsed").alive
    [worker] = [one for one in queue.workers() if one.id == first]
    assert worker.expires_in_ms == LEASE_MS - LEASE_MS // 4
    assert queue.tick().lapsed == []


@pytest.mark.parametrize("look", ["tick", "claim", "register"])
def test_each_look_counts_the_time_since_the_last(queue: Queue, look: str) -> None:
    first, second = queue.register(), queue.register()
    for _ in range(4):
        queue.now_ms += 500
        match look:
            case "tick":
                queue.tick()
            case "claim":
                queue.claim(second)
            case "register":
                queue.register()
    [worker] = [one for one in queue.workers() if one.id == first]
    assert worker.expires_in_ms == LEASE_MS - 2_000


def test_a_clock_that_jumps_back_expires_nobody_and_goes_on(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    queue.tick(second, after_ms=1_000)
    queue.tick(second, after_ms=-HOUR_MS)
    [worker] = [one for one in queue.workers() if one.id == first]
    assert worker.expires_in_ms == LEASE_MS - 1_000
    for _ in range(9):
        assert queue.tick(second, after_ms=1_000).lapsed == []
    assert queue.tick(second, after_ms=1).lapsed == [first]


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_a_lapsed_workers_jobs_go_to_another_with_a_higher_token(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    queue.enqueue(A)
    [before] = queue.claim(first)
    assert queue.tick_past_lease(second).lapsed == [first]
    assert queue.reclaim(first, "lapsed") == Reclaimed(1, 0, more=False)
    assert queue.whole() == Whole(waiting=["a"], workers=["w2"], suspects=1)
    [after] = queue.claim(second)
    assert (after.id, after.payload, after.attempt) == ("a", A.payload, 0)
    assert after.token > before.token
    assert queue.whole() == Whole(active={"w2": ["a"]}, workers=["w2"], suspects=1)


def test_a_lapsed_worker_keeps_its_jobs_until_it_is_reclaimed(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    queue.enqueue(A)
    [job] = queue.claim(first)
    queue.tick_past_lease(second)
    assert queue.claim(second) == []
    assert queue.ack(first, job).done == 1
    assert queue.whole() == Whole(completed=["a"], workers=["w1", "w2"])


def test_a_worker_whose_lease_was_reclaimed_hears_it_from_every_call(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    queue.enqueue(A)
    [job] = queue.claim(first)
    queue.tick_past_lease(second)
    queue.reclaim(first, "lapsed")
    before = queue.dump()
    for call in (queue.claim, queue.held, lambda worker: queue.ack(worker, job), queue.settle):
        with pytest.raises(LeaseLost):
            call(first)
    assert queue.dump() == before
    assert queue.tick(first, second).lost == [first]
    assert queue.whole() == Whole(waiting=["a"], workers=["w2"], suspects=1)


def test_a_worker_that_lapsed_but_was_not_reclaimed_may_claim(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    queue.tick_past_lease(second)
    queue.enqueue(A)
    assert ids(queue.claim(first)) == ["a"]
    assert queue.whole() == Whole(active={"w1": ["a"]}, workers=["w1", "w2"])


def test_a_tick_adds_no_member(queue: Queue) -> None:
    assert queue.tick("nobody").lost == ["nobody"]
    assert queue.whole() == Whole()


def test_reclaim_of_a_renewed_worker_does_nothing(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    queue.enqueue(A)
    queue.claim(first)
    queue.tick_past_lease(second)
    queue.tick(first)
    assert queue.reclaim(first, "lapsed") == Reclaimed(0, 0, more=False, alive=True)
    assert queue.whole() == Whole(active={"w1": ["a"]}, workers=["w1", "w2"])


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_a_worker_may_not_be_kept_alive_between_two_calls_of_its_reclaim(queue: Queue) -> None:
    queue.enqueue(*(later(A, 0) for _ in range(0)), A, B)
    first = queue.register()
    queue.claim(first)
    queue.raw.zadd(queue.keys("workers"), {first: -1})  # fenced by a reclaim that has more to move
    assert queue.tick(first).lost == [first]
    assert [one.expires_in_ms < 0 for one in queue.workers()] == [True]
    with pytest.raises(LeaseLost):
        queue.claim(first)
    assert queue.tick().lapsed == [first]
    assert queue.reclaim(first, "lapsed") == Reclaimed(2, 0, more=False)
    assert queue.whole() == Whole(waiting=["a", "b"], suspects=2)


def test_a_copy_of_a_register_changes_nothing(queue: Queue) -> None:
    queue.enqueue(A, B)
    first = queue.register()
    queue.claim(first, limit=1, number=7)
    before = queue.dump()
    queue.now_ms += 500
    assert queue.registered(first, b"{}") == Registered(LEASE_MS, queue.now_ms, paused=False)
    assert queue.dump() == before
    with pytest.raises(ClaimRefused):
        queue.claim(first, number=7)


@pytest.mark.exact_answers("a copy tells what it moved itself")
def test_a_copy_of_a_register_does_not_undo_a_reclaim_that_has_more_to_move(queue: Queue) -> None:
    queue.enqueue(A)
    first = queue.register()
    queue.claim(first)
    queue.raw.zadd(queue.keys("workers"), {first: -1})
    queue.registered(first)
    with pytest.raises(LeaseLost):
        queue.claim(first)
    assert queue.reclaim(first, "lapsed") == Reclaimed(1, 0, more=False)
    assert queue.whole() == Whole(waiting=["a"], suspects=1)


def test_a_copy_of_a_register_adds_nobody_who_has_left(queue: Queue) -> None:
    queue.enqueue(A)
    first = queue.register()
    queue.reclaim(first, "left")
    assert queue.registered(first) == Registered(LEASE_MS, queue.now_ms, paused=False)
    with pytest.raises(LeaseLost):
        queue.claim(first)
    assert queue.whole() == Whole(waiting=["a"])


def test_the_tick_tells_how_many_may_be_claimed(queue: Queue) -> None:
    queue.enqueue(A, later(B, 5_000))
    tick = queue.tick()
    assert (tick.waiting, tick.alone, tick.due_in_ms, tick.now_ms) == (1, 0, 5_000, queue.now_ms)
    queue.claim(queue.register())
    assert queue.tick().waiting == 0


def test_each_worker_shows_how_many_jobs_it_holds(queue: Queue) -> None:
    first, second = queue.register(), queue.register()
    queue.enqueue(A, B)
    queue.claim(second)
    assert [(one.id, one.holding) for one in queue.workers()] == [(first, 0), (second, 2)]
    assert ids(queue.peek(State.ACTIVE)) == ["a", "b"]
