"""rq: a pool of 100 workers, each of which forks a process per job."""

import sys
from typing import Any

from redis import Redis
from rq import Queue, Retry, Worker
from rq.worker_pool import WorkerPool

from benchmarks.peers.witness import JOBS, TUNED, URL, work

connection = Redis.from_url(URL)


class Watchful(Worker):  # type: ignore[misc]
    """The worker with each interval that its documentation offers set low; the pool's command takes none."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        low = {"maintenance_interval": 1, "job_monitoring_interval": 5, "worker_ttl": 20}
        super().__init__(*arguments, **(options | low))


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        kind = Watchful if TUNED else Worker
        WorkerPool(["work"], connection=connection, num_workers=JOBS, worker_class=kind).start()
    else:
        queue = Queue("work", connection=connection)
        for number in range(JOBS):
            queue.enqueue(work, number, job_timeout=600, retry=Retry(max=3) if TUNED else None)
