"""How many jobs run at once in one process, and which kinds of slots its queues need."""

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from homing.settings import Settings
from homing.worker.table import Kind


class Placed(Protocol):
    """Where a task's jobs wait and how they run."""

    @property
    def queue(self) -> str: ...

    @property
    def kind(self) -> Kind: ...


def slots(
    settings: Settings,
    *,
    concurrency: int | None = None,
    threads: int | None = None,
    isolates: int | None = None,
    solo: bool = False,
) -> dict[Kind, int]:
    """How many jobs of each kind run at once; slots are numbered in this order."""
    if solo:
        return {"async": 1, "thread": 1, "process": 1}
    return {
        "async": settings.concurrency if concurrency is None else concurrency,
        "thread": settings.threads if threads is None else threads,
        "process": (os.cpu_count() or 1) if isolates is None else isolates,
    }


def queues_of(tasks: Mapping[str, Placed]) -> list[str]:
    """The queues of these tasks: what a worker works on that is not told any.

    A queue that is declared and has no task is left to its consumers, whose messages a worker
    could only pass on and bury.
    """
    return list(dict.fromkeys(task.queue for task in tasks.values()))


def kinds(tasks: Mapping[str, Placed], queues: Sequence[str]) -> dict[str, set[Kind]]:
    """The kinds of slots each queue needs, as declared; all there are for a queue that no task names."""
    every: set[Kind] = {task.kind for task in tasks.values()} or {"async"}
    return {
        queue: {task.kind for task in tasks.values() if task.queue == queue} or set(every) for queue in queues
    }
