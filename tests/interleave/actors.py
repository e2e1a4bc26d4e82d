"""Who acts: real workers, consumers and senders of the library, their supervisors, and an operator."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from homing import App, current_job
from homing.command import Command
from homing.consuming import Consuming, Taking
from homing.delivery.heart import boot_s
from homing.delivery.lease import Lease
from homing.delivery.ticker import CRASHED
from homing.engines.engine import Engine
from homing.errors import HomingError, LeaseLost
from homing.job import (
    Ack,
    Again,
    Bury,
    Cancel,
    Cancelled,
    Dead,
    Decision,
    HandBack,
    NewJob,
    Retry,
    Settled,
    Ticked,
)
from homing.sender import Sender
from homing.steps import adrive
from homing.worker.runner import Runner
from tests.conformance.jobs import made_at
from tests.interleave.account import Account
from tests.interleave.world import Process, World

QUEUE = "q"
LEASE_MS = 1_000
TICK_S = 0.4


class Wire:
    """A client of one process, whose commands go when the world lets them."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def run(self, command: Command[Any], deadline: float | None = None) -> Any:
        return await self._world.ask(self._process, [command], many=False)

    async def run_many(self, commands: Sequence[Command[Any]], deadline: float | None = None) -> Any:
        return await self._world.ask(self._process, commands, many=True)

    async def wait(self, bells: Sequence[str], block_s: float, command: Command[Any] | None) -> Any:
        commands = [] if command is None else [command]
        return await self._world.ask(self._process, commands, many=False, bells=bells, block_s=block_s)

    async def listen(
        self, bells: Sequence[str], block_s: float, command: Command[Any], heard: Callable[[Any], None]
    ) -> None:
        heard(await self.wait(bells, block_s, command))
        await asyncio.sleep(0)  # who waited goes on later than it was heard

    async def aclose(self) -> None: ...


@dataclass
class Pulse:
    """The heart of one process, kept by its supervisor."""

    account: Account
    process: Process
    ends_s: dict[str, float] = field(default_factory=dict)  # worker -> end of its lease
    joined_s: dict[str, float] = field(default_factory=dict)
    running: dict[int, tuple[str, str]] = field(default_factory=dict)  # slot -> worker, job
    seen: Ticked | None = None

    def join(self, queue: str, engine: str, worker: str, lease_ms: int) -> None:
        joined_s = self.joined_s.setdefault(worker, boot_s())
        if lease_ms:
            self.ends_s[worker] = joined_s + lease_ms / 1_000

    def leave(self, queue: str, worker: str) -> None:
        self.joined_s.pop(worker, None)
        self.ends_s.pop(worker, None)

    def lease_end_s(self, queue: str, worker: str) -> float:
        return self.ends_s.get(worker, 0.0)

    def waiting(self, queue: str) -> int:
        return self.seen.waiting if self.seen is not None else 0

    def alone(self, queue: str) -> int:
        return self.seen.alone if self.seen is not None else 0

    def started(self, slot: int, queue: str, worker: str, job_id: str) -> None:
        if self.process.dead:
            return
        self.running[slot] = (worker, job_id)
        self.account.started(worker, job_id)

    def ended(self, slot: int) -> None:
        self.running.pop(slot, None)

    def pulse(self, limit_s: float) -> None: ...

    def ticked(self, sent_s: float, asked: Sequence[str], answer: Ticked) -> None:
        self.seen = answer
        for worker in asked:
            if worker in answer.lost:
                self.ends_s.pop(worker, None)
            elif worker in self.ends_s:
                self.ends_s[worker] = max(self.ends_s[worker], sent_s + LEASE_MS / 1_000)


class Supervisor:
    """Ticks for one process, reclaims who lapsed, and what its process held when it dies."""

    def __init__(self, world: World, process: Process, engine: Engine, pulse: Pulse) -> None:
        self._wire = Wire(world, process)
        self._engine = engine
        self.pulse = pulse

    async def tick(self) -> None:
        while True:
            workers, sent_s = list(self.pulse.ends_s), boot_s()
            with contextlib.suppress(HomingError):
                ticked = await self._wire.run(self._engine.tick(workers))
                self.pulse.ticked(sent_s, workers, ticked)
                for worker in ticked.lapsed:
                    await self._reclaim(worker, "lapsed", ())
            await asyncio.sleep(TICK_S)

    async def bury_child(self) -> None:
        """The process is dead: give back at once what it held, and charge what it ran."""
        members, running = dict(self.pulse.joined_s), list(self.pulse.running.values())
        self.pulse.joined_s.clear()
        self.pulse.ends_s.clear()
        self.pulse.running.clear()
        for worker in members:
            started = [job_id for one, job_id in running if one == worker]
            while True:
                try:
                    await self._reclaim(worker, "died", started)
                    break
                except HomingError:
                    await asyncio.sleep(TICK_S)

    async def _reclaim(self, worker: str, reason: Any, started: Sequence[str]) -> None:
        more = True
        while more:
            command = self._engine.reclaim(worker, reason=reason, started=started, error=CRASHED)
            more = (await self._wire.run(command)).more


class WireRunner(Runner):
    """The worker command's runner, over a wire of the world."""

    def __init__(self, app: App, wire: Wire, account: Account, **options: Any) -> None:
        self._wire = wire
        super().__init__(app, queues=[QUEUE], yields=True, label="r", **options)
        enlisted = self._desk.enlisted

        def listen(lease: Lease) -> None:
            enlisted(lease)
            settler = self._desk._settlers[lease.worker]
            answered = settler._answered

            def believe(batch: Any, settled: Settled) -> None:
                answered(batch, settled)
                for settlement, _ in batch:
                    if settlement.id not in settled.refused:
                        account.believes(lease.worker, settlement.id)

            settler._answered = believe  # type: ignore[method-assign]

        self._desk.enlisted = listen  # type: ignore[method-assign]

    def _connect(self) -> Any:
        return self._wire


async def consume(world: World, process: Process, sender: Sender, pulse: Pulse, prefetch: int) -> None:
    """A consumer that goes on as its user would: a new one after an error."""
    wire: Any = Wire(world, process)
    taking = Taking.of(prefetch=prefetch, block=True, burst=False, idle=None, retry=2)
    while True:
        heart: Any = pulse
        consuming = Consuming(sender, heart, taking, is_async=True)
        try:
            while (message := await adrive(wire, consuming.next())) is not None:
                worker = message.lease.worker
                pulse.started(0, QUEUE, worker, message.id)
                args, _ = message.payload
                await asyncio.sleep(args[0] / 1_000)
                pulse.ended(0)
                message.is_settled = True
                decision = _decision(args[1], message.claimed.attempt, world.dice)
                try:
                    await adrive(wire, consuming.settle(message, decision))
                    world.account.believes(worker, message.id)
                except LeaseLost:
                    continue
        except HomingError:
            await asyncio.sleep(0.05)
        finally:
            if not process.dead:
                with contextlib.suppress(asyncio.CancelledError):
                    await adrive(wire, consuming.leave())


def _decision(outcome: str, attempt: int, dice: random.Random) -> Decision:
    match outcome:
        case "retry" | "raise" if attempt < 2:
            return Again(50, attempt + 1)
        case "release" if dice.random() < 0.7:
            return HandBack()
        case "cancel":
            return Cancelled("not wanted")
        case "bury":
            return Dead(b'{"type":"Bury"}', attempt + 1)
    return Ack(b"1")


def declare(app: App, engine: Any) -> None:
    """The task that all jobs of a schedule are for."""

    @app.task(name="work", queue=QUEUE, engine=engine, retry=2)
    async def work(ms: int, outcome: str) -> int | None:
        await asyncio.sleep(ms / 1_000)
        match outcome:
            case "retry" if current_job().attempt < 3:
                raise Retry(0.05)
            case "cancel":
                raise Cancel("not wanted")
            case "bury":
                raise Bury("too bad")
            case "raise":
                raise OSError("once more")
        return 1


@dataclass
class Producer:
    """Enqueues some batches; what it was told is stored is `surely`."""

    world: World
    process: Process
    sender: Sender
    surely: set[str] = field(default_factory=set)
    ids: list[str] = field(default_factory=list)

    async def produce(self, batches: int) -> None:
        wire: Any = Wire(self.world, self.process)
        dice = self.world.dice
        for _ in range(batches):
            jobs = [self._job() for _ in range(dice.randint(1, 3))]
            with contextlib.suppress(HomingError):  # unknown: each is there once, or not at all
                await adrive(wire, self.sender.store(jobs))
                self.surely |= {job.id for job in jobs}
            await asyncio.sleep(dice.choice([0, 0, 0.05, 0.3]))

    def _job(self) -> NewJob:
        dice = self.world.dice
        number = len(self.ids)
        job_id = made_at(self.world.server_ms, number) if dice.random() < 0.5 else f"j{number}"
        self.ids.append(job_id)
        ms = dice.choice([0, 0, 5, 30, 300, 1_300])
        outcome = dice.choice(["ok", "ok", "ok", "retry", "raise", "bury", "cancel", "release"])
        return NewJob(
            job_id,
            "work",
            b'[[%d,"%b"],{}]' % (ms, outcome.encode()),
            priority=dice.choice([0, 0, 5]),
            delay_ms=dice.choice([0, 0, 0, 100]),
            own_id=dice.random() < 0.3,
            reply=dice.choice(["", "p"]),
        )


async def operate(world: World, process: Process, engine: Engine, producer: Producer) -> None:
    """Somebody looks after single jobs, and pauses the queue now and then."""
    wire, dice = Wire(world, process), world.dice
    while True:
        await asyncio.sleep(dice.choice([0.02, 0.1, 0.4]))
        if not producer.ids:
            continue
        job_id = dice.choice(producer.ids)
        command: Command[Any] = dice.choice(
            [
                engine.cancel(job_id),
                engine.remove(job_id),
                engine.replay(producer.ids),
                engine.pause(),
                engine.resume(),
                engine.resume(),
                engine.follow([job_id], process="p"),
                engine.job(job_id),
            ]
        )
        with contextlib.suppress(HomingError):
            await wire.run(command)
