"""The supervisor's thread that keeps its children's leases: one tick a second per queue for all of them.

Between two ticks it looks through the queues for damage, a page at a time.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from homing import events
from homing.client import Client
from homing.delivery.heart import boot_s
from homing.delivery.ticker import PERIOD_S, Members, TickRound, period_s
from homing.job import Ticked
from homing.worker.page import Joined, PageView
from homing.worker.patrol import Patrol

#: A tick on its way is awaited this long at the end.
CLOSE_S = 1.0


class Kept(Protocol):
    """A child, as far as its leases go."""

    @property
    def members(self) -> dict[int, Joined]: ...

    @property
    def view(self) -> PageView: ...


class Keeping:
    """Ticks while it is not closed. `suspects(queue)` is called from its thread when some wait."""

    def __init__(
        self,
        client: Client,
        prefix: str,
        children: Callable[[], Sequence[Kept]],
        suspects: Callable[[str], object],
        patrol: Patrol,
    ) -> None:
        self._client = client
        self._round = TickRound(client, prefix=prefix)
        self._children = children
        self._suspects = suspects
        self._patrol = patrol
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="homing-keeping", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; one that waits for a server in an outage is left to the end of the process."""
        self._closed.set()
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self._client.close()

    def _run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            started_s = boot_s()
            held = [(child, one) for child in self._children() for one in child.members.values()]
            held = [(child, one) for child, one in held if one.lease_ms]
            try:
                failed = self._beat(held)
                if not failed:
                    by_name = {one.queue: one.engine for _, one in held}
                    self._patrol.look(
                        (queue, self._round.engine(queue, name)) for queue, name in by_name.items()
                    )
            except Exception as error:  # a mistake of ours must not cost every child its leases
                events.emit("tick_failed", level=logging.ERROR, error=error)
                failed = True
            failures = failures + 1 if failed else 0
            rest_s = period_s(min((one.lease_ms for _, one in held), default=10_000)) - (boot_s() - started_s)
            if failures:
                rest_s = min(PERIOD_S, 0.05 * 2 ** min(failures, 6)) * random.uniform(0.5, 1.0)
            self._closed.wait(max(rest_s, 0.001))

    def _beat(self, held: Sequence[tuple[Kept, Joined]]) -> bool:
        """Tick all of them; returns whether a queue could not be."""
        by_queue: dict[str, list[tuple[Kept, Joined]]] = {}
        for child, one in held:
            by_queue.setdefault(one.queue, []).append((child, one))
        if not by_queue:
            return False
        sent_s = boot_s()
        answers = self._round.beat(
            [
                Members(queue, kept[0][1].engine, [one.worker for _, one in kept])
                for queue, kept in by_queue.items()
            ]
        )
        failed = False
        for queue, answer in answers.items():
            if isinstance(answer, Ticked):
                self._note(by_queue[queue], answer, sent_s)
                if answer.alone:
                    self._suspects(queue)
            else:
                failed = True
                events.emit("tick_failed", level=logging.WARNING, queue=queue, error=answer)
        return failed

    def _note(self, kept: Sequence[tuple[Kept, Joined]], ticked: Ticked, sent_s: float) -> None:
        for child, one in kept:
            try:
                if one.worker in ticked.lost:
                    child.view.lost(one.index)
                else:
                    child.view.kept(one.index, sent_s + one.lease_ms / 1_000, ticked.waiting, ticked.alone)
            except ValueError:
                continue  # the child ended meanwhile, and its page with it
