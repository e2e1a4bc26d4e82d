"""What may be chosen for one job, checked once."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from homing import ids, limits, retries
from homing.errors import SettingsError
from homing.job import NewJob
from homing.keys import check_id, check_queue
from homing.meta import Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from homing.retries import Policy

    #: What `retry=` takes: a policy, a number of extra runs, their delays in seconds, or a function of
    #: the exception and the attempt that gives the next delay, or None to give up.
    Retrying: TypeAlias = (
        Policy | int | Sequence[float | timedelta] | Callable[[Any, int], float | timedelta | None] | None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one job is enqueued."""

    queue: str
    priority: int = 0
    delay_ms: int = 0
    at: datetime | None = None
    id: str | None = None
    meta: bytes = b""
    #: None: what the queue or the app has.
    durability: limits.Durability | None = None

    @classmethod
    def of(
        cls,
        *,
        queue: str,
        priority: int,
        delay: "float | timedelta | None",
        at: datetime | None,
        id: str | None,
        timeout: "float | timedelta | None" = None,
        retry: "Retrying" = None,
        durability: limits.Durability | None = None,
    ) -> "Options":
        """Options as a user gives them; the error names the one that breaks its rule."""
        if delay is not None and at is not None:
            raise SettingsError("delay and at both say when: give one of them")
        if at is not None:
            limits.delay_until(at, _now_ms())
        return cls(
            queue=check_queue(queue),
            priority=limits.priority(priority),
            delay_ms=0 if delay is None else round(limits.seconds(delay, "delay") * 1000),
            at=at,
            id=None if id is None else check_id(id),
            meta=_meta(timeout, retry),
            durability=None if durability is None else limits.durability(durability),
        )

    def new_job(self, task: str, payload: bytes, reply: str = "") -> NewJob:
        delay_ms = self.delay_ms if self.at is None else limits.delay_until(self.at, _now_ms())
        return NewJob(
            id=ids.new_id() if self.id is None else self.id,
            task=task,
            payload=payload,
            meta=self.meta,
            priority=self.priority,
            delay_ms=delay_ms,
            own_id=self.id is not None,
            reply=reply,
        )


def _meta(timeout: "float | timedelta | None", retry: "Retrying") -> bytes:
    """What one job has of its own, empty when nothing."""
    return Meta(
        timeout_s=None if timeout is None else limits.seconds(timeout, "timeout", positive=True),
        retry=None if retry is None else retries.dump(retries.as_policy(retry)),
    ).write()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
