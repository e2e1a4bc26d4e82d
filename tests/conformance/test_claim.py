"""Claims and `held`: numbers that must grow, lost replies, tokens, pause."""

import pytest
from msgspec.structs import replace

from homing.errors import ClaimRefused, LeaseLost
from homing.job import State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, B, C, at_priority, ids, later, many


def test_a_claim_given_up_cannot_act_late(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.claim(worker, limit=1, number=5)
    before = queue.dump()
    for late in (5, 4):
        with pytest.raises(ClaimRefused):
            queue.claim(worker, limit=1, number=late)
    assert queue.dump() == before
    assert ids(queue.claim(worker, limit=1, number=6)) == ["b"]
    assert queue.whole() == Whole(active={"w1": ["a", "b"]}, workers=["w1"])


def test_a_claim_that_gave_nothing_counts_too(queue: Queue) -> None:
    worker = queue.register()
    queue.claim(worker, number=2)
    queue.enqueue(A)
    with pytest.raises(ClaimRefused):
        queue.claim(worker, number=1)
    queue.pause()
    queue.claim(worker, number=3)
    queue.resume()
    with pytest.raises(ClaimRefused):
        queue.claim(worker, number=3)
    assert queue.whole() == Whole(waiting=["a"], workers=["w1"])


def test_numbers_are_compared_as_numbers(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker, limit=0, number=9)
    assert ids(queue.claim(worker, number=10)) == ["a"]


def test_each_worker_has_its_own_numbers(queue: Queue) -> None:
    queue.enqueue(A, B)
    first, second = queue.register(), queue.register()
    queue.claim(first, limit=1, number=9)
    assert ids(queue.claim(second, limit=1, number=1)) == ["b"]


def test_held_refuses_what_a_claim_refuses(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker, number=5)
    before = queue.dump()
    with pytest.raises(ClaimRefused):
        queue.held(worker, number=5)
    assert queue.dump() == before
    queue.held(worker, number=6)
    with pytest.raises(ClaimRefused):
        queue.claim(worker, number=6)


def test_held_gives_what_the_worker_does_not_know_of_with_a_new_token(queue: Queue) -> None:
    queue.enqueue(A, B, at_priority(C, 3))
    worker = queue.register()
    lost = queue.claim(worker)  # its reply never came
    assert ids(lost) == ["c", "a", "b"]
    held = queue.held(worker, "a")
    assert sorted(ids(held.jobs)) == ["b", "c"]
    assert all(job.token > lost[0].token for job in held.jobs)
    was = {job.id: replace(job, token=0) for job in lost}
    assert all(replace(job, token=0) == was[job.id] for job in held.jobs)
    assert queue.ack(worker, *held.jobs, lost[1]).done == 3
    assert queue.whole() == Whole(completed=["a", "b", "c"], workers=["w1"])


def test_held_gives_nothing_when_everything_is_known(queue: Queue) -> None:
    queue.enqueue(A, later(B, 5_000))
    worker = queue.register()
    queue.claim(worker)
    held = queue.held(worker, "a", "unheard-of")
    assert (held.jobs, held.due_in_ms, held.more, held.paused, held.now_ms) == (
        [], 5_000, False, False, queue.now_ms,
    )  # fmt: skip
    assert queue.whole() == Whole(active={"w1": ["a"]}, scheduled=["b"], workers=["w1"])


def test_held_takes_nothing_that_waits_or_is_of_others(queue: Queue) -> None:
    queue.enqueue(A, B)
    first, second = queue.register(), queue.register()
    queue.claim(first, limit=1)
    assert queue.held(second).jobs == []
    assert queue.whole() == Whole(waiting=["b"], active={"w1": ["a"]}, workers=["w1", "w2"])


def test_held_gives_at_most_a_thousand_and_says_that_there_are_more(queue: Queue) -> None:
    queue.enqueue(*many(1_000))
    queue.enqueue(*many(3, "k"))
    worker = queue.register()
    queue.claim(worker, limit=1_000)
    queue.claim(worker, limit=3)
    held = queue.held(worker)
    assert (len(held.jobs), held.more) == (1_000, True)
    rest = queue.held(worker, *ids(held.jobs))
    assert (len(rest.jobs), rest.more) == (3, False)
    assert {*ids(held.jobs), *ids(rest.jobs)} == {*ids(many(1_000)), *ids(many(3, "k"))}


def test_tokens_are_microseconds_of_the_server(queue: Queue) -> None:
    """In whole milliseconds two primaries, one of which was replaced, would give the same ones."""
    queue.enqueue(*many(5))
    queue.do(queue.engine.register("w9"))
    fractions = []
    for number in range(1, 6):
        [job] = queue.do(queue.engine.claim("w9", limit=1, number=number)).jobs
        fractions.append(job.token % 1_000)
    assert max(fractions) >= len(fractions)  # whole milliseconds would count from 0


def test_tokens_grow_with_every_delivery(queue: Queue) -> None:
    queue.enqueue(A)
    first, second = queue.register(), queue.register()
    jobs = [queue.claim_one(first)]
    queue.again(first, jobs[-1], 0)
    jobs.append(queue.claim_one(first))
    queue.hand_back(first, jobs[-1])
    jobs.append(queue.claim_one(first))
    queue.reclaim(first)
    jobs.append(queue.claim_one(second))
    queue.bury(second, jobs[-1])
    queue.replay("a")
    queue.now_ms -= 5_000  # the clock of another host
    jobs.append(queue.claim_one(second))
    queue.ack(second, jobs[-1])
    queue.enqueue(A)
    jobs.append(queue.claim_one(second))
    tokens = [job.token for job in jobs]
    assert tokens == sorted(set(tokens))
    assert queue.whole() == Whole(active={"w2": ["a"]}, completed=["a"], workers=["w2"])


def test_a_worker_that_is_no_member_claims_nothing(queue: Queue) -> None:
    queue.enqueue(A)
    for call in (queue.claim, queue.held):
        with pytest.raises(LeaseLost):
            call("nobody")
    assert queue.whole() == Whole(waiting=["a"])


def test_a_paused_queue_gives_nothing_until_resume(queue: Queue) -> None:
    queue.enqueue(A, later(B, 1_000))
    worker = queue.register()
    queue.pause()
    claim = queue.claim_whole(worker)
    assert (claim.jobs, claim.paused, claim.due_in_ms) == ([], True, 1_000)
    assert (queue.tick(worker).waiting, queue.held(worker).paused) == (0, True)
    assert queue.registered("late").paused
    assert queue.whole() == Whole(waiting=["a"], scheduled=["b"], workers=["late", "w1"], paused=True)
    queue.resume()
    claim = queue.claim_whole(worker)
    assert (ids(claim.jobs), claim.paused) == (["a"], False)
    assert queue.whole() == Whole(active={"w1": ["a"]}, scheduled=["b"], workers=["late", "w1"])


def test_a_paused_queue_takes_jobs_and_outcomes(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    queue.pause()
    queue.enqueue(B)
    assert queue.ack(worker, job).done == 1
    assert queue.whole() == Whole(waiting=["b"], completed=["a"], workers=["w1"], paused=True)


def test_pause_and_resume_said_twice_are_said_once(queue: Queue) -> None:
    queue.pause()
    queue.pause()
    assert queue.whole() == Whole(paused=True)
    queue.resume()
    queue.resume()
    assert queue.whole() == Whole()


def test_many_workers_never_share_a_job(queue: Queue) -> None:
    queue.enqueue(*many(20))
    workers = [queue.register() for _ in range(4)]
    held = {worker: ids(queue.claim(worker, limit=5)) for worker in workers}
    assert queue.whole() == Whole(active=held, workers=workers)
    assert [one for claimed in held.values() for one in claimed] == ids(many(20))


def test_a_claimed_job_says_who_holds_it(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.claim(worker)
    job = queue.record("a")
    assert (job.state, job.worker, job.due_ms) == (State.ACTIVE, "w1", None)
