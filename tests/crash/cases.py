"""The public operations, each as sync and async code, and what must hold after it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from homing import App
from homing.job import Dead, NewJob
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, settlement

QUEUE = "q"


@dataclass
class Story:
    """What the actor did and was told, and what a fresh one found."""

    app: App
    ran: Counter[str] = field(default_factory=Counter)  # by the actor
    answer: Any = None
    error: BaseException | None = None
    later: Counter[str] = field(default_factory=Counter)  # by the fresh one
    whole: Whole = field(default_factory=Whole)  # before the fresh one drained it
    drained: Whole = field(default_factory=Whole)

    @property
    def ended(self) -> list[str]:
        """Everything there ever was and is known of, once for each place."""
        return sorted([*self.drained.completed, *self.drained.cancelled, *self.drained.dead])


@dataclass(frozen=True)
class Case:
    """`jobs` are enqueued before; `check` looks at the story, and may ask more when nothing died."""

    name: str
    act: Callable[[Story], Any]
    aact: Callable[[Story], Awaitable[Any]]
    check: Callable[[Story], None]
    jobs: tuple[str, ...] = ()
    dead: bool = False  # and these are dead letters
    #: The operation may raise after a single failure: nothing of it had worked before.
    may_raise: bool = False
    only: tuple[str, ...] = ("sync", "async")


def prepare(case: Case, queue: Queue) -> None:
    """The queue as the operation finds it."""
    queue.open()
    if not case.jobs:
        return
    queue.enqueue(*(NewJob(one, "work" if case.name == "worker" else "", b"[[1],{}]") for one in case.jobs))
    if case.dead:
        worker = queue.register()
        queue.settle(worker, *(settlement(job, Dead(ERROR, 1)) for job in queue.claim(worker)))
        queue.reclaim(worker)


# Putting in.


def _task(story: Story) -> Any:
    return story.app.tasks["work"]


def _each_once(count: int) -> Callable[[Story], None]:
    """All of them are there once when the call returned, each once or not at all when it did not."""

    def check(story: Story) -> None:
        assert all(times == 1 for times in story.later.values())
        assert len(story.later) <= count
        if story.error is None:
            assert len(story.later) == count
            jobs = story.answer if isinstance(story.answer, list) else [story.answer]
            assert {job.id for job in jobs} == set(story.later)

    return check


async def _aenqueue_many(story: Story) -> Any:
    task = _task(story)
    return await task.aenqueue_many([task.call(n) for n in range(3)])


def _enqueue_many(story: Story) -> Any:
    task = _task(story)
    return task.enqueue_many([task.call(n) for n in range(3)])


def _queue(story: Story) -> Any:
    return story.app.queue(QUEUE)


# Taking out.


def _messages(outcome: str) -> Callable[[Story], Any]:
    def act(story: Story) -> None:
        with _queue(story).consume(block=False, prefetch=2) as messages:
            for message in messages:
                story.ran[message.id] += 1
                _outcome(message, outcome if story.ran[message.id] == 1 else "ack")()

    return act


def _amessages(outcome: str) -> Callable[[Story], Awaitable[Any]]:
    async def act(story: Story) -> None:
        async with _queue(story).aconsume(block=False, prefetch=2) as messages:
            async for message in messages:
                story.ran[message.id] += 1
                await _outcome(message, "a" + (outcome if story.ran[message.id] == 1 else "ack"))()

    return act


def _outcome(message: Any, verb: str) -> Callable[[], Any]:
    if verb.endswith("retry"):
        return lambda: getattr(message, verb)(delay=0)
    found: Callable[[], Any] = getattr(message, verb)
    return found


def _taken(outcome: str) -> Callable[[Story], None]:
    """No message is lost, and none runs more often than its outcomes and a death explain."""
    runs = 2 if outcome in {"retry", "release"} else 1

    def check(story: Story) -> None:
        assert story.ended == ["a", "b"]
        for job_id in ("a", "b"):
            ran = story.ran[job_id] + story.later[job_id]
            assert ran <= runs + (story.error is not None)
            assert ran >= 1
            if story.error is None:
                assert (story.ran[job_id], story.later[job_id]) == (runs, 0)

    return check


async def _work(story: Story) -> None:
    async with story.app.worker(burst=True, concurrency=2) as worker:
        await worker.join()


def _worked(story: Story) -> None:
    assert story.ended == ["a", "b", "c"]
    assert story.ran + story.later == Counter("abc")
    assert not story.later


# Giving orders.


def _cancelled(story: Story) -> None:
    assert story.ended == ["a"]
    assert (story.whole.cancelled == ["a"]) == (not story.later)
    assert story.error is not None or (story.answer is True and not story.later)


def _removed(story: Story) -> None:
    assert story.error is not None or (story.answer is True and story.ended == [])
    assert story.ended == sorted(story.later)


def _replayed(story: Story) -> None:
    assert story.ended == ["a", "b"]
    assert sorted(story.later) == story.drained.completed
    assert story.error is not None or story.later == Counter("ab")


def _purged(story: Story) -> None:
    assert story.ended == sorted(story.later)
    assert story.error is not None or not story.later


def _paused(story: Story) -> None:
    assert story.later == Counter("a")
    assert story.error is not None or story.whole.paused


def _resumed(story: Story) -> None:
    assert story.later == Counter("a")
    assert story.error is not None or not story.whole.paused


def _told(story: Story) -> None:
    assert story.error is not None or story.answer == 7
    assert story.ended == ["a"]


def _result(story: Story) -> Any:
    _acked(story)
    return story.app.job(QUEUE, "a").result(timeout=5)


async def _aresult(story: Story) -> Any:
    _acked(story)
    return await story.app.job(QUEUE, "a").aresult(timeout=5)


def _acked(story: Story) -> None:
    """Made by the test beforehand."""
    story.ran["a"] += 1


CASES: tuple[Case, ...] = (
    Case("enqueue", lambda s: _task(s).enqueue(1), lambda s: _task(s).aenqueue(1), _each_once(1)),
    Case(
        "enqueue with an id",
        lambda s: _task(s).options(id="own").enqueue(1),
        lambda s: _task(s).options(id="own").aenqueue(1),
        _each_once(1),
    ),
    Case("enqueue many", _enqueue_many, _aenqueue_many, _each_once(3)),
    Case("put", lambda s: _queue(s).put({"n": 1}), lambda s: _queue(s).aput({"n": 1}), _each_once(1)),
    Case(
        "put for later",
        lambda s: _queue(s).put(1, delay=60),
        lambda s: _queue(s).aput(1, delay=60),
        _each_once(1),
    ),
    Case(
        "put many", lambda s: _queue(s).put_many([1, 2]), lambda s: _queue(s).aput_many([1, 2]), _each_once(2)
    ),
    *(
        Case(
            f"consume and {verb}",
            _messages(verb),
            _amessages(verb),
            _taken(verb),
            jobs=("a", "b"),
            may_raise=True,
        )
        for verb in ("ack", "retry", "bury", "release", "cancel")
    ),
    Case("worker", lambda s: None, _work, _worked, jobs=("a", "b", "c"), only=("async",)),
    Case("result", _result, _aresult, _told, jobs=("a",)),
    Case(
        "cancel",
        lambda s: s.app.job(QUEUE, "a").cancel(),
        lambda s: s.app.job(QUEUE, "a").acancel(),
        _cancelled,
        jobs=("a",),
    ),
    Case(
        "cancel by queue",
        lambda s: _queue(s).cancel("a"),
        lambda s: _queue(s).acancel("a"),
        _cancelled,
        jobs=("a",),
    ),
    Case("remove", lambda s: _queue(s).remove("a"), lambda s: _queue(s).aremove("a"), _removed, jobs=("a",)),
    Case(
        "replay",
        lambda s: _queue(s).replay(),
        lambda s: _queue(s).areplay(),
        _replayed,
        jobs=("a", "b"),
        dead=True,
    ),
    Case("purge", lambda s: _queue(s).purge(), lambda s: _queue(s).apurge(), _purged, jobs=("a", "b")),
    Case("pause", lambda s: _queue(s).pause(), lambda s: _queue(s).apause(), _paused, jobs=("a",)),
    Case("resume", lambda s: _queue(s).resume(), lambda s: _queue(s).aresume(), _resumed, jobs=("a",)),
)
