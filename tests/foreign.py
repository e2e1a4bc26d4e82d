"""Queues as other programs see them: jobs stored by hand, workers in this process, and all that a prefix holds."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import redis

from homing import App
from homing.engines.engine import EngineName
from homing.job import JobRecord
from homing.keys import Keys
from homing.worker import inside
from tests.servers import Server

Field = str | bytes
#: Good jobs behind each bad one: all of them must end.
NEIGHBOURS = 100
#: A wrong argument is found out with so much work, and on a busy machine within so much time.
AT_ONCE_S, SOON_S = 0.1, 1.0
_numbers = count()
assert inside  # imported by the first worker: no row should pay for that


def dump(raw: "redis.Redis", prefix: str) -> dict[bytes, bytes | None]:
    """Every key that begins with the prefix, and what it holds."""
    keys = sorted(raw.scan_iter(match=f"{prefix}:*", count=1_000))
    return {key: raw.dump(key) for key in keys}


@contextmanager
def nothing_happens(app: App, raw: "redis.Redis") -> Iterator[None]:
    """What stands in the block answers at once and changes no key of the app."""
    before, began_s, worked_s = dump(raw, app.settings.prefix), time.monotonic(), time.thread_time()
    yield
    worked_s, took_s = time.thread_time() - worked_s, time.monotonic() - began_s
    assert dump(raw, app.settings.prefix) == before
    assert worked_s < AT_ONCE_S, f"it took {worked_s * 1000:.0f} ms to refuse a wrong argument"
    assert took_s < SOON_S, f"it waited {took_s * 1000:.0f} ms to refuse a wrong argument"


@dataclass(slots=True)
class Site:
    """An app with the task `good` on one queue, and a foreign client beside it."""

    app: App
    raw: "redis.Redis"
    engine: EngineName
    name: str = "work"
    #: What `good` ran with.
    ran: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        @self.app.task(queue=self.name, engine=self.engine)
        async def good(number: int) -> None:
            self.ran.append(number)

        self.app.client.run(self.app.queue(self.name).engine(self.app.client).counts())

    @property
    def keys(self) -> Keys:
        return Keys(self.name, self.app.settings.prefix)

    def put(self, job_id: str, **fields: Field) -> None:
        """Store a job with these fields as another program would."""
        stored: dict[Any, Any] = dict(fields)
        if self.engine == "lists":
            if stored:
                self.raw.hset(self.keys.job(job_id), mapping=stored)
            self.raw.lpush(self.keys.waiting(0), job_id)
        else:
            self.raw.xadd(self.keys.stream(0), {"id": job_id, **stored})

    def work(self) -> None:
        """Run everything there is, with a worker inside this program."""
        asyncio.run(self.app.worker(burst=True).run())

    def drain(self, *others: int) -> dict[str, JobRecord]:
        """Put good jobs behind what is there, work, see that all of them ran, and of the rest `others`.

        Returns the dead letters by id.
        """
        good = self.app.tasks["good"]
        good.enqueue_many(good.call(number) for number in range(NEIGHBOURS))
        self.work()
        assert sorted(self.ran) == sorted([*range(NEIGHBOURS), *others])
        queue = self.app.queue(self.name)
        assert queue.verify() == []
        counts = queue.counts()
        assert (counts.waiting, counts.active, counts.scheduled) == (0, 0, 0)
        return {record.id: record for record in queue.dead(10_000)}


@contextmanager
def site_on(server: Server, engine: EngineName, **settings: object) -> Iterator[Site]:
    """A site of one's own on a server; what nobody knows is buried at once."""
    prefix = f"site-{next(_numbers)}"
    options: dict[str, Any] = {"prefix": prefix, "unknown_task_for": 0, **settings}
    with App(server.url, **options) as app, server.redis() as raw:
        yield Site(app, raw, engine)
        for key in dump(raw, prefix):
            raw.unlink(key)
