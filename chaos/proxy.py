"""A road between a process and the server, and what may happen on it: losses, holes, delays.

It runs in a thread of the harness. A reply that is lost was sent by a server that did what it was asked.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from chaos.processes import import_path
from homing.command import load

BUFFER = 1 << 16
#: What becomes of a reply that is lost.
WAYS = ("closed", "swallowed", "truncated", "reset")
#: An ended connection sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)


def _named() -> dict[str, str]:
    """sha of a script -> name of its transition."""
    names = ("enqueue", "claim", "settle", "tick", "held", "reclaim", "register")
    return {
        sha: name
        for engine in ("lists", "streams")
        for name in names
        for script in (load(f"homing.engines.{engine}", name),)
        for sha in (script.sha, script.plain_sha)
    }


@cache
def named(path: tuple[str, ...]) -> dict[bytes, str]:
    """The same as who imports from these folders first sends them."""
    words = [sys.executable, "-m", "chaos.proxy"]
    root = Path(__file__).resolve().parent.parent
    told = subprocess.run(
        words, env=os.environ | import_path(path), cwd=root, capture_output=True, check=True
    )
    return {sha.encode(): name for sha, name in json.loads(told.stdout).items()}


@dataclass(slots=True)
class State:
    """How the road is now."""

    loss: float = 0.0  # share of replies that are lost
    ways: tuple[str, ...] = WAYS
    about: frozenset[str] = frozenset()  # only replies to these transitions; empty: to anything
    hole: str = ""  # up, down or both: nothing gets through, nobody is told
    delay_s: tuple[float, float] = (0.0, 0.0)  # of each piece, in each direction
    dribble: bool = False  # byte by byte


@dataclass(slots=True)
class Road:
    """A loopback port in front of a server's unix socket."""

    socket_path: Path
    seed: int
    path: tuple[str, ...] = ()  # where its travellers' scripts are from
    port: int = 0
    state: State = field(default_factory=State)
    #: What was done: lost replies by way.
    lost: Counter[str] = field(default_factory=Counter)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _names: dict[bytes, str] = field(default_factory=dict)
    _dice: random.Random = field(default_factory=random.Random)
    #: Held here: a loop knows its tasks only weakly, and one that waits for nobody's event is collected.
    _never: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> "Road":
        self._dice = random.Random(self.seed)
        self._names = named(self.path)
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(listener,), daemon=True)
        self._thread.start()
        return self

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join()

    def _run(self, listener: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._travel, sock=listener))
        self._loop.run_forever()
        server.close()
        while tasks := asyncio.all_tasks(self._loop):  # also of who connected at the last moment
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _travel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(str(self.socket_path))
        except OSError:
            writer.close()
            return
        about: set[str] = set()
        ways = [
            asyncio.create_task(self._requests(reader, far_writer, about)),
            asyncio.create_task(self._replies(far_reader, writer, about)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the road is closed: asyncio's own callback stumbles over a task that was cancelled
        finally:
            for task in ways:
                task.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for one in (writer, far_writer):
                with contextlib.suppress(Exception):
                    one.close()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, about: set[str]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(BUFFER):
                named = {name for sha, name in self._names.items() if sha in data}
                if named:
                    about.clear()
                    about |= named
                await self._forward(data, writer, "up")

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, about: set[str]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(BUFFER):
                state = self.state
                if (
                    state.loss
                    and (not state.about or state.about & about)
                    and self._dice.random() < state.loss
                ):
                    way = self._dice.choice(state.ways)
                    self.lost[way] += 1
                    if way == "swallowed":
                        continue
                    if way == "truncated":
                        writer.write(data[: len(data) // 2])
                        await writer.drain()
                    if way == "reset":
                        _reset(writer)
                    return
                await self._forward(data, writer, "down")

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter, way: str) -> None:
        state = self.state
        if state.hole in (way, "both"):
            # What went into a hole is gone for good, and so is what would come behind it.
            await self._never.wait()
        if state.delay_s[1]:
            await asyncio.sleep(self._dice.uniform(*state.delay_s))
        if state.dribble and len(data) < 2_000:
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                await writer.drain()
                await asyncio.sleep(0)
        else:
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    transport_socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


if __name__ == "__main__":
    print(json.dumps(_named()))
