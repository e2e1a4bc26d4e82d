"""Results and ends: who is told, what is kept, for how long, and how much of it."""

import pytest

from homing.job import Ack, Cancelled, Enqueued, HandBack, NewJob, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, HOUR_MS, A, B, C, D, awaited, chosen, ids, later, many, settlement

#: What is kept of ends and answers lives so long unless the queue says otherwise.
RESULT_TTL_S = 600


def test_who_waits_is_told_the_end(queue: Queue) -> None:
    queue.enqueue(awaited(A), B)
    worker = queue.register()
    first, second = queue.claim(worker)
    assert (queue.told(), queue.counts().replies) == ([], 1)
    queue.ack(worker, first, second, result=b'"sent\nall"')
    assert queue.told() == [b'a\ncompleted\n"sent\nall"']
    assert queue.whole() == Whole(completed=["a", "b"], workers=["w1"])


def test_every_end_is_told(queue: Queue) -> None:
    queue.enqueue(*(awaited(job) for job in many(3)), awaited(A), awaited(B), awaited(later(C, 9)))
    worker = queue.register()
    jobs = queue.claim(worker, limit=3)
    queue.ack(worker, jobs[0])
    queue.bury(worker, jobs[1])
    queue.decide(worker, jobs[2], Cancelled())
    queue.cancel("a")
    queue.remove("b")
    queue.cancel("c")
    assert queue.told() == [
        b"j0000\ncompleted\n",
        b"j0001\ndead\n" + ERROR,
        b"j0002\ncancelled\n",
        b"a\ncancelled\n",
        b"b\ncancelled\n",
        b"c\ncancelled\n",
    ]
    assert queue.whole() == Whole(
        completed=["j0000"], dead=["j0001"], cancelled=["a", "c", "j0002"], workers=["w1"]
    )


@pytest.mark.parametrize("state", [State.WAITING, State.SCHEDULED])
def test_who_waits_for_a_purged_job_is_told(queue: Queue, state: State) -> None:
    queue.enqueue(awaited(later(A, 5 if state is State.SCHEDULED else 0)))
    queue.purge(state)
    assert queue.told() == [b"a\ncancelled\n"]
    assert queue.whole() == Whole()


def test_who_waits_for_a_job_that_crashed_too_often_is_told(queue: Queue) -> None:
    queue.open(crash_max=1)
    queue.enqueue(awaited(A))
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    assert queue.told() == [b"a\ndead\n" + ERROR]
    assert queue.whole() == Whole(dead=["a"], suspects=1)


def test_what_is_no_end_is_not_told(queue: Queue) -> None:
    queue.enqueue(awaited(A))
    worker = queue.register()
    queue.decide(worker, queue.claim_one(worker), HandBack())
    queue.again(worker, queue.claim_one(worker), 0)
    queue.claim(worker)
    queue.reclaim(worker, "died")
    assert queue.told() == []
    assert queue.whole() == Whole(waiting=["a"], replies=1)


def test_who_follows_hears_the_end_once(queue: Queue) -> None:
    queue.enqueue(A, later(B, 5_000))
    worker = queue.register()
    queue.claim(worker)
    found = queue.follow("a", "b")
    assert [job and (job.id, job.state) for job in found] == [("a", State.ACTIVE), ("b", State.SCHEDULED)]
    queue.follow("a", "b")
    queue.follow("a", process="q")
    assert queue.counts().replies == 2
    queue.ack(worker, *queue.held(worker).jobs, result=b"1")
    assert (queue.told("p"), queue.told("q")) == ([b"a\ncompleted\n1"], [b"a\ncompleted\n1"])
    assert queue.whole() == Whole(scheduled=["b"], completed=["a"], workers=["w1"], replies=1)


def test_processes_whose_names_begin_alike_are_told_apart(queue: Queue) -> None:
    queue.enqueue(awaited(A, "p10"))
    queue.follow("a", process="p1")
    queue.follow("a", process="p1")
    queue.cancel("a")
    assert (queue.told("p1"), queue.told("p10")) == ([b"a\ncancelled\n"], [b"a\ncancelled\n"])


def test_what_has_ended_is_answered_at_once(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    first, second, _ = queue.claim(worker)
    queue.ack(worker, first, result=b"5")
    queue.bury(worker, second)
    before = queue.dump()
    found = queue.follow("a", "unknown", "b")
    assert found == [queue.job("a"), None, queue.job("b")]
    assert (found[0] and found[0].result, found[2] and found[2].error) == (b"5", ERROR)
    assert queue.dump() == before


def test_a_waiting_job_is_followed(queue: Queue) -> None:
    queue.enqueue(A)
    [job] = queue.follow("a")
    assert job is not None
    assert (job.state, queue.counts().replies) == (State.WAITING, 1)


def test_who_follows_a_scheduled_job_sees_when_it_is_due(queue: Queue) -> None:
    queue.enqueue(later(A, 2_000))
    [job] = queue.follow("a")
    assert job == queue.job("a")
    assert job is not None
    assert job.due_ms == queue.start_ms + 2_000


def test_of_an_id_that_ends_twice_the_last_end_is_the_fact(queue: Queue) -> None:
    queue.open(facts_max=2, id_ttl_ms=0)
    worker = queue.register()
    queue.enqueue(chosen(A), B)
    queue.ack(worker, *queue.claim(worker))
    queue.tick(worker, after_ms=1)
    queue.enqueue(chosen(A))
    queue.cancel("a")
    assert queue.whole() == Whole(completed=["b"], cancelled=["a"], workers=["w1"], ids=1)


def test_a_none_that_is_waited_for_is_kept(queue: Queue) -> None:
    queue.enqueue(awaited(A), B)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    assert (queue.record("a").result, queue.record("b").result) == (b"", None)
    assert queue.ttl_s("result:a") in range(RESULT_TTL_S - 5, RESULT_TTL_S + 1)


def test_a_result_is_kept_for_ten_minutes(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker), result=b"1")
    for name in ("result:a", "results"):
        assert queue.ttl_s(name) in range(RESULT_TTL_S - 5, RESULT_TTL_S + 1)


def test_how_long_results_are_kept_is_the_queues_setting(queue: Queue) -> None:
    queue.open(result_ttl_ms=60_000)
    queue.enqueue(awaited(A))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker), result=b"1")
    for name in ("result:a", "results", "reply:p"):
        assert queue.ttl_s(name) in range(55, 61)


def test_reply_lists_are_bounded_and_expire(queue: Queue) -> None:
    queue.enqueue(*(awaited(job) for job in many(1_000)))
    queue.enqueue(*(awaited(job) for job in many(1, "k")))
    queue.purge(State.WAITING)
    queue.purge(State.WAITING)
    told = queue.told()
    assert (len(told), told[-1], told[0]) == (1_000, b"k0000\ncancelled\n", b"j0001\ncancelled\n")
    assert queue.ttl_s("reply:p") in range(RESULT_TTL_S - 5, RESULT_TTL_S + 1)
    assert queue.whole() == Whole()


def test_results_are_bounded_in_number(queue: Queue) -> None:
    queue.open(result_max=3)
    queue.enqueue(*many(5))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker), result=b"1")
    kept = [queue.record(one).result for one in ids(many(5))]
    assert kept == [None, None, b"1", b"1", b"1"]
    assert len([name for name in queue.names() if name.startswith("result:")]) == 3
    assert queue.raw.llen(queue.keys("results")) == 3


def test_a_lower_bound_of_results_comes_true_by_and_by(queue: Queue) -> None:
    worker = end_with_results(queue, many(6))
    queue.open(result_max=2)
    kept = []
    for number in range(3):
        end_with_results(queue, many(1, f"k{number}"), worker)
        kept.append(queue.raw.llen(queue.keys("results")))
    assert kept == [5, 4, 3]
    assert len([name for name in queue.names() if name.startswith("result:")]) == 3


@pytest.mark.parametrize(("again", "kept"), [([A], "ab"), ([C, A], "ac"), ([A, C], "ac"), ([A, C, D], "cd")])
def test_an_id_that_ends_again_keeps_its_result_when_its_older_one_makes_room(
    queue: Queue, again: list[NewJob], kept: str
) -> None:
    queue.open(result_max=2, id_ttl_ms=0)
    worker = end_with_results(queue, [A, B])
    end_with_results(queue, again, worker)
    assert [one for one in "abcd" if (job := queue.job(one)) and job.result] == list(kept)
    assert queue.raw.llen(queue.keys("results")) == 2


def end_with_results(queue: Queue, jobs: list[NewJob], worker: str = "") -> str:
    worker = worker or queue.register()
    queue.enqueue(*jobs)
    queue.ack(worker, *queue.claim(worker), result=b"1")
    return worker


def test_ends_of_a_batch_are_told_to_all_who_wait(queue: Queue) -> None:
    queue.enqueue(awaited(A, "p"), B, awaited(C, "r"), D)
    queue.follow("a", process="r")
    queue.follow("d", process="p")
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker), result=b"1")
    ends = {one: f"{one}\ncompleted\n1".encode() for one in "acd"}
    assert (queue.told("p"), queue.told("r")) == ([ends["a"], ends["d"]], [ends["a"], ends["c"]])
    assert not queue.raw.exists(queue.keys("replies"))


def test_facts_are_bounded_in_two_generations(queue: Queue) -> None:
    queue.open(facts_max=3)
    queue.enqueue(*many(11))
    worker = queue.register()
    for job in queue.claim(worker):
        queue.ack(worker, job)
    assert queue.whole() == Whole(completed=[f"j{i:04}" for i in range(6, 11)], workers=["w1"])
    assert queue.job("j0005") is None


def test_a_lean_end_is_told_but_not_kept(queue: Queue) -> None:
    queue.enqueue(awaited(A))
    worker = queue.register()
    queue.decide(worker, queue.claim_one(worker), Ack(b"1"), lean=True)
    assert queue.told() == [b"a\ncompleted\n1"]
    assert queue.job("a") is None
    assert queue.whole() == Whole(workers=["w1"])


@pytest.mark.parametrize("none", [{"result_ttl_ms": 0}, {"result_max": 0}])
def test_a_queue_that_keeps_no_results_still_tells_who_waits(queue: Queue, none: dict[str, int]) -> None:
    queue.open(**none)
    queue.enqueue(A, B)
    worker = queue.register()
    queue.follow("a")
    queue.ack(worker, *queue.claim(worker), result=b"7")
    assert queue.told() == [b"a\ncompleted\n7"]
    records = [queue.record("a"), queue.record("b")]
    assert [(one.result, one.returned) for one in records if one] == [(None, True), (None, True)]
    assert queue.whole() == Whole(completed=["a", "b"], workers=["w1"])


def test_a_reason_to_cancel_is_kept_and_told(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.follow("a")
    first, second = queue.claim(worker)
    queue.settle(worker, settlement(first, Cancelled("no such customer")), settlement(second, Cancelled()))
    assert queue.told() == [b"a\ncancelled\nno such customer"]
    records = [queue.record("a"), queue.record("b")]
    assert [one.result for one in records if one] == [b"no such customer", None]


def test_the_dead_are_bounded_in_number(queue: Queue) -> None:
    queue.open(dead_max=2)
    queue.enqueue(*many(5), chosen(A))
    worker = queue.register()
    for job in queue.claim(worker):
        queue.now_ms += 1
        queue.bury(worker, job)
    assert queue.whole() == Whole(dead=["j0004", "a"], workers=["w1"], ids=1)
    assert queue.enqueue(chosen(A)) == [Enqueued.EXISTS]


def test_a_dead_job_that_makes_room_frees_its_id_after_a_while(queue: Queue) -> None:
    queue.open(dead_max=1)
    queue.enqueue(chosen(A), B)
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker))
    assert queue.whole() == Whole(dead=["b"], workers=["w1"], ids=1)
    assert queue.enqueue(chosen(A), after_ms=HOUR_MS - 1) == [Enqueued.EXISTS]
    assert queue.enqueue(chosen(A), after_ms=1) == [Enqueued.STORED]


def test_the_dead_are_bounded_in_time(queue: Queue) -> None:
    queue.open(dead_ttl_ms=60_000)
    queue.enqueue(chosen(A), B)
    worker = queue.register()
    queue.bury(worker, queue.claim_one(worker))
    queue.now_ms += 30_000
    queue.bury(worker, queue.claim_one(worker))
    queue.tick(worker, after_ms=29_999)
    assert queue.whole() == Whole(dead=["a", "b"], workers=["w1"], ids=1)
    queue.tick(worker, after_ms=1)
    assert queue.whole() == Whole(dead=["b"], workers=["w1"], ids=1)
    assert queue.enqueue(chosen(A), after_ms=HOUR_MS - 1) == [Enqueued.EXISTS]
    assert queue.enqueue(chosen(A), after_ms=1) == [Enqueued.STORED]


@pytest.mark.exact_answers("a copy goes on where the first one ended")
def test_many_dead_go_in_several_ticks(queue: Queue) -> None:
    queue.enqueue(*many(260))
    worker = queue.register()
    queue.bury(worker, *queue.claim(worker, limit=260))
    queue.open(dead_max=10)
    left = []
    for _ in range(3):
        more = queue.tick(worker).more
        left.append((queue.counts().dead, more))
    assert left == [(160, True), (60, True), (10, False)]
    assert queue.whole().strays == []


def test_a_forgotten_dead_jobs_marks_go_with_it(queue: Queue) -> None:
    queue.open(dead_max=0, crash_max=1)
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    queue.tick()
    assert queue.whole() == Whole()
