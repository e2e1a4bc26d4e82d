"""The sending end of one queue: opens it once, carries jobs over in batches, never twice."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from homing import limits
from homing.command import Command
from homing.durability import Proof, Proven
from homing.engines import make
from homing.engines.engine import BATCH_MAX, Engine, EngineName
from homing.errors import EnqueueUncertain, JobExists, NotDurable, QueueError, QueueFull, SettingsError
from homing.job import Enqueued, NewJob
from homing.keys import queues_key
from homing.limits import Durability
from homing.link import Link, Short
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


def levelled(
    jobs: Iterable[tuple[NewJob, Durability | None]],
) -> Iterator[tuple[Durability | None, list[NewJob]]]:
    """As `batches`, each of one durability."""
    for level, group in groupby(jobs, itemgetter(1)):
        for batch in batches(job for job, _ in group):
            yield level, batch


class Sender:
    """What tasks and the queue itself use to reach one queue; `wanted` None takes what the queue has."""

    def __init__(self, link: Link, name: str, wanted: EngineName | None = None) -> None:
        self.link = link
        self.keys = link.keys(name)
        self.name = self.keys.queue
        self.wanted = wanted
        #: How sure the queue's enqueues and outcomes must be in this program; None: what the app says.
        self.durability: Durability | None = None
        #: Counts what was declared of the queue.
        self._declared = 0

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
        self._declared += 1

    def insist(self, durability: Durability | None) -> None:
        """Fix the durability; SettingsError when it was fixed to another one before."""
        if durability is None or limits.durability(durability) == self.durability:
            return
        if self.durability is not None:
            raise SettingsError(
                f"queue {self.name!r} is declared with durability {self.durability!r} and with "
                f"{durability!r}: choose one"
            )
        self.durability = durability
        self._declared += 1

    def level(self, durability: Durability | None = None) -> Durability:
        """The durability of a call, else the queue's, else the app's."""
        return durability or self.durability or self.link.settings.durability

    def proof(self, durability: Durability | None = None) -> Proof | None:
        """What is to be shown of that level, None when nothing is."""
        settings = self.link.settings
        return Proof.of(self.level(durability), settings.durability_replicas, settings.deadline)

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

    def store(
        self, jobs: Sequence[NewJob], durability: Durability | None = None
    ) -> Steps[Proven[list[Enqueued]]]:
        """One call of at most BATCH_MAX jobs; sent again after a lost reply it adds nothing.

        Raises NotDurable, and nothing is stored, when the server cannot keep them as safe as that.
        """
        engine = self.link.engines.get(self.name) or (yield from self.opened())
        proof = self.proof(durability)
        if proof is not None and (self.name, proof.level) not in self.link.durable:
            yield from self._able(proof)
        if (seal := self.link.seal) is not None:
            jobs = [seal.sign(self.name, job) for job in jobs]
        lane = self.link.lanes.take()
        command = engine.enqueue(jobs, lane=lane.name, number=lane.number)
        try:
            if proof is None:
                proven = Proven((yield from run(command)))
            else:
                proven = yield from run(proof.with_write(command))
        except QueueError:
            lane.release()  # a definite answer; after any other error the lane's end is unknown
            raise
        lane.release()
        if proof is not None and proven.lacks:
            # Look first the next time: what is not possible any more had better store nothing.
            self.link.durable.discard((self.name, proof.level))
        return proven

    def _able(self, proof: Proof) -> Steps[None]:
        """Raise NotDurable when the server could not keep a job as safe as that."""
        look = Command(("EXISTS",), (self.keys.meta,), (), int, self.name)
        if lacks := (yield from run(proof.beforehand(look))).lacks:
            raise NotDurable(
                f"the server cannot keep a job of queue {self.name!r} {proof.level}, and nothing was stored: "
                f"{lacks}"
            )
        self.link.durable.add((self.name, proof.level))

    def uncertain(
        self, ids: Sequence[str], durability: Durability | None, proven: Proven[Any]
    ) -> EnqueueUncertain:
        """What says that these jobs are stored, and what was not shown of them."""
        jobs = (
            f"job {self.name}/{ids[0]} is"
            if len(ids) == 1
            else f"{len(ids):,} jobs of queue {self.name!r} are"
        )
        return EnqueueUncertain(
            f"{jobs} stored on the primary, but not shown to be {self.level(durability)}: {proven.lacks}. Under an id "
            "of your own it is safe to enqueue again, until it returns or raises JobExists",
            self.name,
            ids,
            proven.replicas,
        )

    def store_one(self, job: NewJob, durability: Durability | None = None) -> Steps[None]:
        proven = yield from self.store([job], durability)
        if proven.lacks:
            raise self.uncertain([job.id], durability, proven)
        if proven.answer[0] is Enqueued.EXISTS:
            raise self.exists([job.id])

    def put_one(self, job: NewJob, durability: Durability | None = None) -> None:
        """As `store_one`, by the sync client. Most calls need none of its other steps: they cost half of what it does."""
        short = self.link.process.shorts.get(self.name)
        if short is None or durability is not None or short.declared != self._declared:
            short = self._in_short(durability)
            if short is None:
                self.link.do(self.store_one(job, durability))
                return
        lane = short.lanes.take()
        try:
            [answer] = short.client.run(short.engine.enqueue([job], lane=lane.name, number=lane.number))
        except QueueError:
            lane.release()  # as in `store`
            raise
        lane.release()
        if answer is Enqueued.EXISTS:
            raise self.exists([job.id])

    def _in_short(self, durability: Durability | None) -> Short | None:
        """What an enqueue in one call takes; None while it takes more, or this process has not sent to the queue."""
        declared = self._declared  # first: what is declared meanwhile makes the rest outdated
        process = self.link.process
        if not self._in_one_call(self.level(durability)):
            return None
        engine, client, lanes = process.engines.get(self.name), process.client, process.lanes
        if engine is None or client is None or lanes is None:
            return None
        short = Short(declared, engine, client, lanes)
        if durability is None:
            process.shorts[self.name] = short
        return short

    def _in_one_call(self, level: Durability) -> bool:
        """Whether an enqueue is a call with nothing before it or behind, once the engine is known."""
        return level == "memory" and self.link.seal is None

    def store_all(self, jobs: Iterable[tuple[NewJob, Durability | None]]) -> Steps[None]:
        """Any number of jobs with their durability, in order, in as many calls as needed.

        JobExists comes after all others were stored; any other error says how many were.
        """
        taken: list[str] = []
        stored = 0
        for level, batch in levelled(jobs):
            try:
                proven = yield from self.store(batch, level)
                if proven.lacks:
                    raise self.uncertain([job.id for job in batch], level, proven)
            except Exception as error:
                error.add_note(f"{stored:,} jobs of this call were stored in queue {self.name!r} before it")
                raise
            exist = [
                job.id for job, answer in zip(batch, proven.answer, strict=True) if answer is Enqueued.EXISTS
            ]
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

    async def astore_one(self, job: NewJob, durability: Durability | None = None) -> None:
        """One job; calls of the same tick of the loop and the same durability share a round trip."""
        if await self._coalescer(self.level(durability)).add(job) is Enqueued.EXISTS:
            raise self.exists([job.id])

    def _coalescer(self, durability: Durability) -> "Coalescer[NewJob, Enqueued]":
        from homing.coalescer import Coalescer

        return self.link.shared_in_loop(
            f"enqueue/{self.name}/{durability}", lambda: Coalescer(partial(self._astore, durability), batches)
        )

    async def _astore(self, durability: Durability, jobs: list[NewJob]) -> list[Enqueued | Exception]:
        try:
            return await self._stored(jobs, durability)
        except QueueFull as error:
            free = [job for job in jobs if not job.own_id]
            if not free or len(free) == len(jobs):
                raise
            # The bound on ids callers chose refuses the whole call; it must not fail the others.
            stored = iter(await self._stored(free, durability))
            return [error if job.own_id else next(stored) for job in jobs]

    async def _stored(self, jobs: list[NewJob], durability: Durability) -> list[Enqueued | Exception]:
        """One answer for each job; each caller hears of its own job alone."""
        engine = self.link.engines.get(self.name) if self._in_one_call(durability) else None
        if engine is not None:
            lane = self.link.lanes.take()
            try:
                answers = await self.link.aclient.run(
                    engine.enqueue(jobs, lane=lane.name, number=lane.number)
                )
            except QueueError:
                lane.release()  # as in `store`
                raise
            lane.release()
            return [*answers]
        proven = await self.link.ado(self.store(jobs, durability))
        if proven.lacks:
            return [self.uncertain([job.id], durability, proven) for job in jobs]
        return [*proven.answer]


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
