"""arq: one process with 100 jobs at once."""

import asyncio
from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings

from benchmarks.peers.witness import JOBS, TUNED, URL, work_async


async def sleep(context: dict[str, Any], n: int) -> None:
    await work_async(n)


class WorkerSettings:
    functions = (func(sleep, name="sleep"),)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = JOBS
    job_timeout = 60 if TUNED else 300  # 300 is its default


async def enqueue() -> None:
    pool = await create_pool(WorkerSettings.redis_settings)
    for number in range(JOBS):
        await pool.enqueue_job("sleep", number)
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(enqueue())
