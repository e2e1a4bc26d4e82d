"""taskiq: one worker process with 100 async tasks at once, on a list or on a stream."""

import asyncio

from taskiq_redis import ListQueueBroker, RedisStreamBroker

from benchmarks.peers.witness import JOBS, SETUP, URL, work_async

if SETUP == "list":
    broker = ListQueueBroker(URL)
elif SETUP == "stream":
    broker = RedisStreamBroker(URL)
else:
    broker = RedisStreamBroker(URL, idle_timeout=10_000, unacknowledged_lock_timeout=5, xread_block=1_000)
sleep = broker.task(task_name="sleep")(work_async)


async def enqueue() -> None:
    await broker.startup()
    for number in range(JOBS):
        await sleep.kiq(number)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(enqueue())
