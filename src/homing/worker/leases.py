"""What a worker does with its leases beside claiming: ask about one in doubt, give one up."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from homing import events
from homing.aclient import AsyncClient
from homing.delivery.backoff import backoff_s, now_and_then
from homing.delivery.lease import Lease
from homing.delivery.settler import Run
from homing.errors import HomingError


class Keeper:
    """Asks the server about leases whose end has passed without a good tick: nothing of them starts before."""

    def __init__(self, run: Run, good: Callable[[], object]) -> None:
        self._run = run
        self._good = good
        self._asking: dict[str, asyncio.Task[Any]] = {}

    def doubt(self, leases: Iterable[Lease]) -> None:
        """Look at these, and ask where nobody knows."""
        for lease in list(leases):
            lease.look()
            if not lease.lost and not lease.good() and lease.worker not in self._asking:
                self._asking[lease.worker] = asyncio.get_running_loop().create_task(self._ask(lease))

    def close(self) -> None:
        for task in self._asking.values():
            task.cancel()

    async def _ask(self, lease: Lease) -> None:
        failures = 0
        try:
            while not lease.lost and not lease.good():
                try:
                    await lease.ask(self._run)
                except HomingError as error:
                    failures += 1
                    if now_and_then(failures):
                        events.emit("lease_in_doubt", level=logging.WARNING, queue=lease.queue, error=error)
                    await asyncio.sleep(backoff_s(failures))
        finally:
            self._asking.pop(lease.worker, None)
        self._good()


async def leave(lease: Lease, run: Run) -> None:
    """Give back all it holds, uncharged, and be no member any more; in an outage its lease lapses."""
    try:
        more = True
        while more:
            more = (await run(lease.engine.reclaim(lease.worker, reason="left"))).more
    except HomingError as error:
        events.emit("leave_failed", level=logging.WARNING, queue=lease.queue, error=error)


async def nothing_left(client: AsyncClient, leases: Sequence[Lease]) -> bool:
    """Whether no job waits, is scheduled or runs in any of their queues, here or elsewhere.

    What a paused queue keeps does not count: nobody may have it. False when nobody knows.
    """
    try:
        counts = await client.run_many([lease.engine.counts() for lease in leases])
    except HomingError as error:
        events.emit("counts_failed", level=logging.WARNING, error=error)
        return False
    return not any(
        isinstance(each, HomingError) or each.active or (not each.paused and (each.waiting or each.scheduled))
        for each in counts
    )
