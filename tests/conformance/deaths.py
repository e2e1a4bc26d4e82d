"""Workers that die, and what the jobs in their hands bear of it."""

from tests.conformance.driver import Queue


def marks(queue: Queue, job_id: str) -> tuple[int, int]:
    job = queue.record(job_id)
    return job.crashes, job.suspicions


def crash(queue: Queue, *job_ids: str) -> str:
    """A worker dies with these jobs running; returns a new one."""
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", *job_ids)
    return queue.register()
