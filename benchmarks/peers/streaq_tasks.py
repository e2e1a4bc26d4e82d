"""streaq: one process with 100 jobs at once."""

import asyncio
from typing import Any

from streaq import Worker

from benchmarks.peers.witness import JOBS, TUNED, URL, work_async

options: dict[str, Any] = {"idle_timeout": 10} if TUNED else {}
worker = Worker(redis_url=URL, concurrency=JOBS, **options)
sleep = worker.task(name="sleep")(work_async)


async def enqueue() -> None:
    async with worker:
        for number in range(JOBS):
            await sleep.enqueue(number)


if __name__ == "__main__":
    asyncio.run(enqueue())
