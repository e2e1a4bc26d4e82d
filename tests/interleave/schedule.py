"""One schedule: some workers, consumers, a producer and an operator, in an order that a seed picks."""

import asyncio
import itertools
import random
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import redis

from homing import App, consuming
from homing.client import Client
from homing.command import Script, load
from homing.delivery import claimer
from homing.engines import make
from homing.engines.engine import EngineName
from homing.job import State
from homing.keys import Keys
from homing.target import Target
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ids
from tests.interleave.account import Account
from tests.interleave.actors import (
    LEASE_MS,
    QUEUE,
    Producer,
    Pulse,
    Supervisor,
    Wire,
    WireRunner,
    consume,
    declare,
    operate,
)
from tests.interleave.virtual import PROCESS, VirtualLoop, clocks
from tests.interleave.world import Process, World
from tests.servers import Server

#: Picks of one schedule that may go wrong; then all goes well until everything is done.
DECISIONS = 120
#: All that was begun has ended after this long without faults.
DRAINED_S = 60.0


class Schedules:
    """Plays schedules on one server."""

    def __init__(self, server: Server, engine: EngineName) -> None:
        self._url = server.url
        self._raw = server.redis(protocol=2)
        self._client = Client(Target.parse(server.url))
        self._engine = engine
        self._numbers = itertools.count()
        # A script that the server does not know runs behind what was sent with it: a seed would be one
        # schedule on a new server and another one later.
        for script in _scripts(engine):
            try:
                self._raw.script_load(script.text)
            except redis.ResponseError:  # 6.2 knows no `#!lua` line
                self._raw.script_load(script.plain)

    def tried(self, seed: int) -> tuple[World, AssertionError | None]:
        """Play the schedule of a seed; what it was, and the promise that was broken in it, if any."""
        prefix = f"interleave-{next(self._numbers)}-{self._engine}"
        world = World(self._client, Keys(QUEUE, prefix).bell, Account(), seed, DECISIONS)
        workers = itertools.count(1)
        random.seed(seed)  # the library's own jitter
        loop = VirtualLoop(lambda: world.now_s, world.idle)
        app = App(self._url, prefix=prefix)
        declare(app, self._engine)
        error = None
        with clocks(lambda: world.now_s), pytest.MonkeyPatch.context() as patch:
            for module in (claimer, consuming):
                patch.setattr(module, "new_worker_id", lambda _: f"w{next(workers)}")
            try:
                loop.run_until_complete(_Play(world, app, prefix, self._engine, self._raw).play())
            except AssertionError as broken:
                error = broken
            finally:
                self._end(loop)
                app.close()
                self._clean(prefix)
        return world, error

    def _end(self, loop: VirtualLoop) -> None:
        """Whoever is left is cancelled, and so is what they begin on their way out."""
        with suppress(AssertionError):  # what was broken is known by now
            while tasks := asyncio.all_tasks(loop):
                for task in tasks:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(tasks, timeout=1))
        loop.close()

    def close(self) -> None:
        self._client.close()
        self._raw.close()

    def _clean(self, prefix: str) -> None:
        keys = self._raw.keys(f"{prefix}:*")
        if keys:
            self._raw.unlink(*keys)


def _scripts(engine: EngineName) -> Iterator[Script]:
    """All scripts of an engine, the lean settle too."""
    package = f"homing.engines.{engine}"
    folders = (files(package) / "lua", files("homing.engines") / "shared" / "both")
    for name in sorted({Path(one.name).stem for folder in folders for one in folder.iterdir()}):
        if not name.startswith("_"):
            yield load(package, name)
    yield load(package, "settle", lean=True)


class _Play:
    def __init__(self, world: World, app: App, prefix: str, engine: EngineName, raw: Any) -> None:
        self._world = world
        self._app = app
        self._keys = Keys(QUEUE, prefix)
        self._engine = make(engine, self._keys)
        self._raw = raw
        self._names = itertools.count(1)
        self._processes: list[Process] = []
        self._stopping: list[Any] = []
        self._supervisors: dict[str, tuple[Process, Supervisor]] = {}

    async def play(self) -> None:
        world, dice = self._world, self._world.dice
        world.at_once(self._engine.open({"lease_ms": LEASE_MS, "crash_max": dice.choice([1, 2, 3])}))
        self._app.queue(QUEUE).sender.link.engines[QUEUE] = self._engine
        producer = Producer(world, self._process("producer"), self._app.queue(QUEUE).sender)
        producing = self._spawn(producer.process, producer.produce(dice.randint(2, 5)))
        for _ in range(dice.randint(1, 2)):
            self._worker()
        for _ in range(dice.randint(0, 1)):
            self._consumer()
        operator = self._process("operator")
        self._spawn(operator, operate(world, operator, self._engine, producer))
        trouble = self._spawn(self._process("trouble"), self._trouble())
        await world.calmed.wait()
        world.kill(operator)
        trouble.cancel()
        with suppress(asyncio.CancelledError):
            await producing
        self._worker()
        await self._drained()
        self._app_closed()
        world.account.close(self._whole(), producer.surely)

    def _process(self, name: str) -> Process:
        process = Process(f"{name}{next(self._names)}")
        self._processes.append(process)
        return process

    def _spawn(self, process: Process, steps: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        token = PROCESS.set(process)
        try:
            return asyncio.get_running_loop().create_task(steps)
        finally:
            PROCESS.reset(token)

    def _supervised(self, process: Process) -> Pulse:
        above = self._process("above")
        pulse = Pulse(self._world.account, process)
        supervisor = Supervisor(self._world, above, self._engine, pulse)
        self._spawn(above, supervisor.tick())
        self._supervisors[process.name] = (above, supervisor)
        return pulse

    def _worker(self) -> None:
        process = self._process("worker")
        pulse = self._supervised(process)
        concurrency = self._world.dice.randint(1, 3)

        async def work() -> None:
            runner = WireRunner(
                self._app,
                Wire(self._world, process),
                self._world.account,
                heart=pulse,
                concurrency=concurrency,
            )
            await runner.start()
            await runner.wait()

        self._spawn(process, work())

    def _consumer(self) -> None:
        process = self._process("consumer")
        pulse = self._supervised(process)
        sender = self._app.queue(QUEUE).sender
        self._spawn(process, consume(self._world, process, sender, pulse, self._world.dice.randint(1, 3)))

    async def _trouble(self) -> None:
        """Processes die, alone or with their hosts; others lose touch for longer than a lease."""
        dice, world = self._world.dice, self._world
        while True:
            await asyncio.sleep(dice.choice([0.1, 0.5, 1.0]))
            living = [one for one in self._processes if one.name in self._supervisors and not one.dead]
            if not living:
                self._worker()
                continue
            process = dice.choice(living)
            above, supervisor = self._supervisors[process.name]
            match dice.choice(["child", "host", "numb", "deaf", "nothing", "nothing"]):
                case "child":
                    world.kill(process)
                    self._spawn(above, supervisor.bury_child())
                    self._worker()
                case "host":
                    world.kill(process)
                    world.kill(above)
                    self._worker()
                case "numb":
                    above.frozen_until_s = world.now_s + 2 * LEASE_MS / 1_000
                case "deaf":
                    process.frozen_until_s = world.now_s + 2 * LEASE_MS / 1_000

    async def _drained(self) -> None:
        end_s = self._world.now_s + DRAINED_S
        while True:
            seen = self._world.at_once(self._engine.counts())
            if seen.waiting + seen.scheduled + seen.active == 0 and self._world.quiet:
                return
            if seen.paused and self._world.quiet:
                self._world.at_once(self._engine.resume())
            if self._world.now_s > end_s:
                raise AssertionError(f"not drained after {DRAINED_S:.0f} s: {seen}")
            await asyncio.sleep(0.5)

    def _app_closed(self) -> None:
        for process in self._processes:
            if not process.dead:
                self._world.kill(process)

    def _whole(self) -> Whole:
        """What is left when also the last workers were reclaimed."""
        world, engine = self._world, self._engine
        workers = world.at_once(engine.workers())
        states = list(State)
        *_, counts = answers = world.all_at_once(
            [
                *(engine.reclaim(worker.id, reason="left") for worker in workers),
                *(engine.peek(state, limit=1_000) for state in states),
                engine.counts(),
            ]
        )
        jobs = dict(zip(states, (page.jobs for page in answers[len(workers) : -1]), strict=True))
        queue = Queue(engine, world.at_once, self._raw)
        return Whole(
            waiting=ids(jobs[State.WAITING]),
            scheduled=ids(jobs[State.SCHEDULED]),
            active={str(job.worker): [job.id] for job in jobs[State.ACTIVE]},
            dead=ids(jobs[State.DEAD]),
            completed=ids(jobs[State.COMPLETED]),
            cancelled=ids(jobs[State.CANCELLED]),
            missing=counts.missing,
            taken=counts.taken,
            problems=queue.verify(),
            strays=queue.strays(jobs, set()),
        )
