"""Queues are looked through for damage by those who work on them, slowly, together, and nothing is told twice."""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from homing import events
from homing.client import Client
from homing.command import Command
from homing.engines import make
from homing.engines.engine import Engine, EngineName
from homing.errors import HomingError
from homing.job import NewJob
from homing.keys import Keys
from homing.target import Target
from homing.worker import patrol
from homing.worker.patrol import Patrol
from tests.integration.supervisor.conftest import Site
from tests.servers import Server

_numbers = count()


class Watch:
    """A queue of its own, a clock that a test moves, and what was told."""

    def __init__(self, client: Client, engine: EngineName) -> None:
        self.client = client
        self.keys = Keys(f"patrol-{next(_numbers)}")
        self.engine: Engine = make(engine, self.keys)
        self.now_s = 0.0
        self.told: list[tuple[str, dict[str, object]]] = []
        client.run(self.engine.open())

    def patrol(self, every_s: float = 0.001) -> Patrol:
        return Patrol(self.client, every_s, clock=lambda: self.now_s)

    def look(self, one: Patrol) -> None:
        self.now_s += patrol.AGAIN_S
        one.look([(self.keys.queue, self.engine)])

    def passes(self, one: Patrol, times: int = 2) -> None:
        """Look until the whole queue was looked through so often."""
        end_s, before = time.monotonic() + 20, b""
        while times:
            assert time.monotonic() < end_s
            self.look(one)
            cursor = self.meta("verify_cursor") or b""
            times -= cursor == b"" != before
            before = cursor

    def hash(self, key: str, *fields: object) -> None:
        self.client.run(Command(("HSET",), (key,), [str(each) for each in fields], int))

    def meta(self, name: str) -> bytes | None:
        found: bytes | None = self.client.run(Command(("HGET",), (self.keys.meta,), (name,), _same))
        return found

    def problems(self) -> list[object]:
        return [fields["problem"] for name, fields in self.told if name == "problem_found"]


def _same(value: Any) -> Any:
    return value


@pytest.fixture
def watch(valkey: Server, engine: EngineName) -> Iterator[Watch]:
    client = Client(Target.parse(valkey.url))
    made = Watch(client, engine)
    stop = events.subscribe(lambda name, fields: made.told.append((name, dict(fields))))
    yield made
    stop()
    client.close()


def test_a_problem_is_told_once_an_hour_with_its_remedy(watch: Watch) -> None:
    one = watch.patrol()
    watch.hash(watch.keys("suspects"), "ghost", "1 1")
    watch.passes(one, 3)
    assert watch.problems() == ["marks of job ghost belong to no job"]
    assert watch.told[0][1]["remedy"] == f"homing repair {watch.keys.queue}"
    watch.now_s += patrol.TELL_S
    watch.passes(one)
    assert len(watch.problems()) == 2


def test_what_is_gone_at_the_second_look_is_not_told(watch: Watch) -> None:
    one = watch.patrol()
    watch.hash(watch.keys("suspects"), "ghost", "1 1")
    while not any(each.found for each in one._rounds.values()):
        watch.look(one)
    watch.client.run(Command(("DEL",), (watch.keys("suspects"),), (), int))
    watch.passes(one)
    assert watch.problems() == []


@pytest.mark.exact_answers("a copy of a turn that was taken finds it taken")
def test_patrols_look_through_a_queue_together(watch: Watch) -> None:
    jobs = [NewJob(f"j{i:04}", "send") for i in range(250)]
    watch.client.run(watch.engine.enqueue(jobs, lane="lane", number=1))
    first, second = watch.patrol(1_000), watch.patrol(1_000)
    watch.now_s = 2_000
    for one in (first, second):
        one.look([(watch.keys.queue, watch.engine)])
    assert watch.meta("verify_cursor") is None  # each begins at a time of its own
    watch.now_s = 4_000
    first.look([(watch.keys.queue, watch.engine)])
    cursor, at = watch.meta("verify_cursor"), watch.meta("verified_ms")
    assert cursor
    assert at
    second.look([(watch.keys.queue, watch.engine)])
    assert (watch.meta("verify_cursor"), watch.meta("verified_ms")) == (cursor, at)
    watch.hash(watch.keys.meta, "verified_ms", 0)
    watch.now_s = 6_000
    second.look([(watch.keys.queue, watch.engine)])
    assert watch.meta("verify_cursor") not in (cursor, None)


def test_zero_is_never(watch: Watch) -> None:
    one = watch.patrol(0)
    for _ in range(5):
        watch.look(one)
    assert watch.meta("verified_ms") is None


def test_a_queue_that_cannot_be_verified_is_left_alone_for_a_while(watch: Watch) -> None:
    one = watch.patrol(10)
    watch.client.run(Command(("DEL",), (watch.keys.meta,), (), int))
    watch.client.run(Command(("SET",), (watch.keys.meta,), ("mine",), _same))
    for _ in range(30):
        watch.look(one)
    [(name, fields)] = watch.told
    assert (name, isinstance(fields["error"], HomingError)) == ("verify_failed", True)


@pytest.mark.parametrize("engine", ["streams"])
def test_a_worker_tells_what_is_wrong_with_its_queues(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_VERIFY_EVERY", "0.01")
    worker = site.worker()
    site.app.client.run(Command(("HSET",), (site.queue.keys("suspects"),), ("ghost", "1 1"), int))
    site.wait_for(lambda: "problem_found queue=work" in worker.said())
    assert 'remedy="homing repair work"' in worker.said()
    assert len(site.queue.repair().mended) == 1
    worker.stop()
    assert worker.code() == 0
