"""Telling the server how runs ended: in batches, at once when little happens, again through an outage."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec.structs import replace

from homing import events
from homing.command import Command
from homing.delivery.assurance import Assurance
from homing.delivery.backoff import backoff_s, now_and_then
from homing.delivery.lease import Lease
from homing.eager import begun
from homing.engines.engine import BATCH_MAX
from homing.errors import LeaseLost, QueueFull
from homing.job import DONE, Ack, Again, Dead, Settled, Settlement

#: The most bytes of results, errors and metas in one call.
BATCH_BYTES = 4 * 1024 * 1024
#: While much runs and more waits here, an end waits for company: for so many, or so long.
ENOUGH, HOLD_S = 400, 0.002
Run = Callable[[Command[Any]], Awaitable[Any]]
Held = tuple[Settlement, object]


class Account(Protocol):
    """Who wants to know what became of the outcomes handed in."""

    def settled(self, settlements: list[Settlement], refused: list[str]) -> None: ...

    def thrown_away(self, count: int) -> None: ...


class Floor(Protocol):
    """Where jobs run, as far as their ends are concerned."""

    def plenty(self) -> bool:
        """Whether more ends are about to come, thick and fast: a call costs as much as dozens of them do."""

    def quiet(self) -> bool:
        """Whether nothing runs, nor waits to run: no end is about to come."""


class Settler:
    """The outcomes of one registration. One call in flight; what ends meanwhile leaves with the next."""

    def __init__(
        self,
        lease: Lease,
        run: Run,
        account: Account,
        floor: Floor,
        assurance: Assurance | None = None,
    ) -> None:
        self._lease = lease
        self._run = run
        self._account = account
        self._floor = floor
        self._assurance = assurance or Assurance(lease.queue, None)
        self._waiting: list[Held] = []
        self._heavy = False  # some of them are not just an end, and may be too much for one call
        self._in_flight = 0
        self._number = 0  # of the batch in flight: a copy of it that comes late does nothing
        self._pump: asyncio.Task[None] | None = None
        self._hold: asyncio.Future[None] | None = None  # until there is company enough
        lease.on_lost(self._throw_away)

    @property
    def backlog(self) -> int:
        """Outcomes the server has not answered to."""
        return len(self._waiting) + self._in_flight

    def add(self, settlement: Settlement, held: object) -> None:
        """Settle this; `held` is what the lease has under the job's id, until the answer is there."""
        if self._lease.lost:
            self._account.thrown_away(1)
            return
        self._waiting.append((settlement, held))
        if settlement.decision is not DONE:
            self._heavy = True
        if self._pump is None:
            if type(settlement.decision) is Ack and self._floor.quiet():
                self._pump = begun(self._flush())  # somebody may wait for it
                return
            # The task starts in the loop's next pass: what ends in this one leaves with it, and what goes back
            # together keeps its order.
            self._pump = asyncio.get_running_loop().create_task(self._flush())
        elif self._hold is not None and (len(self._waiting) >= ENOUGH or not self._floor.plenty()):
            self._go()

    async def drained(self) -> None:
        """Wait until all is answered, or the lease is lost."""
        while self._pump is not None:
            self._go()
            await asyncio.shield(self._pump)

    def abandon(self) -> None:
        """Stop sending: the process ends, and what was not answered comes back by its lease."""
        if self._pump is not None:
            self._pump.cancel()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                if len(self._waiting) < ENOUGH and self._floor.plenty():
                    await self._for_company()
                    if not self._waiting:  # thrown away
                        break
                batch = self._take()
                self._number += 1
                self._in_flight = len(batch)
                await self._send(batch)
                self._in_flight = 0
        finally:
            self._in_flight = 0
            self._pump = None

    async def _for_company(self) -> None:
        loop = asyncio.get_running_loop()
        self._hold = loop.create_future()
        alarm = loop.call_later(HOLD_S, self._go)
        try:
            await self._hold
        finally:
            alarm.cancel()
            self._hold = None

    def _go(self) -> None:
        """Wait for no more company."""
        if self._hold is not None and not self._hold.done():
            self._hold.set_result(None)

    def _take(self) -> list[Held]:
        waiting = self._waiting
        if len(waiting) <= BATCH_MAX and not self._heavy:
            self._waiting = []
            return waiting
        size = 0
        for count, (settlement, _) in enumerate(self._waiting):
            size += _weight(settlement)
            if count == BATCH_MAX or (size > BATCH_BYTES and count):
                break
        else:
            count = len(self._waiting)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._heavy = self._heavy and bool(self._waiting)
        return batch

    async def _send(self, batch: list[Held]) -> None:
        try:
            try:
                self._answered(batch, await self._call(batch, lean=False))
            except QueueFull:
                self._answered(batch, await self._call(batch, lean=True))
        except LeaseLost:
            self._lost(batch)
        except Exception as error:  # whatever it is, these outcomes must not be forgotten
            await self._send_again(batch, error, lean=isinstance(error, QueueFull))

    async def _send_again(self, batch: list[Held], error: Exception, *, lean: bool) -> None:
        """The same call, until it is answered. Nothing is claimed meanwhile under this lease."""
        failures = 0
        async with self._lease.flight:
            while not self._lease.lost:
                if now_and_then(failures + 1):
                    events.emit(
                        "settle_failed",
                        level=logging.WARNING,
                        queue=self._lease.queue,
                        outcomes=len(batch),
                        error=error,
                    )
                await asyncio.sleep(backoff_s(failures))
                # A job that was delivered to this worker again has left its hands before: the call
                # whose answer was lost did act, and must not act on the new run.
                jobs = self._lease.jobs
                done = [each for each in batch if jobs.get(each[0].id) is not each[1]]
                self._account.settled([settlement for settlement, _ in done], [])
                batch = [each for each in batch if jobs.get(each[0].id) is each[1]]
                try:
                    settled = await self._call(batch, lean=lean)
                    # What is refused now was let through before: the call acts as a whole or not at all.
                    self._answered(batch, Settled(settled.done))
                except LeaseLost:
                    break
                except Exception as again:
                    error, failures = again, failures + 1
                    lean = lean or isinstance(again, QueueFull)
                else:
                    return
        self._lost(batch)

    async def _call(self, batch: list[Held], *, lean: bool) -> Settled:
        settlements = [settlement for settlement, _ in batch]
        command = self._lease.engine.settle(self._lease.worker, settlements, number=self._number, lean=lean)
        answer = await self._run(self._assurance.asking(replace(command, resend=False)))
        return self._assurance.heard(answer, len(batch))

    def _answered(self, batch: list[Held], settled: Settled) -> None:
        jobs = self._lease.jobs
        for settlement, held in batch:
            known = jobs.pop(settlement.id, None)
            if known is not held and known is not None:  # delivered again meanwhile
                jobs[settlement.id] = known
        if settled.refused:
            events.emit(
                "outcomes_refused", level=logging.WARNING, queue=self._lease.queue, ids=settled.refused
            )
        self._account.settled([settlement for settlement, _ in batch], settled.refused)

    def _lost(self, batch: list[Held]) -> None:
        self._account.thrown_away(len(batch))
        self._lease.lose()

    def _throw_away(self, lease: Lease) -> None:
        if self._waiting:
            self._account.thrown_away(len(self._waiting))
            self._waiting = []
            self._go()


def _weight(settlement: Settlement) -> int:
    match settlement.decision:
        case Ack(result):
            return 128 + len(result)
        case Again(meta=meta):
            return 128 + len(meta)
        case Dead(error):
            return 128 + len(error)
        case _:
            return 128
