"""The time limit of one run."""

import asyncio
from collections.abc import Callable

from homing.errors import TimeLimitExceeded
from homing.worker.table import Entry

#: A handler that swallowed its cancellation is cancelled again this often, then given up as stuck.
STUBBORN_S, STUBBORN_TIMES = 1.0, 5


def time_limit(entry: Entry, cause: BaseException | None = None) -> TimeLimitExceeded:
    error = TimeLimitExceeded(f"{entry.job.task or 'the message'} ran longer than its {entry.limit_s:g} s")
    error.__cause__ = cause
    return error


class Alarm:
    """The time limit of one run: cancels it, again when that was swallowed, and calls it stuck at last."""

    __slots__ = ("_cancel", "_entry", "_loop", "_rings", "_stuck", "_timer")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        entry: Entry,
        after_s: float,
        cancel: Callable[[], object] | None,
        stuck: Callable[[Entry], None],
    ) -> None:
        self._loop = loop
        self._entry = entry
        self._cancel = cancel
        self._stuck = stuck
        self._rings = 0
        self._timer = loop.call_later(max(0.0, after_s), self._ring)

    def cancel(self) -> None:
        self._timer.cancel()

    def cancel_with(self, cancel: Callable[[], object]) -> None:
        """From now on it can be cancelled."""
        self._cancel = cancel
        if self._entry.overdue:
            cancel()

    def _ring(self) -> None:
        self._entry.overdue = True
        self._rings += 1
        if self._cancel is None or self._rings > STUBBORN_TIMES:
            self._stuck(self._entry)
            return
        self._cancel()
        self._timer = self._loop.call_later(STUBBORN_S, self._ring)
