"""celery: the prefork pool, tuned the solo one; results only where somebody waits for them."""

from typing import Any

from celery import Celery

from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import FAST, RECOVERY, RESULTS, SYNC, TUNED, URL

app = Celery("bench", broker=URL, backend=URL if RESULTS else None)
app.conf.broker_connection_retry_on_startup = True
if RECOVERY and TUNED:
    app.conf.task_acks_late = True
    app.conf.task_reject_on_worker_lost = True
    app.conf.worker_prefetch_multiplier = 1
    app.conf.broker_transport_options = {"visibility_timeout": 30}  # with 10 all runs twice before the kill
elif FAST:
    # Here and not in the command, which names another pool where jobs wait: the first name there decides what is patched.
    app.conf.worker_pool = "solo"
    app.conf.worker_prefetch_multiplier = 128
    app.conf.task_ignore_result = not RESULTS
    app.conf.worker_disable_rate_limits = True
    app.conf.task_default_delivery_mode = 1
tasks = {name: app.task(function, name=name) for name, function in SYNC.items()}


class Producer(SyncProducer):
    def put(self, task: str, n: int, padding: str) -> Any:
        return tasks[task].delay(n, padding)

    def result(self, handle: Any) -> Any:
        return handle.get(timeout=60)


if __name__ == "__main__":
    main(Producer())
