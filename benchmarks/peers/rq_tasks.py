"""rq: a pool of workers, each of which forks a process per job; tuned, it runs them in itself (SimpleWorker)."""

import sys
from typing import Any

from redis import Redis
from rq import Queue, Retry, Worker
from rq.worker_pool import WorkerPool

from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import FAST, JOBS, RECOVERY, RESULTS, SYNC, TUNED, URL

OPTIONS: dict[str, Any] = {}
if RECOVERY:
    OPTIONS = {"job_timeout": 600, "retry": Retry(max=3) if TUNED else None}
elif FAST and not RESULTS:
    OPTIONS = {"result_ttl": 0}


class Watchful(Worker):  # type: ignore[misc]
    """The worker with each interval that its documentation offers set low; the pool's command takes none."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        low = {"maintenance_interval": 1, "job_monitoring_interval": 5, "worker_ttl": 20}
        super().__init__(*arguments, **(options | low))


class Producer(SyncProducer):
    bulk = True

    def open(self) -> None:
        self.queue = Queue("work", connection=Redis.from_url(URL))

    def put(self, task: str, n: int, padding: str) -> Any:
        return self.queue.enqueue(SYNC[task], n, padding, **OPTIONS)

    def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        self.queue.enqueue_many([Queue.prepare_data(SYNC[task], args=job, **OPTIONS) for job in jobs])

    def result(self, handle: Any) -> Any:
        return handle.latest_result(timeout=60)


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        kind = Watchful if TUNED else Worker
        WorkerPool(["work"], connection=Redis.from_url(URL), num_workers=JOBS, worker_class=kind).start()
    else:
        main(Producer())
