"""Streams from asyncio, as fast as redis-py goes: what is called, parsed and awaited for each job is left out.

The reply of XREADGROUP stays as it came, a body is a tuple by msgspec, 500 jobs come in a read, the next read is in
flight while a batch runs, and the acks of a batch are in flight behind it.

    python -m benchmarks.loops.streams_async_tuned worker
"""

import asyncio
import os
import sys
from typing import Any

import redis.asyncio
import uvloop

from benchmarks.loops.jobs import BATCH, BLOCK_MS, GROUP, STREAM, body, entries, start
from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import CONCURRENCY, URL


def connected() -> Any:
    client: Any = redis.asyncio.Redis.from_url(URL)
    client.set_response_callback("XREADGROUP", lambda answer, **_: answer)  # no dictionary for each entry
    return client


async def made(client: Any) -> None:
    try:
        await client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


async def read(client: Any, consumer: str) -> Any:
    return await client.execute_command(
        "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", CONCURRENCY or BATCH, "BLOCK", BLOCK_MS, "STREAMS", STREAM, ">",
    )  # fmt: skip


async def acknowledge(client: Any, ids: list[bytes]) -> None:
    async with client.pipeline(transaction=False) as pipe:
        pipe.execute_command("XACK", STREAM, GROUP, *ids)
        pipe.execute_command("XDEL", STREAM, *ids)
        await pipe.execute()


async def work() -> None:
    """One connection reads, which blocks it, and another acknowledges."""
    client, consumer, loop = connected(), f"worker-{os.getpid()}", asyncio.get_running_loop()
    await made(client)
    reading = loop.create_task(read(client, consumer))
    acks: asyncio.Task[None] | None = None
    while True:
        batch = entries(await reading)
        reading = loop.create_task(read(client, consumer))
        running = [loop.create_task(start(fields[1])) for _, fields in batch]
        for task in running:
            await task
        if acks is not None:
            await acks
            acks = None
        if batch:
            acks = loop.create_task(acknowledge(client, [entry for entry, _ in batch]))


class Producer(AsyncProducer):
    bulk = True

    async def open(self) -> None:
        self.client = connected()
        await made(self.client)

    async def close(self) -> None:
        await self.client.aclose()

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await self.client.execute_command("XADD", STREAM, "*", "job", body(task, n, padding))

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        async with self.client.pipeline(transaction=False) as pipe:
            for n, padding in jobs:
                pipe.execute_command("XADD", STREAM, "*", "job", body(task, n, padding))
            await pipe.execute()


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        uvloop.run(work())
    else:
        main(Producer())
