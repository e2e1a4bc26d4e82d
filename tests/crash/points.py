"""Every point of every operation at which something can break."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from homing import App
from homing.client import Client
from homing.engines import make
from homing.engines.engine import EngineName
from homing.job import Ack
from homing.keys import Keys
from homing.target import Target
from tests.conformance.driver import Queue
from tests.conformance.jobs import HOUR_MS, settlement
from tests.crash.cases import QUEUE, Case, Story, prepare
from tests.crash.fault import MODES, Died, Fault, breakable
from tests.servers import Server

ENGINES: tuple[EngineName, ...] = ("lists", "streams")
KINDS = ("sync", "async")


@dataclass(frozen=True)
class Point:
    """One failure at one round trip of one operation."""

    case: Case
    engine: EngineName
    kind: str
    mode: str
    at: int
    dies: bool

    def __str__(self) -> str:
        end = ", dies" if self.dies else ""
        return f"{self.case.name} ({self.kind}, {self.engine}): {self.mode} at trip {self.at}{end}"


class Stage:
    """Plays operations on one server, each on a queue of its own."""

    def __init__(self, server: Server) -> None:
        self._url = server.url
        self._client = Client(Target.parse(server.url))
        self._raw = server.redis(protocol=2)
        self._numbers = itertools.count()

    def points(self, case: Case, engine: EngineName, kind: str) -> Iterator[Point]:
        """As many as the operation has round trips when all goes well, by what may happen to each."""
        fault = Fault()
        self._play(case, engine, kind, fault)
        for at in range(1, fault.trips + 1):
            for mode in MODES:
                yield Point(case, engine, kind, mode, at, dies=False)
                if case.name != "worker":  # whose tasks outlive one that dies
                    yield Point(case, engine, kind, mode, at, dies=True)

    def play(self, point: Point) -> bool:
        """Play one point and check what must hold. False when nothing broke: there was nothing to break."""
        fault = Fault(point.mode, point.at, point.dies)
        story = self._play(point.case, point.engine, point.kind, fault)
        if not fault.met:
            return False
        assert not story.drained.problems, story.drained.problems
        assert not story.drained.strays, story.drained.strays
        if story.error is not None:
            assert point.dies or point.case.may_raise, f"raised {story.error!r}"
        point.case.check(story)
        return True

    def _play(self, case: Case, engine: EngineName, kind: str, fault: Fault) -> Story:
        prefix = f"crash-{next(self._numbers)}"
        queue = Queue(make(engine, Keys(QUEUE, prefix)), self._client.run, self._raw)
        prepare(case, queue)
        if case.name == "resume":
            queue.pause()
        if case.name == "result":
            worker = queue.register()
            queue.settle(worker, *(settlement(job, Ack(b"7")) for job in queue.claim(worker)))
            queue.reclaim(worker)
        app = App(self._url, prefix=prefix)
        story = Story(app)
        declare(app, engine, story)
        with breakable(fault):
            fault.armed = True
            try:
                if kind == "sync":
                    story.answer = case.act(story)
                else:
                    story.answer = asyncio.run(_awaited(case, story))
            except (Exception, Died) as error:
                story.error = error
            except asyncio.CancelledError as error:  # what it waited for died in another task
                assert fault.dead
                story.error = error
            fault.armed = False
        with suppress(Died):
            app.close()
        self._finish(queue, story)
        keys = self._raw.keys(f"{prefix}:*")
        if keys:
            self._raw.unlink(*keys)
        return story

    def _finish(self, queue: Queue, story: Story) -> None:
        """A fresh actor: who is still a member has died; what is left is done."""
        for member in queue.workers():
            queue.reclaim(member.id, "died")
        story.whole = queue.whole()
        queue.resume()
        queue.now_ms += HOUR_MS
        worker = queue.register("fresh")
        while jobs := queue.claim(worker):
            story.later.update(job.id for job in jobs)
            queue.ack(worker, *jobs)
        queue.reclaim(worker)
        story.drained = queue.whole()

    def close(self) -> None:
        self._client.close()
        self._raw.close()


async def _awaited(case: Case, story: Story) -> Any:
    try:
        return await case.aact(story)
    finally:
        with suppress(Died):
            await story.app.aclose()


def declare(app: App, engine: EngineName, story: Story) -> None:
    from homing import current_job

    @app.task(name="work", queue=QUEUE, engine=engine)
    async def work(n: int) -> None:
        story.ran[current_job().id] += 1
