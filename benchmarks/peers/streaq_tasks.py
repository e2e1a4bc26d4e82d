"""streaq: one process with many jobs at once."""

from typing import Any

from streaq import Worker

from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import ASYNC, CONCURRENCY, FAST, JOBS, PLAIN, RECOVERY, RESULTS, TUNED, URL

options: dict[str, Any] = {"idle_timeout": 10} if RECOVERY and TUNED else {}
if CONCURRENCY or RECOVERY or FAST:
    options["concurrency"] = CONCURRENCY or JOBS
if FAST:
    options |= {"prefetch": 1_000, "anyio_kwargs": {"use_uvloop": True}}
worker = Worker(redis_url=URL, **options)
kept = {"ttl": 0} if FAST and not RESULTS else {}
tasks = {name: worker.task(name=name, **kept)(function) for name, function in (ASYNC | PLAIN).items()}


class Producer(AsyncProducer):
    bulk = True

    async def open(self) -> None:
        await worker.__aenter__()

    async def close(self) -> None:
        await worker.__aexit__(None, None, None)

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await tasks[task].enqueue(n, padding)

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        await worker.enqueue_many([tasks[task].enqueue(n, padding) for n, padding in jobs])

    async def result(self, handle: Any) -> Any:
        return (await handle.result(60)).result


if __name__ == "__main__":
    main(Producer())
