"""mayu: its loop and its trips to the server are Rust; handlers run on asyncio or in threads."""

from typing import Any

from mayu import App

from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import ASYNC, PLAIN, RESULTS, URL

app = App(broker=URL, result_ttl=600 if RESULTS else None, default_queue="work")
tasks = {name: app.task(name=name)(function) for name, function in (ASYNC | PLAIN).items()}


class Producer(SyncProducer):
    def put(self, task: str, n: int, padding: str) -> Any:
        return tasks[task].send(n, padding)

    def result(self, handle: Any) -> Any:
        return handle.result(timeout=60)


if __name__ == "__main__":
    main(Producer())
