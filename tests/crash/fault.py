"""One failure at one round trip: the transport of both clients, wrapped."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from homing.aclient import AsyncClient
from homing.client import Client
from homing.faults import Broken

#: What can happen to a round trip: no connection; reset before the server read it; executed, and the
#: reply lost; executed, and reset in the middle of the replies.
MODES = ("unsent", "unread", "unheard", "cut")


class Died(BaseException):
    """The program was killed here: nothing that it does from now on reaches the server."""


@dataclass
class Fault:
    """At round trip `at` (from 1), `mode` happens; with `dies` the program goes with it."""

    mode: str = ""
    at: int = 0
    dies: bool = False
    trips: int = 0
    met: bool = False
    dead: bool = False
    armed: bool = False

    def before(self) -> None:
        """A round trip begins."""
        self.trips += 1
        if self.dead:
            raise Died
        if self.trips == self.at and self.mode in {"unsent", "unread"}:
            self._happen(sent=self.mode == "unread", replies=[])

    def after(self, replies: Sequence[Any]) -> None:
        """Its replies are here."""
        if self.trips == self.at and self.mode == "unheard":
            self._happen(sent=True, replies=[])
        if self.trips == self.at and self.mode == "cut" and len(replies) > 1:
            self._happen(sent=True, replies=replies[:-1])

    def _happen(self, *, sent: bool, replies: Sequence[Any]) -> None:
        self.met = True
        if self.dies:
            self.dead = True
            raise Died
        raise Broken("the connection was closed", sent=sent, replies=list(replies))


@contextmanager
def breakable(fault: Fault) -> Iterator[None]:
    """While the block lasts, round trips of the calling thread may fail. Threads that keep leases go on."""
    thread = threading.get_ident()
    whole, awhole = Client._exchange, AsyncClient._exchange

    def ours() -> bool:
        return fault.armed and threading.get_ident() == thread

    def exchange(self: Client, *step: Any) -> list[Any]:
        if not ours():
            return whole(self, *step)
        fault.before()
        replies = whole(self, *step)
        fault.after(replies)
        return replies

    async def aexchange(self: AsyncClient, step: Any, *heard: Any) -> list[Any]:
        if not ours():
            return await awhole(self, step, *heard)
        fault.before()
        replies = await awhole(self, step)  # before `after` nobody may hear of them
        fault.after(replies)
        return replies

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "_exchange", exchange)
        patch.setattr(AsyncClient, "_exchange", aexchange)
        yield
