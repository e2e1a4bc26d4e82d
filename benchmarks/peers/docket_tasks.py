"""docket: one process with 100 jobs at once."""

import asyncio

from docket import Docket

from benchmarks.peers.witness import JOBS, URL, work_async

tasks = [work_async]


async def enqueue() -> None:
    async with Docket(name="docket", url=URL) as docket:
        docket.register(work_async)
        for number in range(JOBS):
            await docket.add(work_async)(number)


if __name__ == "__main__":
    asyncio.run(enqueue())
