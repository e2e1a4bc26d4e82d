"""tarsk: a supervisor with children of 100 slots; results only where somebody waits for them."""

from typing import Any

from tarsk import App

from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import ASYNC, PLAIN, RECOVERY, RESULTS, TUNED, URL

app = App(broker=URL)
options: dict[str, Any] = {"timeout": 60, "retries": 3} if RECOVERY and TUNED else {}
if RESULTS:
    options["result_ttl"] = 600
tasks = {name: app.task(name=name, **options)(function) for name, function in (ASYNC | PLAIN).items()}


class Producer(SyncProducer):
    def put(self, task: str, n: int, padding: str) -> Any:
        return tasks[task].send(n, padding)

    def result(self, handle: Any) -> Any:
        return app.result(handle).get(timeout=60, poll=0.005 if TUNED else 0.05)


if __name__ == "__main__":
    main(Producer())
