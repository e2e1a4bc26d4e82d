"""Async handlers: tasks on the loop, each of which runs jobs one after the other."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from homing.delivery.heart import boot_s
from homing.worker.alarm import Alarm
from homing.worker.runs import Desk, Runs
from homing.worker.stepping import Coro, begin, refuse_generator, rest_of, within
from homing.worker.table import Entry, Table

#: A slot lets the loop go on after this long, also when its jobs never wait for anything.
SLICE_S = 0.005
#: Types of results that need no second look.
PLAIN = frozenset({type(None), str, int, float, bool, list, dict, tuple, bytes})

#: A run that has not ended yet: its context, its coroutine and what that waits for; without a coroutine, a result to
#: look at.
Begun = tuple[Context, Coro | None, Any]


def _begun(coroutine: Coro) -> "asyncio.Task[None]":
    """A task that has run until it first waits, where Python can do that and the program leaves tasks to it."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12) and loop.get_task_factory() is None:
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)


class Slots:
    """Starts a task for a slot when there are jobs for it; it ends when there are none.

    A task for each job would cost more than a short job, and so would waiting for one that never waits itself:
    most of a short job is a plain call.
    """

    def __init__(self, table: Table, runs: Runs, desk: Desk, dispatch: Callable[[], object]) -> None:
        self._table = table
        self._bench = table.benches["async"]
        self._runs = runs
        self._desk = desk
        self._dispatch = dispatch
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slice_end_s = 0.0
        self.closed = False

    def start(self, count: int, *, at_once: bool = False) -> None:
        """Let up to so many more slots run jobs, when there are jobs for them.

        `at_once`: from Python 3.12 on a job that waits here alone begins now. Of several each could start the
        next within itself, and a row of them would hold up who calls.
        """
        while count and self._bench.free and self._table.any("async") and not self.closed:
            make = _begun if at_once and len(self._bench.buffer) == 1 else self._loop.create_task
            task = make(self._slot(self._bench.take(boot_s())))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            count -= 1

    async def _slot(self, slot: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        table, runs = self._table, self._runs
        entry: Entry | None = None
        cut = True
        now_s = boot_s()
        try:
            while not self.closed and (entry := table.next("async", now_s)) is not None:
                begun = self._begin(entry, slot, now_s)
                if begun is not None:
                    await self._finish(entry, task, *begun)
                if entry.abandoned or task.cancelling():
                    return  # a cancellation may still be on its way: the next job is not meant
                now_s = runs.now_s
                if begun is None and (now_s > self._slice_end_s or table.pressing):
                    table.pressing = False
                    self._loop.call_soon(self._new_slice)
                    await asyncio.sleep(0)
                    now_s = boot_s()
            cut = False
        finally:
            if entry is None or not entry.abandoned:
                self._bench.give_back(slot, boot_s())
            table.wake()
            if cut:  # the jobs that this slot would have run are for another
                self._loop.call_soon(self._dispatch)

    def _new_slice(self) -> None:
        self._slice_end_s = boot_s() + SLICE_S

    def _begin(self, entry: Entry, slot: int, now_s: float) -> Begun | None:
        """Run a job until it first waits for something; None when it came to its end before."""
        call = self._runs.begin(entry, slot, now_s)
        if call is None:
            return None
        context = copy_context()
        try:
            coroutine, value = context.run(begin, entry, entry.task.function, *call)
        except BaseException as error:  # the border to user code
            self._runs.conclude(entry, None, error)
            return None
        if coroutine is None and (value is None or type(value) in PLAIN):
            self._runs.conclude(entry, value, None)
            return None
        return context, coroutine, value

    async def _finish(
        self, entry: Entry, task: "asyncio.Task[Any]", context: Context, coroutine: Coro | None, value: Any
    ) -> None:
        """Run a job that waits to its end, others meanwhile."""
        # Two slots for each, so that it takes few passes of the loop to fill all, and jobs that never
        # wait need no second one.
        self.start(2)
        alarm = None
        if entry.limit_s is not None:
            # Nothing could have stopped it before it first waited.
            left_s = entry.started_s + entry.limit_s - boot_s()
            alarm = Alarm(self._loop, entry, left_s, task.cancel, self._desk.stuck)
        entry.stop = task.cancel
        error: BaseException | None = None
        try:
            if coroutine is not None:
                value = await rest_of(context, coroutine, value)
            if type(value) not in PLAIN:
                value = await self._settled_value(context, value)
        except BaseException as caught:  # the border to user code
            error = caught
        if alarm is not None:
            alarm.cancel()
        self._runs.conclude(entry, value, error)

    async def _settled_value(self, context: Context, value: object) -> object:
        """A result that is a coroutine is awaited; one that is a generator is refused."""
        refuse_generator(value)
        if inspect.iscoroutine(value):
            awaited: object = await within(context, value)
            refuse_generator(awaited)
            return awaited
        return value
