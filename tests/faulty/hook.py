"""Rare errors in all that clients send, at a share of their flights, for tests only.

`install(share, seed)` wraps the one generator through which every flight of both clients goes. None of
these errors may be seen by who uses the library: NOSCRIPT, LOADING, TRYAGAIN and READONLY in place of a
flight that is not sent, a connection that is reset before it is, and the loss of replies where the flight
may be sent again.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from homing.command import Command, Script
from homing.faults import Broken, Refusal
from homing.flight import Call, Flight
from homing.routes import Flow
from homing.target import Address

REFUSALS = {
    "NOSCRIPT": "NOSCRIPT No matching script.",
    "LOADING": "LOADING the dataset is being loaded",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "READONLY": "READONLY You can't write against a read only replica.",
}
KINDS = (*REFUSALS, "reset", "lost")
#: Of these the answer to a copy says only what the copy did itself.
SAY_WHAT_THEY_DID = frozenset({"purge", "repair", "replay"})


def _answers_as_before(command: Command[Any]) -> bool:
    """Whether it may be sent again, and nobody sees from its answer that it was."""
    if command.name == "settle":
        return command.resend and command.args[3] != 0  # numbered: the copy says so
    return command.resend and command.name not in SAY_WHAT_THEY_DID


class Faults:
    """The dice, and how often each kind came up."""

    def __init__(self, share: float, seed: str) -> None:
        self.share = share
        self.count: Counter[str] = Counter()
        self._dice = random.Random(seed)

    def seed(self, seed: str) -> None:
        self._dice = random.Random(seed)

    def pick(self, group: list[Call]) -> str:
        """What happens to this flight: nothing, mostly."""
        if self._dice.random() >= self.share:
            return ""
        kind = self._dice.choice(KINDS)
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
                yield step
                step = flow.throw(Broken("the reply was lost"))
            while True:  # what it wants done about that
                step = flow.send((yield step))
        except StopIteration:
            return

    return send


@contextmanager
def installed(faults: Faults) -> Iterator[None]:
    """While the block lasts all clients of this process meet faults."""
    whole = Flight._send
    Flight._send = faulty(whole, faults)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Flight._send = whole  # type: ignore[method-assign]
