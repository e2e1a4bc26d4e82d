"""How runs end: each outcome, and what the gates refuse."""

import pytest

from homing.errors import LeaseLost
from homing.job import Ack, Again, Cancelled, Dead, Decision, HandBack, NewJob, Settled, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, A, B, C, D, at_priority, ids, later, many, settlement


def test_an_acknowledged_job_leaves_only_a_fact(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    assert queue.ack(worker, *queue.claim(worker)) == Settled(1)
    assert queue.whole() == Whole(completed=["a"], workers=["w1"])
    job = queue.record("a")
    assert (job.state, job.ended_ms, job.result) == (State.COMPLETED, queue.start_ms, None)
    assert "result:a" not in queue.names()


def test_a_result_can_be_looked_up(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker), result=b'"250 ok\nqueued"')
    assert queue.whole() == Whole(completed=["a"], workers=["w1"])
    assert queue.record("a").result == b'"250 ok\nqueued"'


def test_a_retry_is_scheduled_with_its_attempts(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    assert queue.again(worker, job, 4_000, attempt=1) == Settled(1)
    assert queue.whole() == Whole(scheduled=["a"], workers=["w1"])
    record = queue.record("a")
    assert (record.state, record.attempt, record.due_ms) == (State.SCHEDULED, 1, queue.start_ms + 4_000)
    assert (record.payload, record.meta, record.task) == (A.payload, A.meta, "send")
    queue.now_ms += 4_000
    [job] = queue.claim(worker)
    assert (job.attempt, job.payload, job.meta, job.task) == (1, A.payload, A.meta, "send")
    assert queue.near(job.since_ms, queue.start_ms + 4_000)
    assert queue.record("a").attempt == 1
    assert queue.whole() == Whole(active={"w1": ["a"]}, workers=["w1"])


def test_a_retry_carries_new_meta(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    first, second = queue.claim(worker)
    queue.again(worker, first, 10, meta=b'{"seen":1}')
    queue.again(worker, second, 20, meta=b'{"seen":2}')
    assert queue.record("a").meta == b'{"seen":1}'
    queue.now_ms += 20
    assert [job.meta for job in queue.claim(worker)] == [b'{"seen":1}', b'{"seen":2}']


def test_a_retry_without_delay_runs_again_behind_those_that_wait(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    [job] = queue.claim(worker, limit=1)
    queue.again(worker, job, 0, attempt=2)
    claimed = queue.claim(worker)
    assert [(job.id, job.attempt) for job in claimed] == [("b", 0), ("a", 2)]


def test_a_retry_keeps_its_priority(queue: Queue) -> None:
    queue.enqueue(at_priority(A, 5), B)
    worker = queue.register()
    [job] = queue.claim(worker, limit=1)
    queue.again(worker, job, 10)
    queue.tick(worker, after_ms=10)
    assert queue.whole() == Whole(waiting=["a", "b"], workers=["w1"])
    assert queue.record("a").priority == 5


def test_a_buried_job_is_kept_whole(queue: Queue) -> None:
    queue.enqueue(at_priority(A, 2))
    worker = queue.register()
    queue.now_ms += 500
    queue.bury(worker, *queue.claim(worker), attempt=5)
    assert queue.whole() == Whole(dead=["a"], workers=["w1"])
    job = queue.record("a")
    assert (job.state, job.error, job.attempt, job.ended_ms) == (State.DEAD, ERROR, 5, queue.start_ms + 500)
    assert (job.task, job.payload, job.meta, job.priority) == ("send", A.payload, A.meta, 2)
    assert queue.near(job.created_ms, queue.start_ms)


def test_the_dead_are_in_the_order_of_their_burial(queue: Queue) -> None:
    queue.enqueue(B, A, C)
    worker = queue.register()
    for job in queue.claim(worker):
        queue.bury(worker, job)
        queue.now_ms += 1
    assert queue.whole() == Whole(dead=["b", "a", "c"], workers=["w1"])


def test_what_is_handed_back_goes_before_what_was_never_claimed(queue: Queue) -> None:
    queue.enqueue(A, B, C, D)
    worker = queue.register()
    jobs = queue.claim(worker, limit=3)
    assert queue.hand_back(worker, *jobs[1:]) == Settled(2)
    assert queue.whole() == Whole(waiting=["b", "c", "d"], active={"w1": ["a"]}, workers=["w1"])
    assert [(job.id, job.attempt) for job in queue.claim(worker)] == [("b", 0), ("c", 0), ("d", 0)]


def test_what_is_handed_back_keeps_its_priority(queue: Queue) -> None:
    queue.enqueue(at_priority(A, -5), B, at_priority(C, 5))
    worker = queue.register()
    low = queue.claim(worker)[2]
    queue.hand_back(worker, low)
    queue.enqueue(D, at_priority(NewJob("e"), -5))
    assert queue.whole() == Whole(waiting=["d", "a", "e"], active={"w1": ["c", "b"]}, workers=["w1"])


def test_a_job_handed_back_shows_that_it_waits(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.hand_back(worker, *queue.claim(worker))
    job = queue.record("a")
    assert (job.state, job.worker, job.payload) == (State.WAITING, None, A.payload)
    [again] = queue.claim(queue.register())
    assert (again.payload, again.meta, again.task) == (A.payload, A.meta, "send")
    assert queue.whole() == Whole(active={"w2": ["a"]}, workers=["w1", "w2"])


def test_a_handler_may_cancel_its_job(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.now_ms += 100
    [job] = queue.claim(worker)
    assert queue.decide(worker, job, Cancelled("no more")) == Settled(1)
    assert queue.whole() == Whole(cancelled=["a"], workers=["w1"])
    assert queue.record("a").ended_ms == queue.start_ms + 100


def test_all_outcomes_go_in_one_call(queue: Queue) -> None:
    queue.enqueue(*many(10))
    worker = queue.register()
    jobs = queue.claim(worker)
    decisions: list[Decision] = [
        Ack(b"1"), HandBack(), Again(5, 1), Dead(ERROR, 1), Cancelled(),
        Ack(), HandBack(), Again(3, 2, b"{}"), Dead(b"{}", 2), Cancelled("x"),
    ]  # fmt: skip
    assert queue.settle(worker, *map(settlement, jobs, decisions)) == Settled(10)
    assert queue.whole() == Whole(
        waiting=["j0001", "j0006"],
        scheduled=["j0007", "j0002"],
        dead=["j0003", "j0008"],
        completed=["j0000", "j0005"],
        cancelled=["j0004", "j0009"],
        workers=["w1"],
    )
    assert (queue.record("j0003").error, queue.record("j0008").error) == (ERROR, b"{}")
    assert [queue.record(one).attempt for one in ("j0002", "j0007", "j0003", "j0008")] == [1, 2, 1, 2]


ALL: list[Decision] = [Ack(b"1"), Ack(), HandBack(), Again(5, 1), Again(0, 1), Dead(ERROR, 1), Cancelled()]


@pytest.mark.parametrize("decision", ALL, ids=repr)
def test_a_settle_sent_again_changes_nothing(queue: Queue, decision: Decision) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    job, _ = queue.claim(worker)
    assert queue.decide(worker, job, decision) == Settled(1)
    before = _without_counter(queue)
    assert queue.decide(worker, job, decision) == Settled(0, ["a"])
    assert _without_counter(queue) == before
    assert queue.counts().refused == 1


@pytest.mark.parametrize("decision", ALL, ids=repr)
def test_nobody_settles_the_job_of_another(queue: Queue, decision: Decision) -> None:
    queue.enqueue(A, B)
    first, second = queue.register(), queue.register()
    [job] = queue.claim(first, limit=1)
    queue.claim(second)
    before = _without_counter(queue)
    assert queue.decide(second, job, decision) == Settled(0, ["a"])
    assert _without_counter(queue) == before
    assert queue.whole() == Whole(active={"w1": ["a"], "w2": ["b"]}, workers=["w1", "w2"], refused=1)


@pytest.mark.parametrize("decision", ALL, ids=repr)
def test_nobody_settles_a_job_that_waits_again(queue: Queue, decision: Decision) -> None:
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    queue.hand_back(worker, job)
    before = _without_counter(queue)
    assert queue.decide(worker, job, decision) == Settled(0, ["a"])
    assert _without_counter(queue) == before


def _without_counter(queue: Queue) -> dict[str, object]:
    """All that is stored, without how many settlements were refused."""
    dump = queue.dump()
    dump["meta"].pop(b"refused", None)
    return {name: value for name, value in dump.items() if not name.startswith("stats:")}


def test_what_is_not_refused_of_a_batch_goes_through(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    jobs = queue.claim(worker)
    queue.ack(worker, jobs[1])
    assert queue.ack(worker, *jobs) == Settled(2, ["b"])
    assert queue.whole() == Whole(completed=["a", "b", "c"], workers=["w1"], refused=1)


def test_a_job_settled_twice_in_one_call_is_settled_once(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    done = queue.settle(worker, settlement(job, Ack()), settlement(job, Dead(ERROR, 1)))
    assert done == Settled(1, ["a"])
    assert queue.whole() == Whole(completed=["a"], workers=["w1"], refused=1)


def test_an_old_delivery_cannot_settle_a_new_one_of_another_worker(queue: Queue) -> None:
    queue.enqueue(A)
    first, second = queue.register(), queue.register()
    [old] = queue.claim(first)
    queue.hand_back(first, old)
    [new] = queue.claim(second)
    assert queue.ack(first, old) == Settled(0, ["a"])
    assert queue.ack(second, new) == Settled(1)
    assert queue.whole() == Whole(completed=["a"], workers=["w1", "w2"], refused=1)


def test_after_a_lost_lease_nothing_is_settled(queue: Queue) -> None:
    queue.enqueue(A)
    first = queue.register()
    [job] = queue.claim(first)
    queue.reclaim(first)
    before = queue.dump()
    for decision in ALL:
        with pytest.raises(LeaseLost):
            queue.decide(first, job, decision)
    assert queue.dump() == before


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [3, 0], [4, 2, 0, 1, 3], [1, 2, 3], [4]])
def test_jobs_end_in_any_order_and_the_rest_stays(queue: Queue, order: list[int]) -> None:
    queue.enqueue(*many(5), at_priority(A, 3))
    worker, other = queue.register(), queue.register()
    first = queue.claim(worker, limit=6)[1:]  # without the one of priority 3
    queue.enqueue(B)
    theirs = queue.claim(other)
    some = [first[i] for i in order]
    assert queue.ack(worker, *some, *theirs) == Settled(len(some), ["b"])
    rest = [job.id for i, job in enumerate(first) if i not in order]
    assert queue.whole() == Whole(
        active={"w1": ["a", *rest], "w2": ["b"]}, completed=sorted(ids(some)), workers=["w1", "w2"], refused=1
    )
    assert queue.ack(worker, *some) == Settled(0, ids(some))


def test_the_two_oldest_may_be_settled_with_one_that_is_not_there(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    first, second, third = queue.claim(worker)
    queue.ack(worker, second)
    assert queue.ack(worker, first, second) == Settled(1, ["b"])
    assert queue.whole() == Whole(active={"w1": ["c"]}, completed=["a", "b"], workers=["w1"], refused=1)
    assert queue.ack(worker, third) == Settled(1)


def test_an_empty_settle_of_a_member_is_fine(queue: Queue) -> None:
    worker = queue.register()
    assert queue.settle(worker) == Settled(0)
    assert queue.whole() == Whole(workers=["w1"])


def test_a_lean_settle_stores_no_result_fact_or_statistic(queue: Queue) -> None:
    queue.enqueue(*many(5))
    worker = queue.register()
    jobs = queue.claim(worker)
    queue.now_ms += 60_000
    decisions: list[Decision] = [Ack(b"1"), HandBack(), Again(5, 1), Dead(ERROR, 1), Cancelled()]
    assert queue.settle(worker, *map(settlement, jobs, decisions), lean=True) == Settled(5)
    assert queue.whole() == Whole(waiting=["j0001"], scheduled=["j0002"], dead=["j0003"], workers=["w1"])
    assert (queue.job("j0000"), queue.job("j0004"), queue.statistics()) == (None, None, {})


def test_a_retry_sooner_than_what_is_scheduled_comes_first(queue: Queue) -> None:
    queue.enqueue(A, later(B, 500))
    worker = queue.register()
    [job] = queue.claim(worker)
    queue.again(worker, job, 400)
    assert queue.whole() == Whole(scheduled=["a", "b"], workers=["w1"])
    queue.tick(worker, after_ms=1_000)
    assert ids(queue.claim(worker)) == ["a", "b"]


@pytest.mark.exact_answers("a copy of a numbered batch says that it was here before")
def test_a_numbered_batch_acts_once_however_often_it_arrives(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    handed_back = settlement(queue.claim_one(worker), HandBack())
    assert queue.settle(worker, handed_back, number=1) == Settled(1)
    # The job comes back to the same worker, and so does a copy of what was said of its last run.
    again = queue.claim_one(worker)
    before = queue.writes()
    assert queue.settle(worker, handed_back, number=1) == Settled(0, repeated=True)
    assert queue.writes() > before  # for a WAIT behind it to be about
    assert queue.whole() == Whole(active={"w1": ["a"]}, workers=["w1"])
    assert queue.settle(worker, settlement(again, Ack()), number=2) == Settled(1)
    assert queue.settle(worker, handed_back, number=1) == Settled(0, repeated=True)
    assert queue.whole() == Whole(completed=["a"], workers=["w1"])


@pytest.mark.exact_answers("a copy of a numbered batch says that it was here before")
def test_an_empty_batch_uses_up_its_number(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    job = queue.claim_one(worker)
    assert queue.settle(worker, number=2) == Settled(0)
    assert queue.settle(worker, settlement(job, Ack()), number=2) == Settled(0, repeated=True)
    assert queue.whole() == Whole(active={"w1": ["a"]}, workers=["w1"])


@pytest.mark.exact_answers("a copy of a numbered batch says that it was here before")
def test_numbers_are_a_workers_own(queue: Queue) -> None:
    queue.enqueue(A, B)
    first, second = queue.register(), queue.register()
    one, two = queue.claim_one(first), queue.claim_one(second)
    assert queue.settle(first, settlement(one, Ack()), number=9) == Settled(1)
    assert queue.settle(second, settlement(two, Ack()), number=1) == Settled(1)
    assert queue.whole() == Whole(completed=["a", "b"], workers=["w1", "w2"])
