"""Running handlers: async ones on the loop, sync ones in threads, isolated ones in processes.

Nothing that a handler raises gets past this file. The executor never sees Redis: what became of a
run goes to the Desk.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Any, Protocol

from homing.current import CURRENT, CurrentJob
from homing.delivery.heart import Heart
from homing.errors import DecodeError
from homing.job import Decision
from homing.worker.alarm import Alarm, time_limit
from homing.worker.stepping import refuse_generator, within
from homing.worker.table import Entry, Table
from homing.worker.threads import Threads

#: A slot lets the loop go on after this long, also when its jobs never wait for anything.
SLICE_S = 0.005
#: Types of results that need no second look.
PLAIN = frozenset({str, int, float, bool, list, dict, tuple, bytes})

Call = tuple[list[Any], dict[str, Any]]


class Desk(Protocol):
    """Where the end of each run is decided. Exactly one of these is called for each entry."""

    def opened(self, entry: Entry) -> Call:
        """The arguments of its call; sets its time limit. Raises DecodeError."""

    def returned(self, entry: Entry, value: object) -> None: ...

    def raised(self, entry: Entry, error: BaseException) -> None: ...

    def decided(self, entry: Entry, decision: Decision) -> None:
        """Its own process decided."""

    def interrupted(self, entry: Entry) -> None:
        """Stopped by us: it goes back uncharged."""

    def stuck(self, entry: Entry) -> None:
        """Its time is over and nothing in this process can stop it. Nothing else is called before
        its run ended, if it ever does.
        """


class Isolates(Protocol):
    """Processes of concurrency 1, for tasks with `isolation="process"`."""

    async def run(self, entry: Entry) -> Decision: ...


class Executor:
    """Starts what the table has for free slots, and tells the desk how each run ended."""

    def __init__(
        self, table: Table, heart: Heart, desk: Desk, isolates: Isolates, ending: Callable[[], bool]
    ) -> None:
        self._table = table
        self._heart = heart
        self._desk = desk
        self._isolates = isolates
        #: Whether the whole program is being cancelled, not one handler by its own code.
        self._program_ends = ending
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(self._loop)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pulsed_s = 0.0
        self._slice_end_s = 0.0
        self.closed = False

    def dispatch(self) -> None:
        """Start what may start."""
        if self.closed:
            return
        self._start_slots(1)
        benches, table = self._table.benches, self._table
        for kind in ("thread", "process"):
            bench = benches[kind]
            while bench.free and (entry := table.next(kind)) is not None:
                slot = bench.free.pop()
                if kind == "thread":
                    self._start_thread(slot, entry)
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

    def longest_s(self) -> float:
        """The longest time limit of what runs now, 0 when none of it has one."""
        return max((entry.limit_s or 0.0 for entry in self._table.running.values()), default=0.0)

    def abandon(self, entry: Entry) -> None:
        """Give a stuck run up: its slot is free for others, whatever it does from now on."""
        if self._release(entry):
            entry.abandoned = True
            if entry.kind == "async":
                self._table.benches["async"].free.append(entry.slot)
        self.dispatch()

    def close(self) -> None:
        """Start nothing more."""
        self.closed = True
        self._threads.close()

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The start and the end of any run.

    def _begin(self, entry: Entry, slot: int) -> Call | None:
        """Mark it as running here. None when its arguments do not decode: that is its end."""
        lease, job = entry.lease, entry.job
        entry.slot = slot
        entry.started_s = now_s = time.monotonic()
        self._table.running[slot] = entry
        self._heart.started(slot, lease.queue, lease.worker, job.id)
        self._table.benches[entry.kind].pace.started(now_s)
        try:
            call = self._desk.opened(entry)
        except DecodeError as error:
            self._release(entry)
            self._desk.raised(entry, error)
            return None
        limit_s = entry.limit_s
        if limit_s is not None and limit_s > self._pulsed_s:
            # Said before it starts: it may hold the loop from its first line on.
            self._pulsed_s = limit_s
            self._heart.pulse(limit_s)
        return call

    def pulse(self) -> None:
        """The loop goes on."""
        self._pulsed_s = self.longest_s()
        self._heart.pulse(self._pulsed_s)

    def _release(self, entry: Entry) -> bool:
        """Free its slot; False when it was given up before."""
        if self._table.running.get(entry.slot) is not entry:
            return False
        now_s = time.monotonic()
        del self._table.running[entry.slot]
        self._heart.ended(entry.slot)
        entry.stop = None
        bench = self._table.benches[entry.kind]
        bench.pace.ended(now_s, now_s - entry.started_s)
        if entry.kind != "async":  # an async slot takes its next job by itself
            bench.free.append(entry.slot)
        return True

    def _conclude(self, entry: Entry, value: object, error: BaseException | None) -> None:
        """Tell the desk how the run ended; what we did to it goes before what it made of it."""
        if not self._release(entry):
            return
        if error is None:
            self._desk.returned(entry, value)
        elif entry.interrupted or (isinstance(error, asyncio.CancelledError) and self._program_ends()):
            self._desk.interrupted(entry)
        elif entry.overdue:
            self._desk.raised(entry, time_limit(entry, error))
        else:
            self._desk.raised(entry, error)
        if self._table.suspect is not None:
            self._loop.call_soon(self.dispatch)

    # Async handlers.

    def _start_slots(self, count: int) -> None:
        """Let up to so many more slots run jobs, when there are jobs for them."""
        bench = self._table.benches["async"]
        while count and bench.free and self._table.any("async") and not self.closed:
            self._spawn(self._slot(bench.free.pop()))
            count -= 1

    def _waits(self) -> None:
        """A job waits for something: others may run meanwhile. Two for each, so that it takes few
        passes of the loop to fill all slots, and jobs that never wait need no second slot.
        """
        self._start_slots(2)

    async def _slot(self, slot: int) -> None:
        """Run jobs one after the other: a task for each would cost more than a short job."""
        task = asyncio.current_task()
        assert task is not None
        entry: Entry | None = None
        cut = True
        try:
            while not self.closed and (entry := self._table.next("async")) is not None:
                await self._run_async(entry, slot, task)
                if entry.abandoned or task.cancelling():
                    return  # a cancellation may still be on its way: the next job is not meant
                if time.monotonic() > self._slice_end_s:
                    self._loop.call_soon(self._new_slice)
                    await asyncio.sleep(0)
            cut = False
        finally:
            if entry is None or not entry.abandoned:
                self._table.benches["async"].free.append(slot)
            self._table.wake()
            if cut:  # the jobs that this slot would have run are for another
                self._loop.call_soon(self.dispatch)

    def _new_slice(self) -> None:
        self._slice_end_s = time.monotonic() + SLICE_S

    async def _run_async(self, entry: Entry, slot: int, task: "asyncio.Task[Any]") -> None:
        call = self._begin(entry, slot)
        if call is None:
            return
        args, kwargs = call
        alarm = None if entry.limit_s is None else Alarm(self._loop, entry, task.cancel, self._desk.stuck)
        entry.stop = task.cancel
        value: object = None
        error: BaseException | None = None
        context = self._context(entry)
        try:
            value = await within(context, context.run(entry.task.function, *args, **kwargs), self._waits)
            if value is not None and type(value) not in PLAIN:
                value = await self._settled_value(context, value)
        except BaseException as caught:  # the border to user code
            error = caught
        if alarm is not None:
            alarm.cancel()
        self._conclude(entry, value, error)

    async def _settled_value(self, context: Context, value: object) -> object:
        """A result that is a coroutine is awaited; one that is a generator is refused."""
        refuse_generator(value)
        if inspect.iscoroutine(value):
            awaited: object = await within(context, value, self._waits)
            refuse_generator(awaited)
            return awaited
        return value

    def _context(self, entry: Entry) -> Context:
        job, context = entry.job, copy_context()
        current = CurrentJob(
            entry.lease, job.id, job.task, token=job.token, attempt=job.attempt + 1, meta=job.meta
        )
        context.run(CURRENT.set, current)
        return context

    # Sync handlers.

    def _start_thread(self, slot: int, entry: Entry) -> None:
        call = self._begin(entry, slot)
        if call is None:
            self._loop.call_soon(self.dispatch)
            return
        args, kwargs = call
        context = self._context(entry)
        alarm = None if entry.limit_s is None else Alarm(self._loop, entry, None, self._desk.stuck)

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
            value = await within(context, coroutine, _nothing)
        except BaseException as caught:  # the border to user code
            error = caught
        if alarm is not None:
            alarm.cancel()
        self._thread_done(entry, value, error)

    def _thread_done(self, entry: Entry, value: object, error: BaseException | None) -> None:
        if error is None:
            try:
                refuse_generator(value)
            except TypeError as refused:
                error = refused
        elif entry.interrupted and not isinstance(error, asyncio.CancelledError):
            # A thread cannot be interrupted: what it raised is its own.
            entry.interrupted = False
        self._conclude(entry, value, error)
        self._table.wake()
        self.dispatch()

    # Isolated handlers.

    async def _isolated(self, slot: int, entry: Entry) -> None:
        if self._begin(entry, slot) is None:
            self.dispatch()
            return
        try:
            decision = await self._isolates.run(entry)
        except BaseException as error:
            self._conclude(entry, None, error)
        else:
            if self._release(entry):
                self._desk.decided(entry, decision)
        self._table.wake()
        self.dispatch()


def _nothing() -> None:
    """Where nobody minds that a coroutine waits."""
