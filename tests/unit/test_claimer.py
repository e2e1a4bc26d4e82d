"""The claimer on an idle worker: what it does first with a job that came, and how it stops in an outage."""

import asyncio
from collections.abc import Callable
from typing import Any

from homing.command import Command
from homing.delivery.claimer import Claimer, Post
from homing.delivery.lease import Lease
from homing.engines import make
from homing.engines.engine import Engine
from homing.errors import ServerUnreachable
from homing.job import Claim, Claimed, Registered
from homing.keys import Keys
from tests.unit.idle_heart import IdleHeart

KEYS = Keys("q")


class Server:
    """Registers, then gives nothing, and a job to the first claim that waits for the bell."""

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self.seen = asyncio.Event()

    async def run(self, command: Command[Any]) -> Any:
        return Registered(10_000, 0, False) if command.name == "register" else Claim([], 0)

    async def wait(self, bells: Any, block_s: float, command: None) -> None:
        raise AssertionError("with one queue the claim goes along with the wait")

    async def listen(
        self, bells: Any, block_s: float, command: Command[Any], heard: Callable[[Claim], None]
    ) -> None:
        self._log.append("waits")
        if self._log.count("waits") > 1:
            self.seen.set()
            await asyncio.Event().wait()
        heard(Claim([Claimed("j", b"0/0-1", "t", b"[[],{}]", 0, b"", 0)], 0))


class Intake:
    """Starts each job as the executor does, in the loop's next pass, and settles it in the one after."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def room(self, queue: str) -> int:
        return 10

    async def changed(self, timeout_s: float) -> None: ...

    def accept(self, lease: Lease, claim: Claim) -> None:
        loop = asyncio.get_running_loop()

        def start() -> None:
            self._log.append("starts")
            loop.call_soon(self._log.append, "settles")

        loop.call_soon(start)

    def enlisted(self, lease: Lease) -> None: ...


class Away(Server):
    """Registers, and is gone when it is asked for jobs."""

    async def listen(
        self, bells: Any, block_s: float, command: Command[Any], heard: Callable[[Claim], None]
    ) -> None:
        self.seen.set()
        raise ServerUnreachable("gone")


class Patient(Intake):
    async def changed(self, timeout_s: float) -> None:
        await asyncio.sleep(0)


async def resolve() -> Engine:
    return make("streams", KEYS)


async def test_a_job_that_was_waited_for_starts_and_is_settled_before_the_next_claim_is_made() -> None:
    log: list[str] = []
    server = Server(log)
    claimer = Claimer([Post("q", KEYS, resolve)], lambda: server, IdleHeart(), Intake(log))
    await claimer.register()
    claimer.start()
    await asyncio.wait_for(server.seen.wait(), 10)
    assert log == ["waits", "starts", "settles", "waits"]
    await claimer.stop()


async def test_it_stops_while_an_outcome_is_sent_again_until_the_end_of_an_outage() -> None:
    """It waited for that end before: the outcome was not given up, and the process overstayed."""
    server = Away([])
    post = Post("q", KEYS, resolve)
    claimer = Claimer([post], lambda: server, IdleHeart(), Patient([]))
    await claimer.register()
    claimer.start()
    await asyncio.wait_for(server.seen.wait(), 10)
    assert post.lease is not None
    async with post.lease.flight:
        await asyncio.wait_for(claimer.stop(), 10)
    assert post.ask, "nobody can say what the claim took: leaving gives it back"
