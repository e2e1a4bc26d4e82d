"""Running handlers: async ones on the loop, sync ones in threads, isolated ones in processes.

Nothing that a handler raises gets past this file. The executor never sees Redis: what became of a
run goes to the Desk.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Any, Protocol

from homing.current import CURRENT
from homing.delivery.heart import Heart, boot_s
from homing.job import Decision
from homing.worker.alarm import Alarm
from homing.worker.runs import Desk, Runs
from homing.worker.slots import Slots
from homing.worker.stepping import refuse_generator, within
from homing.worker.table import Entry, Table
from homing.worker.threads import Threads


class Isolates(Protocol):
    """Processes of concurrency 1, for tasks with `isolation="process"`."""

    async def run(self, entry: Entry) -> Decision: ...


class Executor:
    """Starts what the table has for free slots, and tells the desk how each run ended."""

    def __init__(
        self, table: Table, heart: Heart, desk: Desk, isolates: Isolates, ending: Callable[[], bool]
    ) -> None:
        self._table = table
        self._desk = desk
        self._isolates = isolates
        self._loop = asyncio.get_running_loop()
        self._runs = Runs(table, heart, desk, ending, self._dispatch_soon)
        self._slots = Slots(table, self._runs, desk, self.dispatch)
        self._threads = Threads(self._loop, self._freed)
        self._tasks: set[asyncio.Task[None]] = set()
        #: The loop goes on.
        self.pulse = self._runs.pulse
        self.closed = False

    def dispatch(self) -> None:
        """Start what may start."""
        if self.closed:
            return
        self._slots.start(1, at_once=True)
        benches, table = self._table.benches, self._table
        for kind in ("thread", "process"):
            bench = benches[kind]
            if not bench.buffer and table.suspect is None:
                continue  # mostly: a job that came alone waits for what is done here before it begins
            while bench.free and (entry := table.next(kind, now_s := boot_s())) is not None:
                slot = bench.take(now_s)
                if kind == "thread":
                    self._start_thread(slot, entry, now_s)
                else:
                    self._spawn(self._isolated(slot, entry))

    def interrupt(self, but: Sequence[Entry] = ()) -> None:
        """Cancel what can be cancelled, but these; it comes back as interrupted."""
        for entry in list(self._table.running.values()):
            if entry in but:
                continue
            entry.interrupted = True
            if entry.stop is not None:
                entry.stop()

    def abandon(self, entry: Entry) -> None:
        """Give a stuck run up: its slot is free for others, whatever it does from now on."""
        if self._runs.release(entry):
            entry.abandoned = True
            if entry.kind == "async":
                self._table.benches["async"].give_back(entry.slot, boot_s())
        self.dispatch()

    def close(self) -> None:
        """Start nothing more."""
        self.closed = self._slots.closed = True
        self._threads.close()

    def _dispatch_soon(self) -> None:
        self._loop.call_soon(self.dispatch)

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Sync handlers.

    def _start_thread(self, slot: int, entry: Entry, now_s: float) -> None:
        call = self._runs.begin(entry, slot, now_s)
        if call is None:
            self._dispatch_soon()
            return
        args, kwargs = call
        context = copy_context()
        context.run(CURRENT.set, entry)
        limit_s = entry.limit_s
        alarm = None if limit_s is None else Alarm(self._loop, entry, limit_s, None, self._desk.stuck)

        def run() -> object:
            return context.run(entry.task.function, *args, **kwargs)

        def done(value: object, error: BaseException | None) -> None:
            if error is None and inspect.iscoroutine(value):
                self._spawn(self._finish_coroutine(entry, context, value, alarm))
                return
            if alarm is not None:
                alarm.cancel()
            self._thread_done(entry, value, error)

        self._threads.submit(run, done)

    async def _finish_coroutine(
        self, entry: Entry, context: Context, coroutine: Any, alarm: Alarm | None
    ) -> None:
        """A sync handler returned a coroutine: it is awaited here, within the same time limit."""
        task = asyncio.current_task()
        assert task is not None
        entry.stop = task.cancel
        if alarm is not None:
            alarm.cancel_with(task.cancel)
        value: object = None
        error: BaseException | None = None
        try:
            value = await within(context, coroutine)
        except BaseException as caught:  # the border to user code
            error = caught
        if alarm is not None:
            alarm.cancel()
        self._thread_done(entry, value, error)
        self._freed()

    def _thread_done(self, entry: Entry, value: object, error: BaseException | None) -> None:
        if error is None:
            try:
                refuse_generator(value)
            except TypeError as refused:
                error = refused
        elif entry.interrupted and not isinstance(error, asyncio.CancelledError):
            # A thread cannot be interrupted: what it raised is its own.
            entry.interrupted = False
        self._runs.conclude(entry, value, error)

    def _freed(self) -> None:
        """Slots of threads are free."""
        self._table.wake()
        self.dispatch()

    # Isolated handlers.

    async def _isolated(self, slot: int, entry: Entry) -> None:
        if self._runs.begin(entry, slot, boot_s()) is None:
            self.dispatch()
            return
        try:
            decision = await self._isolates.run(entry)
        except BaseException as error:
            self._runs.conclude(entry, None, error)
        else:
            if self._runs.release(entry):
                self._desk.decided(entry, decision)
        self._table.wake()
        self.dispatch()
