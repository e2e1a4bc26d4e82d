"""The worker's side of isolated tasks: processes of concurrency 1, made when needed, killed with their group."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from typing import Any

from homing import events
from homing.errors import WorkerCrashed
from homing.job import Decision
from homing.worker.alarm import time_limit
from homing.worker.frames import HEAD, Order, frame, read_answer
from homing.worker.isolated import MAIN
from homing.worker.table import Entry

#: A process is awaited this long after its kill before it is left to the system.
REAP_S = 5.0
#: An answer that was sent right before the end is waited for this long.
LAST_WORDS_S = 0.2


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
        """Run one job there. Raises WorkerCrashed with how the process ended when it does instead."""
        self._writer.write(frame(order))
        reading = asyncio.ensure_future(self._read())
        ending = asyncio.ensure_future(self._process.wait())
        try:
            # What a dead process started may hold its socket open: its end counts, too.
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((reading,), timeout=LAST_WORDS_S)
            if reading.done() and reading.exception() is None:
                return read_answer(reading.result()).decision
        finally:
            reading.cancel()
            ending.cancel()
        raise WorkerCrashed(f"the process of {order.job.task or 'the message'} {await self._how_it_ended()}")

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
    """As many processes as jobs run in them at once; an idle one takes the next job."""

    def __init__(self, result_max_bytes: int) -> None:
        self._result_max_bytes = result_max_bytes
        self._idle: list[Isolate] = []
        self._all: set[Isolate] = set()
        self._leash: tuple[int, int] | None = None  # both ends of a pipe that ends with this process

    async def run(self, entry: Entry) -> Decision:
        """Run one job to its decision; its time limit kills the process."""
        isolate = await self._take()
        entry.stop = isolate.kill
        if entry.interrupted:
            isolate.kill()
        try:
            decision = await asyncio.wait_for(isolate.ask(self._order(entry)), entry.limit_s)
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

    def _order(self, entry: Entry) -> Order:
        function = entry.task.function
        module, main = _home(function)
        return Order(
            module=module,
            qualname=function.__qualname__,
            main=main,
            path=list(sys.path),
            queue=entry.lease.queue,
            worker=entry.lease.worker,
            result_max_bytes=self._result_max_bytes,
            job=entry.job,
        )


def _home(function: Any) -> tuple[str, str]:
    """The module to import for a function, or the file when the program's own holds it."""
    module = str(function.__module__)
    if module not in ("__main__", MAIN):
        return module, ""
    spec = getattr(sys.modules[module], "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name), ""
    return module, str(getattr(sys.modules[module], "__file__", "") or "")
