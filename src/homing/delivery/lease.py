"""One registration of a worker on one queue: its right to the jobs it holds, until it is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from homing.command import Command
from homing.current import Tenure
from homing.delivery.heart import Heart, boot_s
from homing.engines.engine import Engine


class Lease(Tenure):
    """A worker id, what it holds, and until when. Made new at every registration, never used twice."""

    __slots__ = ("_heart", "_number", "_on_lost", "end_s", "engine", "flight", "jobs", "lease_ms")

    def __init__(self, queue: str, worker: str, engine: Engine, lease_ms: int, heart: Heart) -> None:
        super().__init__(queue, worker)
        self.engine = engine
        self.lease_ms = lease_ms
        #: `boot_s()` time at which it ends, as last looked up; 0.0 when it is lost.
        self.end_s = 0.0
        #: What this worker holds by id: waiting in a buffer, running or being settled.
        self.jobs: dict[str, object] = {}
        #: Held while a claim, a `held` or a settle sent again is on its way: a settle that is sent
        #: again must not meet a job that came back to this worker in between.
        self.flight = asyncio.Lock()
        self._heart = heart
        self._number = 0
        self._on_lost: list[Callable[[Lease], None]] = []

    def number(self) -> int:
        """The number of the next claim or `held`; it grows with each."""
        self._number += 1
        return self._number

    def on_lost(self, call: Callable[["Lease"], None]) -> None:
        self._on_lost.append(call)

    def lose(self) -> None:
        """It was reclaimed: everybody who holds a part of it is told, once."""
        if self.lost:
            return
        self.lost = True
        self.end_s = 0.0
        self._heart.leave(self.queue, self.worker)
        for call in self._on_lost:
            call(self)

    def look(self) -> None:
        """Ask the heart how long it lasts, and whether it is lost."""
        end_s = self._heart.lease_end_s(self.queue, self.worker)
        if end_s == 0.0:
            self.lose()
        elif not self.lost:
            self.end_s = max(self.end_s, end_s)

    def good(self) -> bool:
        """Whether a job of it may start now; False also when nobody knows."""
        if self.lost:
            return False
        if boot_s() < self.end_s:
            return True
        self.look()
        return not self.lost and boot_s() < self.end_s

    async def ask(self, run: Callable[[Command[Any]], Awaitable[Any]]) -> None:
        """Renew it by a tick of our own: the answer is newer than what the heart knows.

        Raises HomingError when there is no answer.
        """
        sent_s = boot_s()
        ticked = await run(self.engine.tick([self.worker]))
        if self.worker in ticked.lost:
            self.lose()
        elif not self.lost:
            self.end_s = max(self.end_s, sent_s + self.lease_ms / 1_000)
