"""The job a handler runs for: `homing.current_job()`, inside the handler and whatever it calls."""

import json
from contextvars import ContextVar
from typing import Any, Protocol

from homing.errors import JobError
from homing.job import Claimed


class Tenure:
    """One registration of a worker on one queue, as its jobs see it: theirs until it is lost."""

    __slots__ = ("lost", "queue", "worker")

    def __init__(self, queue: str, worker: str) -> None:
        self.queue = queue
        self.worker = worker
        #: The lease was reclaimed: these jobs run elsewhere, and what is said about them is refused.
        self.lost = False


class CurrentJob:
    """What a handler may know about its own run."""

    __slots__ = ("_claimed", "_tenure")

    def __init__(self, tenure: Tenure, claimed: Claimed) -> None:
        self._tenure = tenure
        self._claimed = claimed

    @property
    def id(self) -> str:
        return self._claimed.id

    @property
    def task(self) -> str:
        return self._claimed.task

    @property
    def token(self) -> int:
        """Grows with every delivery of the job: pass it to storage that refuses an older one."""
        return self._claimed.token

    @property
    def attempt(self) -> int:
        """Which run this is, from 1; a run that was handed back uncharged is not counted."""
        return self._claimed.attempt + 1

    @property
    def queue(self) -> str:
        return self._tenure.queue

    @property
    def worker(self) -> str:
        return self._tenure.worker

    @property
    def lost(self) -> bool:
        """The lease was lost: the job runs again elsewhere, and this run's outcome is thrown away."""
        return self._tenure.lost

    @property
    def meta(self) -> dict[str, Any]:
        """What was stored beside the payload; empty when nothing was."""
        meta = self._claimed.meta
        found = json.loads(meta) if meta else {}
        return found if isinstance(found, dict) else {}

    def __repr__(self) -> str:
        return f"<CurrentJob {self.queue}/{self.id} attempt {self.attempt}>"


class Delivery(Protocol):
    """A job in a worker's hands, and under which registration."""

    @property
    def lease(self) -> Tenure: ...

    @property
    def job(self) -> Claimed: ...


#: Set around every handler. Few ask what it is: who does pays for the answer.
CURRENT: ContextVar[Delivery] = ContextVar("homing_current_job")


def current_job() -> CurrentJob:
    """The job that runs here. Raises JobError outside a handler."""
    try:
        delivery = CURRENT.get()
    except LookupError:
        raise JobError("current_job() is known only inside a handler that a worker runs") from None
    return CurrentJob(delivery.lease, delivery.job)
