"""docket: one process with many jobs at once."""

import asyncio
import sys
from datetime import timedelta
from typing import Any

from docket import Docket, Worker

from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import ASYNC, CONCURRENCY, FAST, JOBS, RESULTS, URL, fast_loop

fast_loop()
tasks = list(ASYNC.values())
KEPT: dict[str, Any] = {"execution_ttl": timedelta(0)} if FAST and not RESULTS else {}


class Producer(AsyncProducer):
    bulk = True

    async def open(self) -> None:
        self.docket = Docket(name="docket", url=URL, **KEPT)
        await self.docket.__aenter__()
        for task in tasks:
            self.docket.register(task)

    async def close(self) -> None:
        await self.docket.__aexit__(None, None, None)

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await self.docket.add(ASYNC[task])(n, padding)

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        await self.docket.add_many([self.docket.call(ASYNC[task])(*job) for job in jobs])

    async def result(self, handle: Any) -> Any:
        return await handle.get_result(timeout=timedelta(seconds=60))


async def work() -> None:
    """The command takes whole seconds; its Worker takes less."""
    options = {"concurrency": CONCURRENCY or JOBS // 2, "minimum_check_interval": timedelta(milliseconds=5)}
    async with Docket(name="docket", url=URL, **KEPT) as docket:
        for task in tasks:
            docket.register(task)
        async with Worker(docket, **options) as worker:
            await worker.run_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        asyncio.run(work())
    else:
        main(Producer())
