"""A claim of new jobs of one priority goes a road of its own: it does what any other claim does."""

import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from homing.errors import ClaimRefused, LeaseLost, NewerData
from homing.job import Claim, Claimed, NewJob
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, ids, later, made_at

STEPS = 80
ENTRY = re.compile(r"\d{13}-\d+")


def plain(queue: Queue, many: int, first: int = 0) -> list[NewJob]:
    return [
        NewJob(made_at(queue.now_ms, number), "send", b"[[],{}]") for number in range(first, first + many)
    ]


def test_it_takes_the_oldest_first_and_says_whether_there_are_more(queue: Queue) -> None:
    jobs = plain(queue, 5)
    queue.enqueue(*jobs)
    worker = queue.register()
    tokens = []
    for limit, found, more in (
        (2, jobs[:2], True),
        (2, jobs[2:4], True),
        (1, jobs[4:], False),
        (9, [], False),
    ):
        queue.rung()
        claim = queue.claim_whole(worker, limit)
        assert (ids(claim.jobs), claim.more, queue.rung()) == (ids(found), more, more)
        tokens += [claim.jobs[0].token] if found else []
    assert tokens == sorted(set(tokens))
    assert queue.whole() == Whole(active={worker: ids(jobs)}, workers=[worker])


def test_nothing_is_claimed_where_it_may_not_be(queue: Queue) -> None:
    jobs = plain(queue, 2)
    queue.enqueue(*jobs)
    worker = queue.register()
    assert queue.claim(worker, limit=0) == []
    queue.pause()
    assert (queue.claim_whole(worker).jobs, queue.claim_whole(worker).paused) == ([], True)
    queue.resume()
    with pytest.raises(LeaseLost):
        queue.claim("stranger")
    queue.claim(worker, number=1_000, limit=1)
    with pytest.raises(ClaimRefused):
        queue.claim(worker, number=1_000)
    queue.raw.hset(queue.keys.meta, "version", 2)
    with pytest.raises(NewerData):
        queue.claim(worker, number=1_001)
    queue.raw.hset(queue.keys.meta, "version", 1)
    assert queue.whole() == Whole(waiting=[jobs[1].id], active={worker: [jobs[0].id]}, workers=[worker])


def test_what_is_not_plain_among_them_comes_in_its_turn_and_once(queue: Queue) -> None:
    first, second = plain(queue, 2), plain(queue, 2, first=5)
    queue.enqueue(*first, A, *second)
    worker = queue.register()
    order = [*ids(first), "a", *ids(second)]
    assert ids(queue.claim(worker, limit=4)) == order[:4]
    assert ids(queue.claim(worker, limit=4)) == order[4:]
    assert queue.whole() == Whole(active={worker: order}, workers=[worker])


class Twins:
    """Two queues that are told the same. In one of them a second priority is in use, and no claim is plain."""

    def __init__(self, one: Queue, other: Queue, seed: int) -> None:
        self.both = (one, other)
        self.random = Random(seed)
        self.held: dict[str, list[tuple[Claimed, Claimed]]] = {}
        self.made = 0
        other.start_ms = other.now_ms = one.now_ms
        for queue in self.both:
            queue.enqueue(
                *plain(one, 1), A
            )  # the first is of the time that tests have: who comes later is behind it
        other.raw.hset(other.keys.meta, "priorities", "0 -100")
        for _ in range(2):
            self.register()

    def register(self) -> None:
        [worker] = {queue.register() for queue in self.both}
        self.held[worker] = []

    def step(self) -> None:
        for queue in self.both:
            queue.now_ms += 1
        worker = self.random.choice(list(self.held))
        match self.random.randrange(12):
            case 0 | 1 | 2:
                self.enqueue(self.random.randint(1, 6))
            case 3:
                self.enqueue(1, delay_ms=self.random.randint(1, 8))
            case 4:
                for queue in self.both:
                    queue.enqueue(NewJob(f"x{self.made}", "send", b"[[],{}]"))
                self.made += 1
            case 5 | 6 | 7:
                self.claim(worker, self.random.randint(1, 7))
            case 8 | 9:
                self.end(worker)
            case 10:
                (Queue.pause if self.random.random() < 0.3 else Queue.resume)(self.both[0])
                (Queue.pause if self.both[0].counts().paused else Queue.resume)(self.both[1])
            case 11:
                if self.random.random() < 0.4 and self.held[worker]:
                    started = [job.id for job, _ in self.held.pop(worker)][:1]
                    for queue in self.both:
                        queue.reclaim(worker, "died", *started)
                    self.register()

    def enqueue(self, many: int, delay_ms: int = 0) -> None:
        jobs = plain(self.both[0], many)
        for queue in self.both:
            queue.enqueue(*([later(job, delay_ms) for job in jobs] if delay_ms else jobs))

    def claim(self, worker: str, limit: int) -> None:
        one, other = (queue.claim_whole(worker, limit) for queue in self.both)
        assert _told(one) == _told(other)
        self.held[worker] += zip(one.jobs, other.jobs, strict=True)

    def end(self, worker: str) -> None:
        """Some of what it holds ends, in one way or another."""
        some = self.random.randint(0, len(self.held[worker]))
        ended, self.held[worker] = self.held[worker][:some], self.held[worker][some:]
        how = self.random.randrange(4)
        for index, queue in enumerate(self.both):
            jobs = [pair[index] for pair in ended]
            if how < 2:
                queue.ack(worker, *jobs)
            elif how == 2:
                queue.hand_back(worker, *jobs)
            else:
                for job in jobs:
                    queue.again(worker, job, 2, attempt=job.attempt + 1)

    def same(self) -> None:
        [one, other] = [_dump(queue) for queue in self.both]
        assert one == other


def _told(claim: Claim) -> tuple[Any, ...]:
    jobs = [
        (job.id, job.task, job.payload, job.attempt, job.meta, job.token, job.alone) for job in claim.jobs
    ]
    return jobs, claim.more, claim.paused, claim.due_in_ms


def _dump(queue: Queue) -> str:
    """All that the queue has but its priorities, with its entries numbered: the server named some of them."""
    found = queue.dump()
    del found["meta"][b"priorities"]
    text = repr(
        [(key, sorted(kept.items()) if type(kept) is dict else kept) for key, kept in sorted(found.items())]
    )
    entries = sorted(set(ENTRY.findall(text)), key=lambda entry: [int(half) for half in entry.split("-")])
    numbers = {entry: f"#{number}" for number, entry in enumerate(entries)}
    return ENTRY.sub(lambda found: numbers[found[0]], text)


@pytest.mark.parametrize("seed", range(3))
def test_it_does_what_a_claim_among_priorities_does(new_queue: Callable[[], Queue], seed: int) -> None:
    twins = Twins(new_queue(), new_queue(), seed)
    for _ in range(STEPS):
        twins.step()
        twins.same()
    assert all(queue.counts().finished for queue in twins.both)
