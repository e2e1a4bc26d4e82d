"""arq: one process with many jobs at once."""

from collections.abc import Callable
from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings

from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import ASYNC, CONCURRENCY, FAST, JOBS, RECOVERY, RESULTS, TUNED, URL, fast_loop

fast_loop()


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Handlers take the worker's context first."""

    async def call(context: dict[str, Any], n: int, padding: str) -> Any:
        return await function(n, padding)

    return call


class WorkerSettings:
    functions = tuple(func(called(function), name=name) for name, function in ASYNC.items())
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = CONCURRENCY or (JOBS if RECOVERY or FAST else 10)
    job_timeout = 60 if RECOVERY and TUNED else 300  # 300 is its default
    poll_delay = 0.01 if FAST else 0.5
    keep_result = 0 if FAST and not RESULTS else 3_600


class Producer(AsyncProducer):
    async def open(self) -> None:
        self.pool = await create_pool(WorkerSettings.redis_settings)

    async def close(self) -> None:
        await self.pool.aclose()

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await self.pool.enqueue_job(task, n, padding)

    async def result(self, handle: Any) -> Any:
        return await handle.result(timeout=60, poll_delay=0.01 if FAST else 0.5)


if __name__ == "__main__":
    main(Producer())
