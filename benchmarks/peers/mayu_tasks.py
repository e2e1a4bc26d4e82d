"""mayu: its loop and its trips to the server are Rust; handlers run on asyncio or in threads.

Tuned, and where 100 run at once, all are plain functions: its threads run those two to three times as fast as its event loop does, and nothing
but the number of threads bounds how many coroutines run at once.
"""

from typing import Any

from mayu import App

from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import ASYNC, FAST, PLAIN, RECOVERY, RESULTS, SYNC, URL

app = App(broker=URL, result_ttl=600 if RESULTS else None, default_queue="work")
functions = ASYNC | PLAIN | (SYNC if FAST or RECOVERY else {})
tasks = {name: app.task(name=name)(function) for name, function in functions.items()}


class Producer(SyncProducer):
    def put(self, task: str, n: int, padding: str) -> Any:
        return tasks[task].send(n, padding)

    def result(self, handle: Any) -> Any:
        return handle.result(timeout=60)


if __name__ == "__main__":
    main(Producer())
