"""Looking through the queues for damage, always and slowly: a page of `verify` now and then."""

import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from homing import events
from homing.client import Client
from homing.delivery.heart import boot_s
from homing.engines.engine import Engine
from homing.errors import HomingError
from homing.job import Problem

#: Jobs of one page: well under a millisecond of the server.
PAGE = 100
#: A call that takes longer is given up: leases are kept by the same thread.
CALL_S = 1.0
#: What is found is looked at again this much later, before it is told.
AGAIN_S = 1.0
#: The same problem is told again after this time.
TELL_S = 3_600.0
#: At most so many problems are looked at again at once, and so many remembered as told.
AGAIN_MAX, TOLD_MAX = 20, 1_000


@dataclass(slots=True)
class _Round:
    """One queue, as this patrol sees it."""

    next_s: float
    found: list[Problem] = field(default_factory=list)  # seen once
    again_s: float = 0.0
    told: dict[str, float] = field(default_factory=dict)  # subject -> when


class Patrol:
    """Looks at a page of each queue about every `every_s` seconds, together with all other patrols.

    `look` takes a few milliseconds, and never raises a HomingError. A problem that is still there at a
    second look is told as the event `problem_found`.
    """

    def __init__(self, client: Client, every_s: float, *, clock: Callable[[], float] = boot_s) -> None:
        self._client = client
        self._every_s = every_s
        self._clock = clock
        self._rounds: dict[str, _Round] = {}

    def look(self, queues: Iterable[tuple[str, Engine]]) -> None:
        """Do what is due."""
        for queue, engine in queues if self._every_s else ():
            now_s = self._clock()
            # Supervisors that start together must not all ask together.
            one = self._rounds.setdefault(queue, _Round(now_s + self._every_s * random.random()))
            try:
                if one.found and now_s >= one.again_s:
                    self._look_again(queue, engine, one, now_s)
                elif not one.found and now_s >= one.next_s:
                    one.next_s = now_s + self._every_s * random.uniform(1.0, 1.25)
                    self._page(engine, one, now_s)
            except HomingError as error:
                one.next_s = now_s + self._every_s * 10
                events.emit("verify_failed", level=logging.WARNING, queue=queue, error=error)
                return  # what keeps one call from its answer keeps the next, too

    def _page(self, engine: Engine, one: _Round, now_s: float) -> None:
        cursor = self._client.run(engine.turn(every_ms=round(self._every_s * 1_000)), deadline=CALL_S)
        if cursor is None:
            return
        page = self._client.run(engine.verify(cursor=cursor, limit=PAGE), deadline=CALL_S)
        self._client.run(engine.turned(page.cursor), deadline=CALL_S)
        new = [
            problem for problem in page.problems if now_s - one.told.get(problem.subject, -TELL_S) >= TELL_S
        ]
        one.found, one.again_s = new[:AGAIN_MAX], now_s + AGAIN_S

    def _look_again(self, queue: str, engine: Engine, one: _Round, now_s: float) -> None:
        found, one.found = one.found, []
        for problem in found:
            if self._client.run(engine.repair(problem.subject, dry=True), deadline=CALL_S).outcome == "fine":
                continue
            if len(one.told) >= TOLD_MAX:
                one.told.clear()
            one.told[problem.subject] = now_s
            events.emit(
                "problem_found",
                level=logging.ERROR,
                queue=queue,
                problem=problem.says,
                remedy=f"homing repair {queue}",
            )
