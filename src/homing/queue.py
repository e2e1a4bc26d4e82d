"""One queue: messages in and out, and what can be seen and done from outside."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from homing import codec, limits
from homing.engines.engine import EngineName
from homing.handle import Job
from homing.inspection import Inspection
from homing.limits import Durability
from homing.options import Options
from homing.steps import Steps

if TYPE_CHECKING:
    from datetime import timedelta

    from homing.consumer import AsyncConsumer, Consumer
    from homing.options import Retrying


class Queue(Inspection):
    """A queue of messages and jobs; `app.queue(name)` makes it."""

    @property
    def wanted(self) -> EngineName | None:
        """The engine this program asks for; None takes what the queue has, else streams."""
        return self.sender.wanted

    def __repr__(self) -> str:
        return f"<Queue {self.name}>"

    def put(
        self,
        payload: Any,
        *,
        delay: "float | timedelta | None" = None,
        at: datetime | None = None,
        priority: int = 0,
        id: str | None = None,
        durability: Durability | None = None,
    ) -> Job[Any]:
        """Put a message in: any value that JSON can carry.

        `delay` is seconds, `at` needs a tzinfo, priority is -100 to 100, higher first; a chosen `id` is
        refused while a job has it and for `id_ttl` after (JobExists). With `durability` "replicated" or
        "fsynced" it returns only when replicas, or the disk, have it: see `task.options`.
        """
        options = self._options(delay, at, priority, id, durability)
        job = options.new_job("", self._encoded(payload))
        self.sender.put_one(job, options.durability)
        return Job(self.sender, job.id)

    async def aput(
        self,
        payload: Any,
        *,
        delay: "float | timedelta | None" = None,
        at: datetime | None = None,
        priority: int = 0,
        id: str | None = None,
        durability: Durability | None = None,
    ) -> Job[Any]:
        """As `put`; concurrent calls share a round trip."""
        options = self._options(delay, at, priority, id, durability)
        job = options.new_job("", self._encoded(payload))
        await self.sender.astore_one(job, options.durability)
        return Job(self.sender, job.id)

    def put_many(
        self,
        payloads: Iterable[Any],
        *,
        delay: "float | timedelta | None" = None,
        at: datetime | None = None,
        priority: int = 0,
        durability: Durability | None = None,
    ) -> list[Job[Any]]:
        """Put many messages in, in few round trips. After an error its note says how many were stored."""
        return self.sender.link.do(
            self._put_many(payloads, self._options(delay, at, priority, None, durability))
        )

    async def aput_many(
        self,
        payloads: Iterable[Any],
        *,
        delay: "float | timedelta | None" = None,
        at: datetime | None = None,
        priority: int = 0,
        durability: Durability | None = None,
    ) -> list[Job[Any]]:
        return await self.sender.link.ado(
            self._put_many(payloads, self._options(delay, at, priority, None, durability))
        )

    def _options(
        self,
        delay: "float | timedelta | None",
        at: datetime | None,
        priority: int,
        id: str | None,
        durability: Durability | None,
    ) -> Options:
        return Options.of(
            queue=self.name, priority=priority, delay=delay, at=at, id=id, durability=durability
        )

    def _put_many(self, payloads: Iterable[Any], options: Options) -> Steps[list[Job[Any]]]:
        limits.many(payloads, "payloads", "messages")
        jobs = [options.new_job("", self._encoded(payload)) for payload in payloads]
        yield from self.sender.store_all((job, options.durability) for job in jobs)
        return [Job(self.sender, job.id) for job in jobs]

    def _encoded(self, payload: Any) -> bytes:
        return codec.encode(payload, self.sender.link.settings.payload_max, name="payload")

    def consume(
        self,
        *,
        prefetch: int = 1,
        retry: "Retrying" = None,
        block: bool = True,
        burst: bool = False,
        idle: "float | timedelta | None" = None,
    ) -> "Consumer":
        """Messages one after the other, waiting for more: `for job in queue.consume(): with job: ...`.

        A message that its `with` left by an exception is tried again as `retry` says, or buried. Going
        on or leaving without an outcome hands it back and raises JobNotSettled. `prefetch` is how many
        are held at once. It never ends, except: `block=False` when there is nothing to take now,
        `burst` when nothing is left, scheduled or held by others either, `idle` after so many seconds
        without a message. A thread keeps the lease, so a message may take minutes.
        """
        from homing.consumer import Consumer
        from homing.consuming import Taking

        taking = Taking.of(prefetch=prefetch, block=block, burst=burst, idle=idle, retry=retry)
        return Consumer(self.sender, taking)

    def aconsume(
        self,
        *,
        prefetch: int = 1,
        retry: "Retrying" = None,
        block: bool = True,
        burst: bool = False,
        idle: "float | timedelta | None" = None,
    ) -> "AsyncConsumer":
        """As `consume`, for asyncio: `async for job in queue.aconsume(): async with job: ...`."""
        from homing.consumer import AsyncConsumer
        from homing.consuming import Taking

        taking = Taking.of(prefetch=prefetch, block=block, burst=burst, idle=idle, retry=retry)
        return AsyncConsumer(self.sender, taking)
