"""Rare errors in all that clients send, at a share of their flights, for tests only.

`installed(faults)` wraps the generator through which the flights of both clients go, and those that go straight. None
of these errors may be seen by who uses the library: NOSCRIPT, LOADING, TRYAGAIN and READONLY in place of a
flight that is not sent, a connection that is reset before it is, and the loss of replies where the flight
may be sent again.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from homing.aclient import AsyncClient
from homing.calls import Call
from homing.client import Client
from homing.command import Command, Script
from homing.errors import HomingError
from homing.faults import Broken, Refusal
from homing.flight import Flight
from homing.routes import Exchange, Flow
from homing.target import Address

REFUSALS = {
    "NOSCRIPT": "NOSCRIPT No matching script.",
    "LOADING": "LOADING the dataset is being loaded",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "READONLY": "READONLY You can't write against a read only replica.",
}
#: What these hit has not run: its second try is the first that does.
UNRUN = (*REFUSALS, "reset")
KINDS = (*UNRUN, "lost")
#: Of these the answer to a copy says only what the copy did itself.
SAY_WHAT_THEY_DID = frozenset({"purge", "repair", "replay"})


def _answers_as_before(command: Command[Any]) -> bool:
    """Whether it may be sent again, and nobody sees from its answer that it was."""
    if command.name == "settle":
        return command.resend and command.args[3] != 0  # numbered: the copy says so
    return command.resend and command.name not in SAY_WHAT_THEY_DID


class Faults:
    """The dice, and how often each of these kinds came up."""

    def __init__(self, share: float, seed: str, kinds: Sequence[str] = KINDS) -> None:
        self.share = share
        self.kinds = kinds
        self.count: Counter[str] = Counter()
        self._dice = random.Random(seed)

    def seed(self, seed: str) -> None:
        self._dice = random.Random(seed)

    def pick(self, group: list[Call]) -> str:
        """What happens to this flight: nothing, mostly."""
        if self._dice.random() >= self.share:
            return ""
        kind = self._dice.choice(self.kinds)
        if kind == "NOSCRIPT" and not all(isinstance(call.command.call, Script) for call in group):
            return ""
        if kind == "lost" and not all(_answers_as_before(call.command) for call in group):
            return ""
        self.count[kind] += 1
        return kind


def faulty(whole: Callable[..., Flow[None]], faults: Faults) -> Callable[..., Flow[None]]:
    """`Flight._send`, with faults."""

    def send(self: Flight, address: Address, group: list[Call], by: float) -> Flow[None]:
        flow = whole(self, address, group, by)
        kind = faults.pick(group)
        if not kind:
            yield from flow
            return
        step: Any = next(flow)
        try:
            if kind in REFUSALS:
                step = flow.send([Refusal(REFUSALS[kind])] * step.replies)
            elif kind == "reset":
                step = flow.throw(Broken("the connection was reset", sent=False))
            else:
                lost: Exception = Broken("the reply was lost")
                try:
                    yield step
                except (Broken, HomingError) as error:
                    lost = error  # no reply came that could be lost
                step = flow.throw(lost)
            while True:  # what it wants done about that
                step = flow.send((yield step))
        except StopIteration:
            return

    return send


class Doomed(Exchange, frozen=True):
    """What goes straight into a fault."""

    kind: str = ""

    def before(self) -> list[Any] | None:
        """What comes in place of its replies, None when it is to be sent."""
        if self.kind == "reset":
            raise Broken("the connection was reset", sent=False)
        return [Refusal(REFUSALS[self.kind])] if self.kind in REFUSALS else None


def straight(whole: Callable[..., Exchange | None], faults: Faults) -> Callable[..., Exchange | None]:
    """`Flight.straight`, of which some are doomed."""

    def aim(self: Flight, command: Command[Any], now: float, deadline_s: float) -> Exchange | None:
        step = whole(self, command, now, deadline_s)
        kind = faults.pick([Call(command)]) if step is not None else ""
        return Doomed(step.address, step.packed, step.replies, step.by, kind) if step and kind else step

    return aim


@contextmanager
def installed(faults: Faults) -> Iterator[None]:
    """While the block lasts all clients of this process meet faults."""
    exchange, aexchange = Client._exchange, AsyncClient._exchange

    def meet(self: Client, step: Exchange) -> list[Any]:
        if not isinstance(step, Doomed):
            return exchange(self, step)
        if (instead := step.before()) is not None:
            return instead
        exchange(self, step)
        raise Broken("the reply was lost")

    async def ameet(self: AsyncClient, step: Exchange, *heard: Any) -> list[Any]:
        if not isinstance(step, Doomed):
            return await aexchange(self, step, *heard)
        if (instead := step.before()) is not None:
            return instead
        await aexchange(self, step)
        raise Broken("the reply was lost")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flight, "_send", faulty(Flight._send, faults))
        patch.setattr(Flight, "straight", straight(Flight.straight, faults))
        patch.setattr(Client, "_exchange", meet)
        patch.setattr(AsyncClient, "_exchange", ameet)
        yield
