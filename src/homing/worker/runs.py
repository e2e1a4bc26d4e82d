"""The start and the end of a run, whatever runs it: what the table, the heart and the desk are told."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from homing.delivery.heart import Heart, boot_s
from homing.errors import DecodeError
from homing.job import DONE, Decision
from homing.worker.alarm import time_limit
from homing.worker.table import Entry, Table

Call = tuple[Sequence[Any], dict[str, Any]]


class Desk(Protocol):
    """Where the end of each run is decided. Exactly one of these is called for each entry."""

    def opened(self, entry: Entry) -> Call:
        """The arguments of its call; sets its time limit. Raises DecodeError."""

    def returned(self, entry: Entry, value: object) -> None: ...

    def raised(self, entry: Entry, error: BaseException) -> None: ...

    def decided(self, entry: Entry, decision: Decision) -> None:
        """Its own process decided, or it returned None."""

    def interrupted(self, entry: Entry) -> None:
        """Stopped by us: it goes back uncharged."""

    def stuck(self, entry: Entry) -> None:
        """Its time is over and nothing in this process can stop it. Nothing else is called before
        its run ended, if it ever does.
        """


class Runs:
    """`ending` tells whether the whole program is being cancelled, not one handler by its own code;
    `dispatch` is called when a suspect may have waited for the end of this run.
    """

    def __init__(
        self,
        table: Table,
        heart: Heart,
        desk: Desk,
        ending: Callable[[], bool],
        dispatch: Callable[[], object],
    ) -> None:
        self._table = table
        self._heart = heart
        self._desk = desk
        self._program_ends = ending
        self._dispatch = dispatch
        self._pulsed_s = 0.0
        #: `boot_s()` when the last one ended: the next in its slot, when it follows at once, began then.
        self.now_s = 0.0

    def begin(self, entry: Entry, slot: int, now_s: float) -> Call | None:
        """Mark it as running here. None when its arguments do not decode: that is its end."""
        entry.slot = slot
        entry.started_s = now_s
        self._table.running[slot] = entry
        lease = entry.lease
        self._heart.started(slot, lease.queue, lease.worker, entry.job.id)
        try:
            call = self._desk.opened(entry)
        except DecodeError as error:
            self.release(entry)
            self._desk.raised(entry, error)
            return None
        limit_s = entry.limit_s
        if limit_s is not None and limit_s > self._pulsed_s:
            # Said before it starts: it may hold the loop from its first line on.
            self._pulsed_s = limit_s
            self._heart.pulse(limit_s)
        return call

    def release(self, entry: Entry) -> bool:
        """It runs no more; False when it was given up before. An async slot goes on by itself, others are free."""
        slot, running = entry.slot, self._table.running
        if running.get(slot) is not entry:
            return False
        self.now_s = now_s = boot_s()
        del running[slot]
        self._heart.ended(slot)
        if entry.stop is not None:
            entry.stop = None
        entry.ran_s = ran_s = now_s - entry.started_s
        bench = self._table.benches[entry.kind]
        bench.pace.ended(ran_s)
        if entry.kind != "async":
            bench.give_back(slot, now_s)
        return True

    def conclude(self, entry: Entry, value: object, error: BaseException | None) -> None:
        """Tell the desk how the run ended; what we did to it goes before what it made of it."""
        if not self.release(entry):
            return
        if error is None:
            if value is None:
                self._desk.decided(entry, DONE)
            else:
                self._desk.returned(entry, value)
        elif entry.interrupted or (isinstance(error, asyncio.CancelledError) and self._program_ends()):
            self._desk.interrupted(entry)
        elif entry.overdue:
            self._desk.raised(entry, time_limit(entry, error))
        else:
            self._desk.raised(entry, error)
        if self._table.suspect is not None:
            self._dispatch()

    def pulse(self) -> None:
        """The loop goes on."""
        self._pulsed_s = self.longest_s()
        self._heart.pulse(self._pulsed_s)

    def longest_s(self) -> float:
        """The longest time limit of what runs now, 0 when none of it has one."""
        return max((entry.limit_s or 0.0 for entry in self._table.running.values()), default=0.0)
