"""Jobs taken out by hand: cancel, remove, purge; and the dead brought back."""

import pytest

from homing.errors import SettingsError
from homing.job import Enqueued, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, HOUR_MS, A, B, C, D, at_priority, awaited, chosen, ids, later, many


def _each_state(queue: Queue) -> str:
    """a waits, b is scheduled, c is active, d is dead; e has completed with a result."""
    worker = queue.register()
    queue.enqueue(C, D)
    queue.enqueue(*many(1, "e"))
    _, d, e = queue.claim(worker)
    queue.bury(worker, d)
    queue.ack(worker, e, result=b"1")
    queue.enqueue(A, later(B, 5_000))
    return worker


EVERYWHERE = Whole(
    waiting=["a"], scheduled=["b"], active={"w1": ["c"]}, dead=["d"], completed=["e0000"], workers=["w1"]
)
PLACES = {
    "a": State.WAITING,
    "b": State.SCHEDULED,
    "c": State.ACTIVE,
    "d": State.DEAD,
    "e0000": State.COMPLETED,
    "unknown": None,
}


def test_the_states_begin_as_they_should(queue: Queue) -> None:
    _each_state(queue)
    assert queue.whole() == EVERYWHERE


@pytest.mark.exact_answers("a copy takes what an earlier call cancelled for its own work")
def test_a_waiting_job_can_be_cancelled(queue: Queue) -> None:
    _each_state(queue)
    assert queue.cancel("a") is State.WAITING
    assert queue.whole() == Whole(**{**vars(EVERYWHERE), "waiting": [], "cancelled": ["a"]})
    assert queue.record("a").ended_ms == queue.now_ms
    assert queue.cancel("a") is State.CANCELLED


@pytest.mark.exact_answers("of a copy nobody knows where the job was that is cancelled by now")
def test_a_scheduled_job_can_be_cancelled(queue: Queue) -> None:
    _each_state(queue)
    assert queue.cancel("b") is State.SCHEDULED
    assert queue.whole() == Whole(**{**vars(EVERYWHERE), "scheduled": [], "cancelled": ["b"]})
    assert queue.tick(after_ms=HOUR_MS).promoted == 0


@pytest.mark.parametrize("job_id", ["c", "d", "e0000", "unknown"])
def test_nothing_else_can_be_cancelled(queue: Queue, job_id: str) -> None:
    _each_state(queue)
    before = queue.dump()
    assert queue.cancel(job_id) is PLACES[job_id]
    assert queue.dump() == before


def test_one_of_many_is_cancelled(queue: Queue) -> None:
    queue.enqueue(*many(5), *many(5, "k", priority=3))
    assert queue.cancel("j0002") is State.WAITING
    assert queue.cancel("k0004") is State.WAITING
    left = ["k0000", "k0001", "k0002", "k0003", "j0000", "j0001", "j0003", "j0004"]
    assert queue.whole() == Whole(waiting=left, cancelled=["j0002", "k0004"])
    assert ids(queue.claim(queue.register())) == left


def test_a_job_that_was_handed_back_can_be_cancelled(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.hand_back(worker, *queue.claim(worker))
    assert queue.cancel("a") is State.WAITING
    assert queue.whole() == Whole(waiting=["b"], cancelled=["a"], workers=["w1"])
    assert ids(queue.claim(worker)) == ["b"]


@pytest.mark.parametrize("verb", ["cancel", "remove"])
def test_a_suspect_that_waits_can_be_taken_out(queue: Queue, verb: str) -> None:
    queue.enqueue(A)
    for _ in range(2):
        worker = queue.register()
        queue.claim(worker)
        queue.reclaim(worker, "died", "a")
    assert getattr(queue, verb)("a") is State.WAITING
    assert queue.whole() == Whole(cancelled=["a"] if verb == "cancel" else [])


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize("job_id", ["a", "b", "d", "e0000"])
def test_a_job_is_removed_with_all_traces(queue: Queue, job_id: str) -> None:
    _each_state(queue)
    assert queue.remove(job_id) is PLACES[job_id]
    left = vars(EVERYWHERE)
    for place in ("waiting", "scheduled", "dead", "completed"):
        left = {**left, place: [one for one in left[place] if one != job_id]}
    assert queue.whole() == Whole(**left)
    assert queue.job(job_id) is None
    assert f"result:{job_id}" not in queue.names()
    assert queue.remove(job_id) is None


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize("job_id", ["c", "unknown"])
def test_an_active_job_is_not_removed(queue: Queue, job_id: str) -> None:
    _each_state(queue)
    before = queue.dump()
    assert queue.remove(job_id) is PLACES[job_id]
    assert queue.dump() == before


def test_the_id_of_a_removed_job_is_free_at_once(queue: Queue) -> None:
    queue.enqueue(chosen(A), chosen(B))
    worker = queue.register()
    queue.ack(worker, queue.claim_one(worker))
    queue.remove("a")
    queue.remove("b")
    assert queue.whole() == Whole(workers=["w1"])
    assert queue.enqueue(chosen(A), chosen(B)) == [Enqueued.STORED, Enqueued.STORED]


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_a_removed_jobs_old_fact_is_gone_too(queue: Queue) -> None:
    queue.open(facts_max=1)
    queue.enqueue(A)
    worker = queue.register()
    queue.ack(worker, queue.claim_one(worker))
    assert queue.raw.exists(queue.keys("finished_old"))
    assert queue.remove("a") is State.COMPLETED
    assert queue.whole() == Whole(workers=["w1"])


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_a_cancelled_jobs_fact_can_be_removed(queue: Queue) -> None:
    queue.enqueue(awaited(A))
    queue.cancel("a")
    assert queue.remove("a") is State.CANCELLED
    assert queue.whole() == Whole()
    assert queue.job("a") is None


def test_the_dead_can_be_replayed(queue: Queue) -> None:
    queue.enqueue(at_priority(A, 3), B, C)
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker), attempt=5)
    queue.enqueue(D)
    assert queue.replay("b", "a", "d", "unknown", "b") == ["b", "a"]
    assert queue.whole() == Whole(waiting=["a", "d", "b"], dead=["c"], workers=["w1"])
    record = queue.record("a")
    assert (record.attempt, record.error, record.ended_ms, record.priority) == (0, b"", None, 3)
    job = queue.claim_one(worker)
    assert (job.id, job.task, job.payload, job.meta, job.attempt) == ("a", "send", A.payload, A.meta, 0)


def test_a_replay_sent_again_replays_nothing(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker))
    queue.replay("a")
    before = queue.dump()
    assert queue.replay("a") == []
    assert queue.dump() == before


def test_a_replayed_job_is_charged_nothing(queue: Queue) -> None:
    queue.open(crash_max=1)
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    queue.replay("a")
    record = queue.record("a")
    assert (record.crashes, record.attempt) == (0, 0)
    assert queue.whole() == Whole(waiting=["a"])


def test_a_replayed_job_can_die_again(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    for _ in range(2):
        queue.bury(worker, queue.claim_one(worker), attempt=2)
        assert (queue.record("a").error, queue.record("a").attempt) == (ERROR, 2)
        queue.replay("a")
    assert queue.whole() == Whole(waiting=["a"], workers=["w1"])


def test_waiting_jobs_are_purged_in_their_order(queue: Queue) -> None:
    _each_state(queue)
    queue.enqueue(*many(3), *many(1, "k", priority=5))
    assert queue.purge(State.WAITING, limit=2) == 2
    assert queue.whole() == Whole(**{**vars(EVERYWHERE), "waiting": ["j0000", "j0001", "j0002"]})
    assert queue.purge(State.WAITING, limit=2) == 2
    assert queue.purge(State.WAITING, limit=2) == 1
    assert queue.purge(State.WAITING, limit=2) == 0
    assert queue.whole() == Whole(**{**vars(EVERYWHERE), "waiting": []})


def test_what_was_handed_back_is_purged_too(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    queue.hand_back(worker, *queue.claim(worker, limit=2))
    assert queue.purge(State.WAITING, limit=1) == 1
    assert queue.whole() == Whole(waiting=["b", "c"], workers=["w1"])
    assert queue.purge(State.WAITING) == 2
    assert queue.whole() == Whole(workers=["w1"])


def test_scheduled_jobs_are_purged(queue: Queue) -> None:
    _each_state(queue)
    queue.enqueue(later(A, 1_000))
    assert queue.purge(State.SCHEDULED, limit=1) == 1
    assert queue.purge(State.SCHEDULED) == 1
    assert queue.purge(State.SCHEDULED) == 0
    assert queue.counts().scheduled == 0
    assert queue.whole().strays == []


def test_the_dead_are_purged(queue: Queue) -> None:
    _each_state(queue)
    assert queue.purge(State.DEAD) == 1
    assert queue.purge(State.DEAD) == 0
    assert queue.whole() == Whole(**{**vars(EVERYWHERE), "dead": []})


@pytest.mark.parametrize("state", [State.WAITING, State.SCHEDULED, State.DEAD])
def test_more_than_a_thousand_are_purged_in_several_calls(queue: Queue, state: State) -> None:
    delay_ms = 5_000 if state is State.SCHEDULED else 0
    for prefix, number in (("j", 1_000), ("k", 3)):
        queue.enqueue(*many(number, prefix, delay_ms=delay_ms))
    if state is State.DEAD:
        worker = queue.register()
        while jobs := queue.claim(worker, limit=1_000):
            queue.bury(worker, *jobs)
        queue.reclaim(worker)
    assert [queue.purge(state) for _ in range(3)] == [1_000, 3, 0]
    assert queue.whole() == Whole()


@pytest.mark.parametrize("state", [State.WAITING, State.SCHEDULED, State.DEAD])
def test_a_purged_jobs_chosen_id_stays_taken_for_an_hour(queue: Queue, state: State) -> None:
    queue.enqueue(chosen(later(A, 1_000 if state is State.SCHEDULED else 0)))
    if state is State.DEAD:
        worker = queue.register()
        queue.bury(worker, *queue.claim(worker))
        queue.reclaim(worker)
    queue.purge(state)
    assert queue.whole() == Whole(ids=1)
    queue.now_ms += HOUR_MS - 1
    assert queue.enqueue(chosen(A)) == [Enqueued.EXISTS]
    assert queue.enqueue(chosen(A), after_ms=1) == [Enqueued.STORED]


@pytest.mark.parametrize("state", [State.ACTIVE, State.COMPLETED, State.CANCELLED])
def test_nothing_else_can_be_purged(queue: Queue, state: State) -> None:
    with pytest.raises(SettingsError, match="cannot be purged"):
        queue.purge(state)
