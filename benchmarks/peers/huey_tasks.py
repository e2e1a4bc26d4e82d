"""huey: one process with threads."""

from typing import Any

from huey import RedisHuey

from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import FAST, RECOVERY, RESULTS, SYNC, TUNED, URL

# Each thread holds a connection, and a pool gives out a hundred.
url = f"{URL}?max_connections=2000" if FAST else URL
huey = RedisHuey("work", url=url, results=RESULTS or not FAST)
tasks = {
    name: huey.task(retries=3 if RECOVERY and TUNED else 0, name=name)(function)
    for name, function in SYNC.items()
}


class Producer(SyncProducer):
    def put(self, task: str, n: int, padding: str) -> Any:
        return tasks[task](n, padding)

    def result(self, handle: Any) -> Any:
        quickly = {"max_delay": 0.005} if FAST else {}  # how long it sleeps between two looks
        return handle.get(blocking=True, timeout=60, **quickly)


if __name__ == "__main__":
    main(Producer())
