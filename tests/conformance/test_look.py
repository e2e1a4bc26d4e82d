"""Looking: peek pages, one job in any state, counts."""

import pytest

from homing.job import Cancelled, JobRecord, NewJob, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, A, B, at_priority, ids, later, many


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_waiting_jobs_are_paged_over_all_priorities(queue: Queue, limit: int) -> None:
    queue.enqueue(*many(3), *many(4, "k", priority=2), *many(1, "l", priority=-2))
    worker = queue.register()
    queue.hand_back(worker, *queue.claim(worker, limit=2))
    expected = [f"k000{i}" for i in range(4)] + [f"j000{i}" for i in range(3)] + ["l0000"]
    assert ids(queue.peek(State.WAITING, limit=limit)) == expected


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_suspects_are_paged_with_what_waits(queue: Queue, limit: int) -> None:
    queue.enqueue(A, B)
    for _ in range(2):
        worker = queue.register()
        queue.claim(worker)
        queue.reclaim(worker, "died", "a", "b")
    queue.enqueue(*many(3))
    assert sorted(ids(queue.peek(State.WAITING, limit=limit))) == ["a", "b", "j0000", "j0001", "j0002"]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_scheduled_jobs_are_paged_in_the_order_of_their_times(queue: Queue, limit: int) -> None:
    for i in (3, 1, 2, 5, 4):
        queue.enqueue(NewJob(f"s{i}", delay_ms=i * 1_000))
    found = queue.peek(State.SCHEDULED, limit=limit)
    assert [(job.id, job.due_ms) for job in found] == [
        (f"s{i}", queue.now_ms + i * 1_000) for i in range(1, 6)
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_active_jobs_are_paged_over_all_workers(queue: Queue, limit: int) -> None:
    queue.enqueue(*many(6), at_priority(A, 4))
    workers = [queue.register() for _ in range(3)]
    held = {worker: ids(queue.claim(worker, limit=2)) for worker in workers}
    found: dict[str, list[str]] = {}
    for job in queue.peek(State.ACTIVE, limit=limit):
        found.setdefault(str(job.worker), []).append(job.id)
    assert found == held


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_the_dead_are_paged_in_the_order_of_their_burial(queue: Queue, limit: int) -> None:
    queue.enqueue(*many(4))
    worker = queue.register()
    for job in reversed(queue.claim(worker)):
        queue.now_ms += 1
        queue.bury(worker, job)
    found = queue.peek(State.DEAD, limit=limit)
    assert [(job.id, job.error) for job in found] == [(f"j000{i}", ERROR) for i in (3, 2, 1, 0)]
    assert [job.ended_ms for job in found] == [queue.now_ms - i for i in (3, 2, 1, 0)]


@pytest.mark.parametrize("limit", [1, 300])
def test_facts_are_paged_over_both_generations(queue: Queue, limit: int) -> None:
    queue.open(facts_max=600)
    queue.enqueue(*many(700))
    worker = queue.register()
    jobs = queue.claim(worker, limit=700)
    queue.ack(worker, *jobs[:600])
    for job in jobs[600:610]:
        queue.decide(worker, job, Cancelled())
    queue.ack(worker, *jobs[610:])
    assert sorted(ids(queue.peek(State.COMPLETED, limit=limit))) == [
        f"j{i:04}" for i in range(700) if not 600 <= i < 610
    ]
    cancelled = queue.peek(State.CANCELLED, limit=limit)
    assert sorted(ids(cancelled)) == [f"j{i:04}" for i in range(600, 610)]
    assert all(job.ended_ms == queue.now_ms for job in cancelled)


@pytest.mark.parametrize("limit", [1, 3])
def test_every_fact_is_seen_while_others_are_looked_up(queue: Queue, limit: int) -> None:
    """A hash that grew moves its fields about a little at every read of one of them, and is done at some time: who has
    seen some of a bucket then may see those again.
    """
    queue.enqueue(*many(600))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker, limit=600))
    found: list[str] = []
    cursor = ""
    while True:
        page = queue.do(queue.engine.peek(State.COMPLETED, cursor=cursor, limit=limit))
        found += ids(page.jobs)
        if not (cursor := page.cursor):
            break
        assert queue.record("j0000").state is State.COMPLETED
    assert sorted(set(found)) == [f"j{i:04}" for i in range(600)]
    assert len(found) < 610


def test_there_is_nothing_to_see_in_an_empty_queue(queue: Queue) -> None:
    assert [queue.peek(state) for state in State] == [[]] * len(State)


def test_one_job_is_seen_whole_in_every_state(queue: Queue) -> None:
    name, start = queue.keys.queue, queue.start_ms
    job = NewJob("x", "send", b"[[1],{}]", b'{"t":1}', priority=2, delay_ms=1_000)
    queue.enqueue(job)
    worker = queue.register()
    common = {"task": "send", "payload": b"[[1],{}]", "meta": b'{"t":1}', "priority": 2, "created_ms": start}

    def seen(state: State, **more: object) -> None:
        found = queue.record("x")
        expected = JobRecord("x", name, state, **{**common, **more})  # type: ignore[arg-type]
        assert found == expected
        if state is not State.COMPLETED:
            assert queue.peek(state) == [expected]

    seen(State.SCHEDULED, due_ms=start + 1_000)
    queue.tick(worker, after_ms=1_000)
    common["created_ms"] = queue.record("x").created_ms
    assert queue.near(common["created_ms"], start)  # type: ignore[arg-type]
    seen(State.WAITING)
    claimed = queue.claim_one(worker)
    seen(State.ACTIVE, worker=worker)
    queue.again(worker, claimed, 500, attempt=1)
    seen(State.SCHEDULED, due_ms=start + 1_500, attempt=1)
    queue.now_ms += 500
    claimed = queue.claim_one(worker)
    seen(State.ACTIVE, worker=worker, attempt=1)
    queue.bury(worker, claimed, attempt=2)
    seen(State.DEAD, attempt=2, error=ERROR, ended_ms=queue.now_ms)
    queue.replay("x")
    seen(State.WAITING)
    queue.ack(worker, queue.claim_one(worker), result=b"7")
    assert queue.record("x") == JobRecord(
        "x", name, State.COMPLETED, ended_ms=queue.now_ms, result=b"7", returned=True
    )
    assert queue.whole() == Whole(completed=["x"], workers=[worker])


def test_a_message_is_seen_as_it_was_put(queue: Queue) -> None:
    queue.enqueue(NewJob("m", payload=b'{"to":"alice"}'))
    job = queue.record("m")
    assert (job.task, job.payload, job.fields, job.meta, job.priority) == (
        "",
        b'{"to":"alice"}',
        None,
        b"",
        0,
    )
    assert queue.near(job.created_ms, queue.start_ms)


def test_there_is_no_job_that_never_was(queue: Queue) -> None:
    queue.enqueue(A)
    assert queue.job("other") is None
    assert queue.job("0.1-1") is None


def test_jobs_of_all_priorities_are_seen(queue: Queue) -> None:
    queue.enqueue(at_priority(A, -100), at_priority(B, 100), later(at_priority(NewJob("z"), 33), 9))
    assert [queue.record(one).priority for one in ("a", "b", "z")] == [-100, 100, 33]
    assert [job.priority for job in queue.peek(State.WAITING)] == [100, -100]
    assert [job.priority for job in queue.peek(State.SCHEDULED)] == [33]
