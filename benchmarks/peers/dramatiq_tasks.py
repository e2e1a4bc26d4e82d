"""dramatiq: threads in processes; results only where somebody waits for them."""

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import RECOVERY, RESULTS, SYNC, TUNED, URL

options = {"heartbeat_timeout": 10_000, "maintenance_chance": 1_000_000} if RECOVERY and TUNED else {}
broker = RedisBroker(url=URL, **options)
if RESULTS:
    broker.add_middleware(Results(backend=RedisBackend(url=URL), store_results=True))
dramatiq.set_broker(broker)
tasks = {
    name: dramatiq.actor(function, actor_name=name, queue_name="work") for name, function in SYNC.items()
}


class Producer(SyncProducer):
    def put(self, task: str, n: int, padding: str) -> Any:
        return tasks[task].send(n, padding)

    def result(self, handle: Any) -> Any:
        return handle.get_result(block=True, timeout=60_000)


if __name__ == "__main__":
    main(Producer())
