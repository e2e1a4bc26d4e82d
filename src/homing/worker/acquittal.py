"""Clearing the names of jobs whose worker was taken for dead, and lives.

When a lease runs out nobody can tell a dead worker from one that is cut off or stands still, and all it
held become suspects. Who learns that its lease was lost knows better: what it had not started, and what
comes to its end here, did nothing to it.
"""

import asyncio
import logging
from collections.abc import Sequence

from homing import events
from homing.delivery.lease import Lease
from homing.delivery.settler import Run
from homing.engines.engine import BATCH_MAX
from homing.errors import HomingError


class Acquittal:
    """Tells the server, once for each job. What cannot be told stays a suspicion."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._waiting: dict[Lease, list[str]] = {}
        self._telling: asyncio.Task[None] | None = None

    def add(self, lease: Lease, ids: Sequence[str]) -> None:
        """These, held under a lost lease, came to no harm."""
        if not ids:
            return
        self._waiting.setdefault(lease, []).extend(ids)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def drained(self) -> None:
        """Wait until all is told, or was tried."""
        if self._telling is not None:
            await asyncio.shield(self._telling)

    def abandon(self) -> None:
        """The process ends."""
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self) -> None:
        try:
            while self._waiting:
                lease, ids = self._waiting.popitem()
                for start in range(0, len(ids), BATCH_MAX):
                    await self._tell_some(lease, ids[start : start + BATCH_MAX])
        finally:
            self._telling = None

    async def _tell_some(self, lease: Lease, ids: Sequence[str]) -> None:
        try:
            await self._run(lease.engine.acquit(ids))
        except HomingError as error:
            events.emit(
                "acquit_failed",
                level=logging.WARNING,
                queue=lease.queue,
                jobs=len(ids),
                error=error,
            )
