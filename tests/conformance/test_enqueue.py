"""What enqueue stores, in which order it is claimed, and when what is delayed comes due."""

import pytest
from msgspec.structs import replace

from homing.checksum import checksum
from homing.job import Enqueued, NewJob, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import MINUTE_MS, A, B, C, D, at_priority, chosen, ids, later, made_at, many


def test_a_new_queue_is_empty(queue: Queue) -> None:
    assert queue.whole() == Whole()


def test_jobs_are_claimed_in_the_order_in_which_they_were_enqueued(queue: Queue) -> None:
    assert queue.enqueue(A, B) == [Enqueued.STORED, Enqueued.STORED]
    assert queue.enqueue(C) == [Enqueued.STORED]
    assert queue.whole() == Whole(waiting=["a", "b", "c"])
    worker = queue.register()
    assert ids(queue.claim(worker, limit=2)) == ["a", "b"]
    assert ids(queue.claim(worker, limit=2)) == ["c"]
    assert queue.whole() == Whole(active={"w1": ["a", "b", "c"]}, workers=["w1"])


def test_a_job_arrives_as_it_was_enqueued(queue: Queue) -> None:
    job = NewJob("full", "send", b'[[1],{"x":"\xc3\xa9"}]', b'{"timeout":3}', priority=7)
    message = NewJob("bare", payload=b'"\\u0000 hello"')
    queue.enqueue(job, message)
    first, second = queue.claim(queue.register())
    assert (first.id, first.task, first.payload, first.meta, first.attempt) == (
        "full", "send", b'[[1],{"x":"\xc3\xa9"}]', b'{"timeout":3}', 0,
    )  # fmt: skip
    assert (first.alone, first.fields) == (False, None)
    assert queue.near(first.since_ms, queue.start_ms)
    assert first.token > queue.start_ms
    assert (second.id, second.task, second.payload, second.meta) == ("bare", "", b'"\\u0000 hello"', b"")
    assert second.token == first.token
    assert queue.whole() == Whole(active={"w1": ["full", "bare"]}, workers=["w1"])


def test_a_mixed_batch_keeps_its_order_and_says_which_ids_were_taken(queue: Queue) -> None:
    queue.enqueue(chosen(B))
    batch = [
        NewJob("p1", "send"),
        NewJob("p2", "send"),
        NewJob("r1", "report"),
        chosen(B),
        chosen(C),
        NewJob("p3", "send"),
        chosen(C),
        later(D, 5),
        NewJob("m1", "send", meta=b'{"timeout": 3}\n'),
    ]
    answers = queue.enqueue(*batch)
    assert [i for i, answer in enumerate(answers) if answer is Enqueued.EXISTS] == [3, 6]
    claimed = queue.claim(queue.register())
    assert [(job.id, job.task, job.meta) for job in claimed] == [
        ("b", "send", b""),
        ("p1", "send", b""),
        ("p2", "send", b""),
        ("r1", "report", b""),
        ("c", "send", b""),
        ("p3", "send", b""),
        ("m1", "send", b'{"timeout": 3}\n'),
    ]
    assert queue.whole() == Whole(active={"w1": ids(claimed)}, scheduled=["d"], ids=2, workers=["w1"])


def test_a_payload_may_be_any_bytes(queue: Queue) -> None:
    payload = bytes(range(256)) * 40
    queue.enqueue(NewJob("raw", "", payload))
    [job] = queue.claim(queue.register())
    assert job.payload == payload


def test_an_empty_batch_adds_nothing(queue: Queue) -> None:
    assert queue.enqueue() == []
    assert queue.whole() == Whole()


def test_more_than_a_thousand_jobs_in_one_call_are_refused(queue: Queue) -> None:
    with pytest.raises(ValueError, match="1000"):
        queue.enqueue(*many(1_001))
    assert queue.whole() == Whole()


def test_a_thousand_jobs_go_in_and_out_in_one_call_each(queue: Queue) -> None:
    jobs = many(1_000)
    queue.enqueue(*jobs)
    worker = queue.register()
    claimed = queue.claim(worker, limit=1_000)
    assert ids(claimed) == ids(jobs)
    assert queue.ack(worker, *claimed).done == 1_000
    assert queue.whole() == Whole(completed=ids(jobs), workers=["w1"])


def test_the_highest_priority_is_claimed_first(queue: Queue) -> None:
    jobs = [
        at_priority(NewJob(f"p{priority}-{turn}", "send"), priority)
        for turn in (1, 2)
        for priority in (0, -100, 100, 5, -1)
    ]
    queue.enqueue(*jobs)
    expected = [f"p{priority}-{turn}" for priority in (100, 5, 0, -1, -100) for turn in (1, 2)]
    assert queue.whole() == Whole(waiting=expected)
    worker = queue.register()
    assert ids(queue.claim(worker, limit=3)) == expected[:3]
    assert ids(queue.claim(worker, limit=100)) == expected[3:]
    assert queue.whole() == Whole(active={"w1": expected}, workers=["w1"])


def test_a_priority_is_announced_once(queue: Queue) -> None:
    queue.enqueue(at_priority(A, 5))
    queue.enqueue(at_priority(B, 5), C)
    assert sorted((queue.field("meta", "priorities") or b"0").split()) == [b"0", b"5"]
    assert queue.whole() == Whole(waiting=["a", "b", "c"])


def test_a_delayed_job_waits_for_its_time(queue: Queue) -> None:
    queue.enqueue(later(A, 5_000), later(B, 2_000), C)
    assert queue.whole() == Whole(scheduled=["b", "a"], waiting=["c"])
    worker = queue.register()
    first = queue.claim_whole(worker)
    assert (ids(first.jobs), first.due_in_ms, first.now_ms) == (["c"], 2_000, queue.start_ms)
    queue.now_ms += 1_999
    assert (queue.claim(worker), queue.claim_whole(worker).due_in_ms) == ([], 1)
    assert queue.whole() == Whole(scheduled=["b", "a"], active={"w1": ["c"]}, workers=["w1"])


def test_a_claim_promotes_what_is_due(queue: Queue) -> None:
    queue.enqueue(later(A, 5_000), later(B, 2_000))
    worker = queue.register()
    queue.now_ms += 2_000
    claim = queue.claim_whole(worker)
    assert (ids(claim.jobs), claim.due_in_ms) == (["b"], 3_000)
    assert queue.near(claim.jobs[0].since_ms, queue.start_ms + 2_000)
    queue.now_ms += 60_000
    claim = queue.claim_whole(worker)
    assert (ids(claim.jobs), claim.due_in_ms) == (["a"], None)
    assert queue.near(claim.jobs[0].since_ms, queue.start_ms + 5_000)
    assert queue.whole() == Whole(active={"w1": ["b", "a"]}, workers=["w1"])


@pytest.mark.exact_answers("a copy tells what it promoted itself")
def test_a_tick_promotes_what_is_due(queue: Queue) -> None:
    queue.enqueue(later(A, 5_000), later(at_priority(B, 9), 4_000), later(C, 6_000))
    tick = queue.tick(after_ms=3_999)
    assert (tick.promoted, tick.due_in_ms, tick.waiting, tick.more) == (0, 1, 0, False)
    tick = queue.tick(after_ms=1_500)
    assert (tick.promoted, tick.due_in_ms, tick.waiting, tick.more) == (2, 501, 2, False)
    assert queue.whole() == Whole(waiting=["b", "a"], scheduled=["c"])
    jobs = queue.claim(queue.register())
    assert [(job.id, job.attempt, job.payload, job.meta) for job in jobs] == [
        ("b", 0, B.payload, B.meta),
        ("a", 0, A.payload, A.meta),
    ]
    assert queue.whole() == Whole(active={"w1": ["b", "a"]}, scheduled=["c"], workers=["w1"])


def test_what_came_due_together_waits_in_the_order_of_its_times(queue: Queue) -> None:
    queue.enqueue(later(C, 3_000), later(A, 1_000), later(B, 2_000))
    queue.tick(after_ms=10_000)
    queue.enqueue(D)
    assert queue.whole() == Whole(waiting=["a", "b", "c", "d"])


def test_a_promoted_job_keeps_its_place_behind_those_that_waited(queue: Queue) -> None:
    queue.enqueue(later(A, 1_000), B)
    queue.tick(after_ms=1_000)
    assert queue.whole() == Whole(waiting=["b", "a"])


@pytest.mark.exact_answers("a copy goes on where the first one ended")
def test_a_tick_promotes_a_thousand_and_says_that_more_are_due(queue: Queue) -> None:
    queue.enqueue(*many(1_000, delay_ms=1_000))
    queue.enqueue(*many(5, "k", delay_ms=2_000))
    tick = queue.tick(after_ms=5_000)
    assert (tick.promoted, tick.more, tick.waiting) == (1_000, True, 1_000)
    tick = queue.tick()
    assert (tick.promoted, tick.more, tick.due_in_ms, tick.waiting) == (5, False, None, 1_005)


def test_a_claim_says_that_more_may_be_claimed(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    assert queue.claim_whole(worker, limit=2).more
    assert not queue.claim_whole(worker, limit=1).more
    assert not queue.claim_whole(worker, limit=1).more


def test_a_claim_of_nothing_gives_nothing(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    assert queue.claim(worker, limit=0) == []
    assert queue.whole() == Whole(waiting=["a"], workers=["w1"])


def test_a_scheduled_job_shows_its_due_time(queue: Queue) -> None:
    queue.enqueue(later(A, MINUTE_MS))
    job = queue.record("a")
    assert (job.state, job.due_ms) == (State.SCHEDULED, queue.start_ms + MINUTE_MS)
    assert job.created_ms == queue.start_ms


def test_a_list_job_says_when_it_was_made_where_its_id_does_not(queue: Queue) -> None:
    """Of a batch whose ids are as near to each other as can be."""
    if queue.engine.name != "lists":
        pytest.skip("a stream's jobs stand in entries")
    moments = [*range(-1_070, -930), *range(930, 1_070)]
    jobs = [replace(B, id=made_at(queue.now_ms + moment, 0)) for moment in moments]
    queue.enqueue(*jobs)
    told = [queue.raw.hget(queue.keys.job(job.id), "created_ms") is not None for job in jobs]
    assert told == [abs(moment) > 1_000 for moment in moments]
    # A caller may choose one that is spelt like ours, but for a letter.
    odd = f"{made_at(queue.now_ms, 1)[:-1]}:"
    queue.enqueue(chosen(replace(B, id=odd)))
    assert queue.record(odd).created_ms == queue.now_ms


def test_the_hash_of_a_list_job_says_while_it_is_new_and_plain(queue: Queue) -> None:
    """What claim reads of a job that says so is all that there is."""
    if queue.engine.name != "lists":
        pytest.skip("a stream's jobs stand in entries")
    worker = queue.register()
    b, c, m, a, d, old = (made_at(queue.now_ms - 1_001 * (number == 5), number) for number in range(6))
    message = NewJob(m, "", b'"hi"')
    queue.enqueue(replace(B, id=b))
    queue.enqueue(
        replace(C, id=c), message, replace(A, id=a), at_priority(replace(D, id=d), -1), replace(B, id=old)
    )
    order = [b, c, m, a, old, d]

    def said(*job_ids: str) -> list[bytes]:
        return [queue.raw.hget(queue.keys.job(one), "state") for one in job_ids]

    assert said(*order) == [b"waiting new"] * 3 + [b"waiting"] * 3
    assert queue.raw.hgetall(queue.keys.job(m)).keys() == {b"state", b"homing"}
    records = [queue.record(one) for one in order]
    assert [(record.state, record.created_ms) for record in records] == [(State.WAITING, queue.now_ms)] * 6
    assert [(record.task, record.payload) for record in records[1:3]] == [(C.task, C.payload), ("", b'"hi"')]
    jobs = queue.claim(worker)
    assert said(*(job.id for job in jobs)) == [b"active"] * 6
    assert [(job.id, job.meta, job.since_ms) for job in jobs] == [
        (one, A.meta if one == a else b"", queue.now_ms) for one in order
    ]
    queue.hand_back(worker, *jobs)
    assert said(*order) == [b"waiting"] * 6
    assert queue.whole() == Whole(waiting=order, workers=["w1"])
    again = queue.claim(worker)
    assert [(job.id, job.task, job.payload, job.since_ms) for job in again] == [
        (job.id, job.task, job.payload, job.since_ms) for job in jobs
    ]


def test_the_hash_of_a_list_job_that_leaves_the_plain_road_names_its_parts(queue: Queue) -> None:
    """Who mends a dead letter finds `task`, `payload` and `sum`."""
    if queue.engine.name != "lists":
        pytest.skip("a stream's jobs stand in entries")
    late, again, dead, crashed = (replace(A, id=made_at(queue.now_ms, number)) for number in range(4))
    queue.enqueue(later(late, 100), again, dead, crashed)
    worker = queue.register(crash_max=1)
    held = queue.claim(worker)
    queue.again(worker, held[0], 100)
    queue.bury(worker, held[1])
    queue.reclaim(worker, "died", held[2].id)
    for job in (late, again, dead, crashed):
        found = queue.raw.hgetall(queue.keys.job(job.id))
        assert (found[b"task"], found[b"payload"]) == (A.task.encode(), A.payload)
        assert found[b"sum"] == checksum(A.task, A.payload)
        assert b"homing" not in found
    queue.now_ms += 100
    queue.tick()
    queue.replay(dead.id)
    jobs = queue.claim(queue.register())
    assert [(job.id, job.task, job.payload, job.corrupted) for job in jobs] == [
        (job.id, A.task, A.payload, False) for job in (late, again, dead)
    ]


@pytest.mark.parametrize(
    "body", [b"", b" ", b"01234567", b"01234567 send", b" send\n[[],{}]", b"00000000 send\n[[],{}]"]
)
def test_a_list_job_that_was_damaged_between_its_parts_is_corrupted(queue: Queue, body: bytes) -> None:
    if queue.engine.name != "lists":
        pytest.skip("test_places has it for streams")
    job, other = (replace(A, id=made_at(queue.now_ms, number)) for number in range(2))
    queue.enqueue(job, other)
    queue.raw.hset(queue.keys.job(job.id), "homing", body)
    assert queue.record(job.id).corrupted
    worker = queue.register()
    held = queue.claim(worker)
    assert [one.corrupted for one in held] == [True, False]
    queue.bury(worker, held[0])
    assert queue.record(job.id).corrupted
    assert queue.raw.hget(queue.keys.job(job.id), "payload") == (
        b"[[],{}]" if body[:1] == b"0" and b"\n" in body else body
    )
