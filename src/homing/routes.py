"""Which server a key lives on: fixed, told by a Sentinel, or learned from a cluster.

A flow is a generator that yields what a client shall do (`Exchange`, `Pause`, `Drop`) and
is sent the replies, or thrown `Broken` or a HomingError: so it is written once for both clients.
"""

import time
from binascii import crc_hqx
from bisect import bisect_left
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from homing.command import Argument, Command
from homing.errors import ServerError
from homing.faults import Broken, Refusal, Step, judge
from homing.packing import pack
from homing.target import Address, Target

T = TypeVar("T")

SLOTS = 16_384
#: How long one sentinel or node is asked where a key lives before the next one is.
ASK_S = 1.0
#: How long a sentinel's word about the primary holds. One that was replaced goes on taking writes, which
#: will be lost, for up to ten seconds before it is told: nothing that it says gives it away.
FRESH_S = 0.5
#: How long each sentinel may take when there is a primary to go on with, and how long that one is gone
#: on with when none answers.
CONFIRM_S, UNCONFIRMED_S = 0.3, 5.0


class Exchange(Struct, frozen=True, gc=False):
    """Send these bytes there and read so many replies, by this `time.monotonic()`."""

    address: Address
    packed: bytes
    replies: int
    by: float


class Pause(Struct, frozen=True):
    seconds: float


class Drop(Struct, frozen=True):
    """Close the idle connections to this address."""

    address: Address


Flow = Generator[Exchange | Pause | Drop, Any, T]


def ask(address: Address, by: float, *words: Argument) -> Flow[Any]:
    """One command to one server; its reply may be a Refusal."""
    [reply] = yield Exchange(address, pack(words), 1, by)
    return reply


def slot_of(key: str | bytes) -> int:
    """The slot of a key: CRC16 of its hash tag, or of all of it. Source: the Redis Cluster specification."""
    name = key.encode() if isinstance(key, str) else key
    start = name.find(b"{")
    if start >= 0 and (end := name.find(b"}", start + 1)) > start + 1:
        name = name[start + 1 : end]
    return crc_hqx(name, 0) % SLOTS


class Routes:
    """A server that is always the same. The base of the others."""

    def __init__(self, target: Target) -> None:
        self.target = target
        #: What is known by now to answer.
        self.nodes = list(target.nodes)

    def known(self, key: str | None) -> Address | None:
        """Where the key lives, as far as known without asking."""
        return self.nodes[0]

    def find(self, key: str | None, by: float) -> Flow[Address]:
        """Ask where the key lives. Raises Broken when nobody says, ServerError when that is final."""
        yield from ()
        return self.nodes[0]

    def primaries(self, by: float) -> Flow[list[Address]]:
        """All servers that hold keys."""
        return [self.known(None) or (yield from self.find(None, by))]

    def moved(self, slot: int, address: Address) -> None:
        """Note where a server said that a slot lives."""

    def lost(self, address: Address) -> None:
        """X primary any more: ask again before it is used again."""

    def _ask_all(self, by: float, *words: Argument, each_s: float = ASK_S) -> Flow[Any]:
        """The first answer of any node that is not nil; the node that gave it moves to the front.

        None when all that answered know nothing. Raises Broken when none answered.
        """
        answered, reason = False, "nobody answers"
        for node in list(self.nodes):
            try:
                reply = yield from ask(node, min(by, time.monotonic() + each_s), *words)
            except Broken as broken:
                reason = f"{node}: {broken.reason}"
                continue
            if isinstance(reply, Refusal):
                verdict = judge(reply, Command(words, (), (), bytes), node)
                if verdict.step is Step.FAIL:
                    raise verdict.error
                reason = str(verdict.error)
            elif reply is None:
                answered = True
            else:
                self.nodes = [node, *(other for other in self.nodes if other != node)]
                return reply
        if answered:
            return None
        raise Broken(reason, sent=False)


class SentinelRoutes(Routes):
    """The primary that the sentinels name, asked again twice a second, and whenever it fails."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._primary: Address | None = None
        self._ask_at = 0.0  # `time.monotonic()`

    def known(self, key: str | None) -> Address | None:
        return self._primary if time.monotonic() < self._ask_at else None

    def find(self, key: str | None, by: float) -> Flow[Address]:
        service, old = self.target.service, self._primary
        words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
        try:
            found = yield from self._ask_all(by, *words, each_s=CONFIRM_S if old else ASK_S)
        except Broken:
            if old is None:
                raise
            self._ask_at = time.monotonic() + UNCONFIRMED_S
            return old
        if found is None:
            raise ServerError(f"no sentinel of {self.target} knows a service {service!r}")
        self._primary = address = Address(found[0].decode(), int(found[1]))
        self._ask_at = time.monotonic() + FRESH_S
        if old not in (None, address):
            yield Drop(old)
        return address

    def lost(self, address: Address) -> None:
        if address == self._primary:
            self._primary = None


class ClusterRoutes(Routes):
    """Slots to primaries, as one node tells; single moves are learned as they show."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        #: Ascending last slots, and the first slot and primary of each range.
        self._ends: list[int] = []
        self._ranges: list[tuple[int, Address]] = []
        self._moved: dict[int, Address] = {}

    def known(self, key: str | None) -> Address | None:
        if not self._ends:
            return None
        return self._ranges[0][1] if key is None else self._owner(slot_of(key))

    def _owner(self, slot: int) -> Address | None:
        if (moved := self._moved.get(slot)) is not None:
            return moved
        at = bisect_left(self._ends, slot)
        if at == len(self._ends) or self._ranges[at][0] > slot:
            return None
        return self._ranges[at][1]

    def find(self, key: str | None, by: float) -> Flow[Address]:
        yield from self._load(by)
        address = self.known(key)
        if address is None:
            raise Broken("no node of the cluster serves this queue's slot", sent=False)
        return address

    def primaries(self, by: float) -> Flow[list[Address]]:
        yield from self._load(by)
        return list(dict.fromkeys(address for _, address in self._ranges))

    def moved(self, slot: int, address: Address) -> None:
        self._moved[slot] = address
        if address not in self.nodes:
            self.nodes = [*self.nodes, address]

    def lost(self, address: Address) -> None:
        self._ends, self._ranges, self._moved = [], [], {}
        if address in self.nodes:
            self.nodes = [*(other for other in self.nodes if other != address), address]

    def _load(self, by: float) -> Flow[None]:
        ranges = yield from self._ask_all(by, "CLUSTER", "SLOTS")
        asked = self.nodes[0]
        found: list[Slots] = sorted(_slots(entry, asked) for entry in ranges or ())
        nodes = dict.fromkeys([asked, *(node for one in found for node in one.nodes), *self.target.nodes])
        self.nodes = list(nodes)
        self._moved = {}
        self._ranges = [(one.first, one.nodes[0]) for one in found]
        self._ends = [one.last for one in found]


class Slots(NamedTuple):
    first: int
    last: int
    nodes: list[Address]  # the primary, then its replicas


def _slots(entry: list[Any], asked: Address) -> Slots:
    """One range of CLUSTER SLOTS; a node that does not know its own name is the one that was asked."""
    first, last, *nodes = entry
    return Slots(
        int(first),
        int(last),
        [Address((node[0] or b"").decode() or asked.host, int(node[1])) for node in nodes],
    )


def routes_of(target: Target) -> Routes:
    match target.kind:
        case "sentinel":
            return SentinelRoutes(target)
        case "cluster":
            return ClusterRoutes(target)
    return Routes(target)
