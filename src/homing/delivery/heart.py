"""What keeps a worker's leases while its jobs run, and what the worker tells it. No I/O here."""

import time
from typing import Protocol

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_s() -> float:
    """Seconds on the clock that leases are compared with: it goes on while the machine sleeps.

    CLOCK_BOOTTIME on Linux; elsewhere CLOCK_MONOTONIC, which on macOS stands still in sleep.
    """
    return time.clock_gettime(_CLOCK)


class Heart(Protocol):
    """Kept by a supervisor through a shared page (`worker.page`), or by a thread (`delivery.ticker`).

    A member is one registration: one worker id on one queue, never used twice.
    """

    def join(self, queue: str, engine: str, worker: str, lease_ms: int) -> None:
        """Say the id before it is registered, so that a death in between leaves nothing behind.

        Called twice: before the register with `lease_ms` 0 (known, but not ticked yet: a tick would
        find no member), and after it with the lease it gave. The lease then counts from the first call.
        """

    def leave(self, queue: str, worker: str) -> None:
        """Stop keeping this member's lease (it left, or it was lost)."""

    def lease_end_s(self, queue: str, worker: str) -> float:
        """`boot_s()` time at which the lease ends, counted from the sending of the last good tick;
        0.0 when the member is known to be lost.
        """

    def waiting(self, queue: str) -> int:
        """Jobs that may be claimed, as of the last tick (for the progress watchdog)."""

    def alone(self, queue: str) -> int:
        """Suspects that wait for a worker with nothing else, as of the last tick."""

    def started(self, slot: int, queue: str, worker: str, job_id: str) -> None:
        """Say that this job runs in this slot (0 <= slot < slots); read by who sees the process die."""

    def ended(self, slot: int) -> None:
        """The slot is free again."""

    def pulse(self, limit_s: float) -> None:
        """The loop is alive; `limit_s` is the longest time limit of what now runs (0: none)."""
