"""Safe enqueue: a call sent again adds nothing; an id chosen by a caller is taken while it must be."""

import pytest

from homing.errors import QueueFull
from homing.job import Enqueued, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import HOUR_MS, MINUTE_MS, A, B, C, D, chosen, later


def test_the_same_call_again_adds_nothing(queue: Queue) -> None:
    first = queue.enqueue(A, B, lane="lane", number=7)
    before = queue.dump()
    assert queue.enqueue(A, B, lane="lane", number=7) == first
    assert queue.dump() == before
    assert queue.whole() == Whole(waiting=["a", "b"])


def test_a_repeated_call_writes_something_for_a_wait_behind_it_to_be_about(queue: Queue) -> None:
    queue.enqueue(A, lane="lane", number=7)
    before = queue.writes()
    queue.enqueue(A, lane="lane", number=7)
    assert queue.writes() > before


def test_a_late_copy_adds_nothing_when_its_jobs_have_ended(queue: Queue) -> None:
    queue.enqueue(A, lane="lane", number=1)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    assert queue.enqueue(A, lane="lane", number=1) == [Enqueued.STORED]
    assert queue.whole() == Whole(completed=["a"], workers=["w1"])


def test_the_same_call_again_answers_as_the_first_time(queue: Queue) -> None:
    queue.enqueue(chosen(A))
    answers = [Enqueued.STORED, Enqueued.EXISTS, Enqueued.STORED]
    assert queue.enqueue(B, chosen(A), C, lane="lane") == answers
    assert queue.enqueue(B, chosen(A), C, lane="lane") == answers
    assert queue.whole() == Whole(waiting=["a", "b", "c"], ids=1)


def test_a_copy_that_arrives_after_the_lane_went_on_adds_nothing(queue: Queue) -> None:
    queue.enqueue(B, lane="lane", number=2)
    before = queue.dump()
    queue.enqueue(A, lane="lane", number=1)
    assert queue.dump() == before
    queue.enqueue(C, lane="lane", number=3)
    assert queue.whole() == Whole(waiting=["b", "c"])


def test_lanes_do_not_know_of_each_other(queue: Queue) -> None:
    queue.enqueue(A, lane="one", number=5)
    queue.enqueue(B, lane="two", number=1)
    assert queue.whole() == Whole(waiting=["a", "b"])


def test_numbers_are_compared_as_numbers(queue: Queue) -> None:
    queue.enqueue(A, lane="lane", number=9)
    queue.enqueue(B, lane="lane", number=10)
    queue.enqueue(C, lane="lane", number=9)
    assert queue.whole() == Whole(waiting=["a", "b"])


@pytest.mark.parametrize("by", ["enqueue", "tick"])
def test_a_lane_is_known_for_at_least_15_minutes(queue: Queue, by: str) -> None:
    queue.enqueue(A, lane="lane", number=1)
    queue.enqueue(B, lane="first", number=1, after_ms=14 * MINUTE_MS)
    queue.now_ms += 2 * MINUTE_MS  # what is kept since 0:00 is the old generation now
    _rotate(queue, by)
    queue.now_ms += 12 * MINUTE_MS
    queue.enqueue(B, lane="first", number=1)
    assert queue.whole() == Whole(waiting=["a", "b"])
    assert _known(queue, "first")


@pytest.mark.parametrize("by", ["enqueue", "tick"])
def test_a_lane_is_forgotten_in_the_second_generation_after_it(queue: Queue, by: str) -> None:
    queue.enqueue(A, lane="lane", number=1)
    queue.now_ms += 15 * MINUTE_MS
    _rotate(queue, by)
    assert _known(queue, "lane")
    queue.now_ms += 15 * MINUTE_MS - 1
    _rotate(queue, by)
    assert _known(queue, "lane")
    queue.now_ms += 1
    _rotate(queue, by)
    assert not _known(queue, "lane")


def test_lanes_are_forgotten_when_nobody_enqueues(queue: Queue) -> None:
    queue.enqueue(A, lane="lane", number=1)
    for _ in range(3):
        queue.tick(after_ms=16 * MINUTE_MS)
    assert [name for name in queue.names() if name.startswith("lanes")] == []


def test_a_lane_used_again_in_the_next_generation_keeps_its_number(queue: Queue) -> None:
    queue.enqueue(A, lane="lane", number=1)
    queue.enqueue(B, lane="lane", number=2, after_ms=16 * MINUTE_MS)
    queue.tick(after_ms=14 * MINUTE_MS)
    queue.enqueue(B, lane="lane", number=2)
    queue.enqueue(A, lane="lane", number=1)
    assert queue.whole() == Whole(waiting=["a", "b"])


def test_a_clock_that_jumps_back_forgets_no_lane_early(queue: Queue) -> None:
    queue.enqueue(A, lane="lane", number=1)
    queue.now_ms -= HOUR_MS
    queue.tick()
    queue.tick(after_ms=1_000)
    assert _known(queue, "lane")


def _rotate(queue: Queue, by: str) -> None:
    """Whatever turns the generations: a tick, or an enqueue of anybody else."""
    if by == "tick":
        queue.tick()
    else:
        queue.enqueue()


def _known(queue: Queue, lane: str) -> bool:
    return queue.field("lanes", lane) is not None or queue.field("lanes_old", lane) is not None


def test_a_chosen_id_is_refused_while_its_job_exists(queue: Queue) -> None:
    assert queue.enqueue(chosen(A)) == [Enqueued.STORED]
    assert queue.enqueue(chosen(A), chosen(B)) == [Enqueued.EXISTS, Enqueued.STORED]
    worker = queue.register()
    first, second = queue.claim(worker)
    assert queue.enqueue(chosen(A)) == [Enqueued.EXISTS]
    queue.again(worker, first, 5_000)
    assert queue.enqueue(chosen(A)) == [Enqueued.EXISTS]
    queue.bury(worker, second)
    assert queue.enqueue(chosen(B)) == [Enqueued.EXISTS]
    assert queue.whole() == Whole(scheduled=["a"], dead=["b"], workers=["w1"], ids=2)


def test_a_chosen_id_is_refused_twice_in_one_call(queue: Queue) -> None:
    assert queue.enqueue(chosen(A), chosen(A)) == [Enqueued.STORED, Enqueued.EXISTS]
    assert queue.whole() == Whole(waiting=["a"], ids=1)


def test_a_chosen_id_of_a_scheduled_job_is_taken(queue: Queue) -> None:
    queue.enqueue(chosen(later(A, 1_000)))
    assert queue.enqueue(chosen(A), chosen(later(A, 5))) == [Enqueued.EXISTS, Enqueued.EXISTS]
    assert queue.whole() == Whole(scheduled=["a"], ids=1)


def test_a_chosen_id_is_refused_for_an_hour_after_its_end(queue: Queue) -> None:
    queue.enqueue(chosen(A), chosen(B))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker, limit=1))
    assert queue.cancel("b") is State.WAITING
    assert queue.enqueue(chosen(A), chosen(B)) == [Enqueued.EXISTS, Enqueued.EXISTS]
    queue.now_ms += HOUR_MS - 1
    assert queue.enqueue(chosen(A), chosen(B)) == [Enqueued.EXISTS, Enqueued.EXISTS]
    assert queue.whole() == Whole(completed=["a"], cancelled=["b"], workers=["w1"], ids=2)
    queue.now_ms += 1
    assert queue.enqueue(chosen(A), chosen(B)) == [Enqueued.STORED, Enqueued.STORED]
    assert queue.counts().ids == 2


def test_the_time_that_an_id_stays_taken_can_be_set(queue: Queue) -> None:
    queue.open(id_ttl_ms=5_000)
    queue.enqueue(chosen(A))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    queue.now_ms += 4_999
    assert queue.enqueue(chosen(A)) == [Enqueued.EXISTS]
    assert queue.enqueue(chosen(A), after_ms=1) == [Enqueued.STORED]


def test_a_tick_forgets_ids_that_are_free_again(queue: Queue) -> None:
    queue.enqueue(chosen(A), chosen(B), chosen(C))
    worker = queue.register()
    first, _ = queue.claim(worker, limit=2)
    queue.ack(worker, first)
    queue.tick(worker, after_ms=HOUR_MS - 1)
    assert queue.counts().ids == 3
    queue.tick(worker, after_ms=1)
    assert queue.whole() == Whole(completed=["a"], active={"w1": ["b"]}, waiting=["c"], workers=["w1"], ids=2)


def test_a_new_chosen_id_is_refused_when_as_many_are_kept_as_may_be(queue: Queue) -> None:
    queue.open(ids_max=2)
    queue.enqueue(chosen(A), chosen(B))
    before = queue.dump()
    with pytest.raises(QueueFull, match="ids_max"):
        queue.enqueue(C, chosen(D))
    assert queue.dump() == before
    assert queue.enqueue(C) == [Enqueued.STORED]
    assert queue.enqueue(chosen(A)) == [Enqueued.EXISTS]
    assert queue.whole() == Whole(waiting=["a", "b", "c"], ids=2)


def test_a_full_set_of_ids_has_room_again_when_one_is_free(queue: Queue) -> None:
    queue.open(ids_max=1)
    queue.enqueue(chosen(A))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    queue.tick(worker, after_ms=HOUR_MS)
    assert queue.enqueue(chosen(B)) == [Enqueued.STORED]


def test_ids_that_are_free_again_make_room_also_when_nobody_ticks(queue: Queue) -> None:
    queue.open(ids_max=1)
    queue.enqueue(chosen(A))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    queue.now_ms += HOUR_MS
    assert queue.enqueue(chosen(B)) == [Enqueued.STORED]
    assert queue.counts().ids == 1


def test_an_id_we_made_is_not_kept(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    assert queue.whole() == Whole(completed=["a"], workers=["w1"])
