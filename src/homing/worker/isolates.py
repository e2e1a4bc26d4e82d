"""The worker's side of isolated tasks: processes of concurrency 1, made when needed, killed with their group.

The first is made when the worker starts: it finds the tasks before the first job is claimed for them.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from homing import events
from homing.delivery.heart import boot_s
from homing.errors import SettingsError, UnknownTask, WorkerCrashed
from homing.job import Decision
from homing.policy import unknown_task
from homing.worker.alarm import time_limit
from homing.worker.frames import HEAD, Look, Order, Sought, frame, read_answer, read_missing
from homing.worker.isolated import MAIN
from homing.worker.places import Program, not_found, sought
from homing.worker.table import Entry

#: A process is awaited this long after its kill before it is left to the system.
REAP_S = 5.0
#: An answer that was sent right before the end is waited for this long.
LAST_WORDS_S = 0.2
#: How often a worker shows that it goes on while a process imports its app.
PULSE_S = 1.0


class Isolate:
    """One process, its socket, and the call it runs."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, leash: int) -> "Isolate":
        """A new process; when the pipe `leash` ends, it ends with all that it started."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "homing.worker.isolated",
                str(theirs.fileno()),
                str(leash),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), leash),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return cls(process, reader, writer)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._reader.at_eof()

    async def ask(self, order: Order) -> Decision:
        """Run one job there. Raises WorkerCrashed with how the process ended when it does instead.

        Raises UnknownTask when it does not find the task.
        """
        answer = await self._answer(frame(order), order.job.task or "the message")
        return read_answer(answer).decision

    async def look(self, look: Look) -> dict[str, str]:
        """The tasks that it does not find, each with why. Raises as `ask`."""
        return dict(read_missing(await self._answer(frame(look), "isolated tasks")))

    async def _answer(self, message: bytes, of: str) -> bytes:
        self._writer.write(message)
        reading = asyncio.ensure_future(self._read())
        ending = asyncio.ensure_future(self._process.wait())
        try:
            # What a dead process started may hold its socket open: its end counts, too.
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((reading,), timeout=LAST_WORDS_S)
            if reading.done() and reading.exception() is None:
                return reading.result()
        finally:
            reading.cancel()
            ending.cancel()
        raise WorkerCrashed(f"the process of {of} {await self._how_it_ended()}")

    async def _read(self) -> bytes:
        head = await self._reader.readexactly(HEAD)
        return await self._reader.readexactly(int.from_bytes(head, "big"))

    def kill(self) -> None:
        """End it and all it started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def reap(self) -> None:
        """Kill it and wait until it is gone."""
        self.kill()
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), REAP_S)
        except TimeoutError:
            events.emit("isolate_not_reaped", level=logging.ERROR, pid=self._process.pid)

    async def _how_it_ended(self) -> str:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 0.5)
        await self.reap()
        code = self._process.returncode
        if code is None:
            return "closed its end and did not die"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


class Isolates:
    """As many processes as jobs run in them at once; an idle one takes the next job.

    They find the app by `spec`, `module:attr`, or, without it, as this program holds it.
    """

    def __init__(self, app: Program, spec: str | None) -> None:
        self._app = app
        self._spec = spec
        self._sought: dict[str, Sought] = {}
        self._idle: list[Isolate] = []
        self._all: set[Isolate] = set()
        self._leash: tuple[int, int] | None = None  # both ends of a pipe that ends with this process

    async def begin(self, queues: Sequence[str], pulse: Callable[[float], None]) -> None:
        """Have a process find every isolated task of these queues. Raises SettingsError when it does not.

        `pulse` is called while it imports them.
        """
        if MAIN in sys.modules:  # it would start such a process of its own, and that another …
            raise SettingsError(
                "a worker is started where the process of an isolated task runs the program's file: "
                'start it under `if __name__ == "__main__"`'
            )
        tasks = [task for task in self._app.tasks.values() if task.kind == "process" and task.queue in queues]
        if not tasks:
            return
        look = Look([self._where(task) for task in tasks], list(sys.path))
        try:
            isolate = await self._take()
            missing = await self._look(isolate, look, tasks[0], pulse)
            for task in tasks:
                if task.name in missing:
                    raise not_found(task, missing[task.name])
        except BaseException:
            await self.close()
            raise
        self._idle.append(isolate)

    async def _look(
        self, isolate: Isolate, look: Look, first: Any, pulse: Callable[[float], None]
    ) -> dict[str, str]:
        """What is missing; an import may take as long as a loop may stand still."""
        looking = asyncio.ensure_future(isolate.look(look))
        within_s = self._app.settings.stall
        until_s = boot_s() + within_s
        try:
            while not looking.done():
                if boot_s() > until_s:
                    raise not_found(first, f"its import has not ended within {within_s:g} s")
                pulse(0.0)
                await asyncio.wait((looking,), timeout=PULSE_S)
            return looking.result()
        except WorkerCrashed as error:
            raise not_found(first, str(error)) from None
        finally:
            looking.cancel()

    async def run(self, entry: Entry) -> Decision:
        """Run one job to its decision; its time limit kills the process."""
        try:
            order = self._order(entry)
        except SettingsError as error:
            return self._unknown(entry, str(error))
        isolate = await self._take()
        entry.stop = isolate.kill
        if entry.interrupted:
            isolate.kill()
        try:
            decision = await asyncio.wait_for(isolate.ask(order), entry.limit_s)
        except UnknownTask as error:
            decision = self._unknown(entry, str(not_found(entry.task, str(error))))
        except BaseException as error:
            self._all.discard(isolate)
            await isolate.reap()
            if isinstance(error, TimeoutError):
                raise time_limit(entry) from None
            raise
        self._idle.append(isolate)
        return decision

    async def close(self) -> None:
        """Kill them all, and wait for them."""
        every, self._all, self._idle = list(self._all), set(), []
        await asyncio.gather(*(isolate.reap() for isolate in every))
        ends, self._leash = self._leash or (), None
        for end in ends:
            os.close(end)

    async def _take(self) -> Isolate:
        while self._idle:
            isolate = self._idle.pop()
            if isolate.alive:
                return isolate
            self._all.discard(isolate)
            await isolate.reap()
        if self._leash is None:
            self._leash = os.pipe()
        isolate = await Isolate.start(self._leash[0])
        self._all.add(isolate)
        return isolate

    def _where(self, task: Any) -> Sought:
        where = self._sought.get(task.name)
        if where is None:
            where = self._sought[task.name] = sought(self._app, task, self._spec)
        return where

    def _order(self, entry: Entry) -> Order:
        return Order(
            task=self._where(entry.task),
            path=list(sys.path),
            queue=entry.lease.queue,
            worker=entry.lease.worker,
            result_max_bytes=self._app.settings.payload_max,
            job=entry.job,
        )

    def _unknown(self, entry: Entry, problem: str) -> Decision:
        """It was found at the start, or came from another queue: what is unknown here another may know."""
        job = entry.job
        events.emit(
            "task_unknown",
            level=logging.WARNING,
            queue=entry.lease.queue,
            job=job.id,
            task=job.task,
            because=problem,
        )
        return unknown_task(
            job,
            now_ms=job.since_ms + entry.wait_ms,  # when it was claimed
            patience_ms=int(self._app.settings.unknown_task_for * 1_000),
            problem=problem,
        )
