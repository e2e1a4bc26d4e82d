"""A proxy before a server that loses replies: the server has done what was asked, and nobody hears of it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CHUNK_BYTES = 1 << 16


class Lossy:
    """Forwards bytes; a `share` of the replies is lost, with their connection."""

    def __init__(self, upstream: str, seed: int) -> None:
        self._upstream = upstream
        self._dice = random.Random(seed)
        self.share = 0.0
        self.lost = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            writer.close()
            return
        there = asyncio.create_task(self._forward(reader, to_server))
        back = asyncio.create_task(self._back(from_server, writer))
        with contextlib.suppress(asyncio.CancelledError):  # the test is over
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        for one in (there, back):
            one.cancel()
        for end in (writer, to_server):
            end.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            if self._dice.random() < self.share:
                self.lost += 1
                return
            writer.write(chunk)


@asynccontextmanager
async def lossy(upstream: str, folder: Path, seed: int) -> AsyncIterator[tuple[Lossy, str]]:
    """The proxy and its URL."""
    proxy = Lossy(upstream, seed)
    path = folder / "lossy.sock"
    server = await asyncio.start_unix_server(proxy.serve, path)
    yield proxy, f"unix://{path}"
    server.close()
