"""Streams from asyncio as redis-py's documentation shows them: its own calls and parsing, JSON, a Task per job.

A batch is read, run and acknowledged before the next is read. What can be had by tuning stands in `streams_async_tuned`.

    python -m benchmarks.loops.streams_async_plain worker
"""

import asyncio
import json
import os
import sys
from typing import Any

import redis.asyncio
import uvloop

from benchmarks.loops.jobs import BLOCK_MS, GROUP, STREAM
from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import ASYNC, CONCURRENCY, URL

#: Jobs in one read: as many as homing runs at once by default.
COUNT = 100


async def opened() -> Any:
    client: Any = redis.asyncio.Redis.from_url(URL)
    try:
        await client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    return client


def body(task: str, n: int, padding: str) -> str:
    return json.dumps([task, n, padding])


async def handle(fields: dict[bytes, bytes]) -> None:
    task, n, padding = json.loads(fields[b"job"])
    await ASYNC[task](n, padding)


async def work() -> None:
    client, consumer = await opened(), f"worker-{os.getpid()}"
    while True:
        answer = await client.xreadgroup(
            GROUP, consumer, {STREAM: ">"}, count=CONCURRENCY or COUNT, block=BLOCK_MS
        )
        for _, entries in answer:
            await asyncio.gather(*[asyncio.create_task(handle(fields)) for _, fields in entries])
            ids = [entry for entry, _ in entries]
            async with client.pipeline(transaction=False) as pipe:
                pipe.xack(STREAM, GROUP, *ids)
                pipe.xdel(STREAM, *ids)
                await pipe.execute()


class Producer(AsyncProducer):
    bulk = True

    async def open(self) -> None:
        self.client = await opened()

    async def close(self) -> None:
        await self.client.aclose()

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await self.client.xadd(STREAM, {"job": body(task, n, padding)})

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        async with self.client.pipeline(transaction=False) as pipe:
            for n, padding in jobs:
                pipe.xadd(STREAM, {"job": body(task, n, padding)})
            await pipe.execute()


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        uvloop.run(work())
    else:
        main(Producer())
