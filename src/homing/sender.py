"""The sending end of one queue: opens it once, carries jobs over in batches, never twice."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from homing.command import Command
from homing.engines import make
from homing.engines.engine import BATCH_MAX, Engine, EngineName
from homing.errors import JobExists, QueueError, QueueFull, SettingsError
from homing.job import Enqueued, NewJob
from homing.keys import queues_key
from homing.link import Link
from homing.steps import Steps, run, run_all

if TYPE_CHECKING:
    from homing.coalescer import Coalescer

#: The most bytes of payload in one call.
BATCH_BYTES = 4 * 1024 * 1024
_ENGINES: tuple[EngineName, ...] = ("lists", "streams")


def check_engine(name: object) -> EngineName:
    """Return the engine's name, or raise SettingsError with the two there are."""
    for known in _ENGINES:
        if name == known:
            return known
    raise SettingsError(f"engine {name!r:.200} is not known: use 'lists' or 'streams'")


def batches(jobs: Iterable[NewJob]) -> Iterator[list[NewJob]]:
    """Cut jobs into calls of at most BATCH_MAX jobs and BATCH_BYTES, in order."""
    batch: list[NewJob] = []
    size = 0
    for job in jobs:
        length = len(job.payload) + len(job.meta)
        if batch and (len(batch) == BATCH_MAX or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += length
    if batch:
        yield batch


class Sender:
    """What tasks and the queue itself use to reach one queue; `wanted` None takes what the queue has."""

    def __init__(self, link: Link, name: str, wanted: EngineName | None = None) -> None:
        self.link = link
        self.keys = link.keys(name)
        self.name = self.keys.queue
        self.wanted = wanted

    def want(self, engine: EngineName | None) -> None:
        """Fix the engine; SettingsError when it was fixed to the other one before."""
        if engine is None or check_engine(engine) == self.wanted:
            return
        if self.wanted is not None:
            raise SettingsError(
                f"queue {self.name!r} is declared with engine {self.wanted!r} and with {engine!r}: choose one"
            )
        self.wanted = engine
        self.link.engines.pop(self.name, None)

    def opened(self) -> Steps[Engine]:
        """The queue's engine, the queue being made its own; asked once per process.

        Raises WrongEngine or NewerData.
        """
        if (known := self.link.engines.get(self.name)) is not None:
            return known
        name = self.wanted
        if name is None:
            name = "lists" if (yield from run(self._kept())) == "lists" else "streams"
        engine = make(name, self.keys)
        yield from run_all([engine.open(self.link.settings.for_queue()), self._listed()])
        self.link.engines[self.name] = engine
        return engine

    def looked(self) -> Steps[Engine]:
        """The engine to look at the queue with: looking makes no queue."""
        if self.name in self.link.engines or (yield from run(self._kept())):
            return (yield from self.opened())
        return make(self.wanted or "streams", self.keys)

    def _kept(self) -> Command[str]:
        return Command(("HGET",), (self.keys.meta,), ("engine",), _text, self.name)

    def _listed(self) -> Command[Any]:
        key = queues_key(self.link.settings.prefix)
        return Command(("SADD",), (key,), (self.name,), int, self.name)

    def store(self, jobs: Sequence[NewJob]) -> Steps[list[Enqueued]]:
        """One call of at most BATCH_MAX jobs; sent again after a lost reply it adds nothing."""
        engine = yield from self.opened()
        lane = self.link.lanes.take()
        try:
            answers = yield from run(engine.enqueue(jobs, lane=lane.name, number=lane.number))
        except QueueError:
            lane.release()  # a definite answer; after any other error the lane's end is unknown
            raise
        lane.release()
        return answers

    def store_one(self, job: NewJob) -> Steps[None]:
        [answer] = yield from self.store([job])
        if answer is Enqueued.EXISTS:
            raise self.exists([job.id])

    def store_all(self, jobs: Iterable[NewJob]) -> Steps[None]:
        """Any number of jobs, in as many calls as needed.

        JobExists comes after all others were stored; any other error says how many were.
        """
        taken: list[str] = []
        stored = 0
        for batch in batches(jobs):
            try:
                answers = yield from self.store(batch)
            except Exception as error:
                error.add_note(f"{stored:,} jobs of this call were stored in queue {self.name!r} before it")
                raise
            exist = [job.id for job, answer in zip(batch, answers, strict=True) if answer is Enqueued.EXISTS]
            stored += len(batch) - len(exist)
            taken += exist
        if taken:
            raise self.exists(taken)

    def exists(self, ids: Sequence[str]) -> JobExists:
        named = ", ".join(map(repr, ids[:5])) + (f" and {len(ids) - 5:,} more" if len(ids) > 5 else "")
        what = "a job" if len(ids) == 1 else f"{len(ids):,} jobs"
        return JobExists(
            f"queue {self.name!r} has {what} with the id {named} already, or had it less than id_ttl ago: "
            "nothing was stored for it; take another id, or leave it as it is"
        )

    async def astore_one(self, job: NewJob) -> None:
        """One job; calls of the same tick of the loop share a round trip."""
        if await self._coalescer().add(job) is Enqueued.EXISTS:
            raise self.exists([job.id])

    def _coalescer(self) -> "Coalescer[NewJob, Enqueued]":
        from homing.coalescer import Coalescer

        return self.link.shared_in_loop(f"enqueue/{self.name}", lambda: Coalescer(self._astore, batches))

    async def _astore(self, jobs: list[NewJob]) -> list[Enqueued | Exception]:
        try:
            return [*(await self.link.ado(self.store(jobs)))]
        except QueueFull as error:
            free = [job for job in jobs if not job.own_id]
            if not free or len(free) == len(jobs):
                raise
            # The bound on ids callers chose refuses the whole call; it must not fail the others.
            stored = iter(await self.link.ado(self.store(free)))
            return [error if job.own_id else next(stored) for job in jobs]


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
