"""Giving back what dead children held: at once, or after the outage that is in the way."""

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from homing import events
from homing.client import Client
from homing.delivery.heart import boot_s
from homing.engines import make
from homing.errors import HomingError, ServerError
from homing.keys import Keys
from homing.worker.page import Joined

#: One try may take this long: who stops or starts children must not wait for a server.
TRY_S = 1.0
#: In an outage the next try comes this much later.
REST_S = 1.0


@dataclass(frozen=True, slots=True)
class Owed:
    """What a dead member held. `died`: the jobs in `started` are charged a crash, with `error`."""

    member: Joined
    started: Sequence[str]
    error: bytes
    died: bool


class Reclaimer:
    """Owes jobs to their queues until the server took them back."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._owed: deque[Owed] = deque()
        self._next_s = 0.0

    @property
    def owes(self) -> bool:
        return bool(self._owed)

    def owe(self, owed: Iterable[Owed]) -> None:
        """Give these back now, unless an outage is known to be in the way."""
        self._owed.extend(owed)
        self.work()

    def work(self, *, now: bool = False) -> None:
        """Give back what is owed; a server that does not answer ends the try, and is left alone for a while."""
        while self._owed and (now or boot_s() >= self._next_s):
            one = self._owed[0]
            try:
                self._give_back(one)
            except ServerError as error:
                events.emit("reclaim_delayed", level=logging.WARNING, queue=one.member.queue, error=error)
                self._next_s = boot_s() + REST_S
                return
            except HomingError as error:  # the queue is damaged or another's: its lease lapses all the same
                events.emit("reclaim_failed", level=logging.ERROR, queue=one.member.queue, error=error)
            self._owed.popleft()

    def _give_back(self, one: Owed) -> None:
        member = one.member
        engine = make("lists" if member.engine == "lists" else "streams", Keys(member.queue, self._prefix))
        command = engine.reclaim(
            member.worker,
            reason="died" if one.died else "left",
            started=one.started if one.died else (),
            error=one.error,
        )
        moved = buried = 0
        more = True
        while more:
            done = self._client.run(command, deadline=TRY_S)
            moved, buried, more = moved + done.moved, buried + done.buried, done.more
        if moved or buried:
            events.emit("reclaimed", queue=member.queue, worker=member.worker, moved=moved, buried=buried)
