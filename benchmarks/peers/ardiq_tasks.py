"""ardiq: its loop and its trips to the server are Rust; the handlers run on asyncio."""

import os
from typing import Any

from ardiq import Ardiq

from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import (
    ASYNC,
    CONCURRENCY,
    FAST,
    JOBS,
    PLAIN,
    RECOVERY,
    RESULTS,
    TUNED,
    URL,
    fast_loop,
)

fast_loop()
core: dict[str, Any] = {}
if CONCURRENCY or RECOVERY or FAST:
    core["concurrency"] = CONCURRENCY or JOBS
if RECOVERY and TUNED:
    core["idle_timeout_ms"] = 10_000
elif FAST:
    core |= {"prefetch": 1_000} | ({} if RESULTS else {"result_ttl_ms": 0})
app = Ardiq(redis_url=URL, queue_name="work", **core)
tasks = {name: app.task(name=name, executor="thread")(function) for name, function in (ASYNC | PLAIN).items()}


class Producer(AsyncProducer):
    bulk = True

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await tasks[task].enqueue(n, padding)

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        await app.enqueue_many([tasks[task].prepare(n, padding) for n, padding in jobs])

    async def result(self, handle: Any) -> Any:
        return (await handle.result(timeout=60)).value


if __name__ == "__main__":
    main(Producer())
    os._exit(0)  # its runtime's threads now and then crash a Python that ends by itself, when all is done
