"""Lanes: what makes an enqueue that is sent twice store its jobs once."""

import os
import secrets
from dataclasses import dataclass, field

#: Bytes of randomness in a lane's name: no two lanes ever meet.
NAME_BYTES = 12


@dataclass(slots=True, eq=False)
class Lane:
    """A lane of one call in flight, and the number of that call. Send both with it, however often.

    After a definite answer, also a refusal, release it. When the end of the call is unknown,
    drop it: the server would take a new call for the lost one.
    """

    name: str
    number: int
    _home: "list[Lane]" = field(repr=False)

    def release(self) -> None:
        """Give the lane back for the next call, which counts one up."""
        home, self._home = self._home, []  # a second release must not give the lane to two calls
        home.append(Lane(self.name, self.number + 1, home))


class Lanes:
    """The lanes of one process, as many as it has calls in flight. Safe in threads and after a fork."""

    def __init__(self) -> None:
        self._free: list[Lane] = []
        self._pid = os.getpid()

    def take(self) -> Lane:
        """A lane that no other call uses; the most recently used one, so that there are few."""
        if self._pid != os.getpid():
            # The parent goes on with these lanes: what we sent on one would pass for its call.
            self._free, self._pid = [], os.getpid()
        try:
            return self._free.pop()
        except IndexError:
            return Lane(secrets.token_urlsafe(NAME_BYTES), 1, self._free)
