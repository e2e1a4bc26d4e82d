"""docket: one process with many jobs at once."""

from datetime import timedelta
from typing import Any

from docket import Docket

from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import ASYNC, FAST, RESULTS, URL, fast_loop

fast_loop()
tasks = list(ASYNC.values())


class Producer(AsyncProducer):
    bulk = True

    async def open(self) -> None:
        kept = {"execution_ttl": timedelta(0)} if FAST and not RESULTS else {}
        self.docket = Docket(name="docket", url=URL, **kept)
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


if __name__ == "__main__":
    main(Producer())
