"""Whatever happens in whatever order, each job is in one place, or its end is known."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from homing.job import Ack, Again, Cancelled, Claimed, Dead, Decision, HandBack, NewJob, State
from tests.conformance.driver import Queue
from tests.conformance.jobs import ERROR, settlement

_NUMBER = st.integers(0, 5)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enqueue"), st.integers(1, 4), st.sampled_from([0, 0, 0, 5, -100])),
        st.tuples(st.just("delayed"), st.integers(1, 4), st.sampled_from([0, 0, 3])),
        st.tuples(st.just("register"), _NUMBER, _NUMBER),
        st.tuples(st.just("claim"), _NUMBER, st.integers(1, 5)),
        st.tuples(st.just("settle"), _NUMBER, _NUMBER),
        st.tuples(st.just("reclaim"), _NUMBER, _NUMBER),
        st.tuples(st.just("tick"), st.sampled_from([1, 500, 3_000]), _NUMBER),
        st.tuples(st.just("cancel"), _NUMBER, _NUMBER),
        st.tuples(st.just("replay"), _NUMBER, _NUMBER),
        st.tuples(st.just("pause"), _NUMBER, _NUMBER),
    ),
    min_size=5,
    max_size=40,
)
_DECISIONS: list[Decision] = [Ack(b"1"), Again(700, 1), Again(0, 1), Dead(ERROR, 1), HandBack(), Cancelled()]


@dataclass
class Story:
    """Plays steps on a queue and keeps only what it was told."""

    queue: Queue
    stored: set[str] = field(default_factory=set)
    held: dict[str, dict[str, Claimed]] = field(default_factory=dict)  # by worker, by id
    last_token: dict[str, int] = field(default_factory=dict)
    paused: bool = False

    def play(self, steps: list[tuple[str, int, int]]) -> None:
        for verb, first, second in steps:
            getattr(self, verb)(first, second)

    def enqueue(self, number: int, priority: int, delay_ms: int = 0) -> None:
        jobs = [
            NewJob(f"j{len(self.stored) + i}", priority=priority, delay_ms=delay_ms) for i in range(number)
        ]
        self.queue.enqueue(*jobs)
        self.stored |= {job.id for job in jobs}

    def delayed(self, number: int, priority: int) -> None:
        self.enqueue(number, priority, delay_ms=600)

    def register(self, _: int, __: int) -> None:
        self.held[self.queue.register()] = {}

    def worker(self, which: int) -> str:
        if not self.held:
            self.register(0, 0)
        workers = list(self.held)
        return workers[which % len(workers)]

    def claim(self, which: int, limit: int) -> None:
        worker = self.worker(which)
        for job in self.queue.claim(worker, limit=limit):
            assert not self.paused
            assert not any(job.id in held for held in self.held.values()), "held by two"
            assert job.token > self.last_token.get(job.id, 0)
            self.last_token[job.id] = job.token
            self.held[worker][job.id] = job

    def settle(self, which: int, decision: int) -> None:
        worker = self.worker(which)
        held = self.held[worker]
        jobs = list(held.values())[: 1 + decision % 3]
        settlements = [
            settlement(job, _DECISIONS[(decision + turn) % len(_DECISIONS)]) for turn, job in enumerate(jobs)
        ]
        assert self.queue.settle(worker, *settlements).done == len(jobs)
        assert self.queue.settle(worker, *settlements).done == 0
        for job in jobs:
            del held[job.id]

    def reclaim(self, which: int, started: int) -> None:
        holders = [worker for worker, held in self.held.items() if held]
        worker = holders[which % len(holders)] if holders else self.worker(which)
        held = self.held.pop(worker)
        done = self.queue.reclaim(worker, "died", *list(held)[:started])
        assert done.moved + done.buried == len(held)

    def tick(self, after_ms: int, _: int) -> None:
        assert self.queue.tick(*self.held, after_ms=after_ms).lost == []

    def cancel(self, number: int, _: int) -> None:
        self.queue.cancel(f"j{number}")

    def replay(self, number: int, _: int) -> None:
        self.queue.replay(f"j{number}", f"j{number + 1}")

    def pause(self, _: int, __: int) -> None:
        self.paused = not self.paused
        (self.queue.pause if self.paused else self.queue.resume)()


@pytest.mark.exact_answers("a copy of a reclaim tells what it moved itself")
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_STEPS)
@example([("enqueue", 4, 0), ("claim", 0, 3), *[("reclaim", 0, 2), ("claim", 0, 5)] * 5])
def test_whatever_happens_each_job_is_in_one_place(
    new_queue: Callable[[], Queue], steps: list[tuple[str, int, int]]
) -> None:
    story = Story(new_queue())
    story.play(steps)
    whole = story.queue.whole()
    places = [
        whole.waiting,
        whole.scheduled,
        *whole.active.values(),
        whole.dead,
        whole.completed,
        whole.cancelled,
    ]
    assert sorted(one for place in places for one in place) == sorted(story.stored)
    assert {worker: set(held) for worker, held in story.held.items() if held} == {
        worker: set(held) for worker, held in whole.active.items()
    }
    assert (whole.problems, whole.strays, whole.missing, whole.taken) == ([], [], 0, 0)
    assert len(story.queue.peek(State.WAITING, limit=3)) == len(whole.waiting)
