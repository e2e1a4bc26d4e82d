"""taskiq: async tasks in a worker process, on a list or on a stream; results only where somebody waits for them."""

from typing import Any

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import ASYNC, FAST, PLAIN, RECOVERY, RESULTS, SETUP, TUNED, URL

broker: Any
if SETUP.startswith("list"):
    broker = ListQueueBroker(URL)
elif RECOVERY and TUNED:
    broker = RedisStreamBroker(URL, idle_timeout=10_000, unacknowledged_lock_timeout=5, xread_block=1_000)
else:
    broker = RedisStreamBroker(URL, **({"xread_count": 1_000} if FAST else {}))
if RESULTS:
    broker = broker.with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=600))
tasks = {name: broker.task(task_name=name)(function) for name, function in (ASYNC | PLAIN).items()}


class Producer(AsyncProducer):
    async def open(self) -> None:
        await broker.startup()

    async def close(self) -> None:
        await broker.shutdown()

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await tasks[task].kiq(n, padding)

    async def result(self, handle: Any) -> Any:
        waited = {"check_interval": 0.005} if TUNED else {}
        return (await handle.wait_result(timeout=60, **waited)).return_value


if __name__ == "__main__":
    main(Producer())
