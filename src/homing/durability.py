"""How sure an answer is before it counts: what is sent to be shown it, and what the replies show. No I/O.

WAIT tells how many replicas have what *this connection* wrote last, so it goes right behind the
script, on its connection and in its flight. After a connection that wrote nothing Redis 7.2 and later
and Valkey count every replica, also one that stands still: a script that answers a repeated call
therefore writes something, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec.structs import replace

from homing.command import Argument, Command
from homing.limits import Durability
from homing.told import pairs, read_info

T = TypeVar("T")

#: Share of an operation's deadline that replicas get to confirm it.
WAIT_SHARE = 0.25
Words: TypeAlias = tuple[Argument, ...]
_FSYNCED = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
#: One by one: several names in one call came with 7.0, and a pattern costs a hundred times as much.
_ASK_FSYNCED: tuple[Words, ...] = (*(("CONFIG", "GET", name) for name in _FSYNCED), ("INFO", "persistence"))


@dataclass(frozen=True, slots=True)
class Proven(Generic[T]):
    """An answer, and how sure it is."""

    answer: T
    #: How many replicas have it; 0 also when none were asked.
    replicas: int = 0
    #: What is missing to what was asked for, as the end of a sentence; empty when nothing is.
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What has to be shown for one level of durability."""

    level: Durability
    replicas: int
    wait_ms: int

    @classmethod
    def of(cls, level: Durability, replicas: int, deadline_s: float) -> "Proof | None":
        """None for `memory`: the answer itself is all there is to show."""
        if level == "memory":
            return None
        return cls(level, replicas, max(1, round(deadline_s * WAIT_SHARE * 1000)))

    def with_write(self, command: Command[T]) -> Command[Proven[T]]:
        """The command, and right behind it the question whether what it wrote is as safe as asked for."""
        if self.level == "fsynced":
            return _asking(command, _ASK_FSYNCED, _fsynced)
        return _asking(command, (("WAIT", self.replicas, self.wait_ms),), self._confirmed)

    def beforehand(self, command: Command[T]) -> Command[Proven[T]]:
        """A command that only looks, and behind it the question whether a write could be as safe."""
        if self.level == "fsynced":
            return _asking(command, _ASK_FSYNCED, _fsynced)
        return _asking(command, (("INFO", "replication"),), self._attached)

    def _confirmed(self, replies: Sequence[Any]) -> tuple[int, str]:
        [confirmed] = replies
        if isinstance(confirmed, Exception):
            return 0, f"whether replicas have it is not known: {_said(confirmed)}"
        if confirmed >= self.replicas:
            return confirmed, ""
        return confirmed, f"{confirmed} of {self.replicas} replicas confirmed it within {self.wait_ms:,} ms"

    def _attached(self, replies: Sequence[Any]) -> tuple[int, str]:
        [told] = replies
        if isinstance(told, Exception):
            return 0, ""  # INFO is denied: WAIT will tell
        there = int(read_info(told).get("connected_slaves", "0"))
        if there >= self.replicas:
            return there, ""
        return there, (
            f"it has {there} of the {self.replicas} replicas asked for attached (durability_replicas): "
            "on a replica say REPLICAOF host port"
        )


@dataclass(frozen=True, slots=True)
class _Shown(Generic[T]):
    decode: Callable[[Any], T]
    read: Callable[[Sequence[Any]], tuple[int, str]]

    def __call__(self, replies: Sequence[Any]) -> Proven[T]:
        reply, *shown = replies
        return Proven(self.decode(reply), *self.read(shown))


def _asking(
    command: Command[T], questions: tuple[Words, ...], read: Callable[[Sequence[Any]], tuple[int, str]]
) -> Command[Proven[T]]:
    asked: Command[Any] = replace(command, behind=questions)
    return replace(asked, decode=_Shown(command.decode, read))


def _fsynced(replies: Sequence[Any]) -> tuple[int, str]:
    """Why a write may not be on the disk by the time of its answer; empty when it is."""
    for reply in replies:
        if isinstance(reply, Exception):
            return 0, (
                f"whether it writes through to its disk is not known: {_said(reply)}; it must be allowed to be "
                "asked: ACL SETUSER <user> +config|get +info"
            )
    *settings, persistence = replies
    told: dict[str, str] = {}
    for flat in settings:
        told |= pairs(flat)
    # A server that does not know a name cannot do it.
    wrong = {
        name: told.get(name, "no") for name, wanted in _FSYNCED.items() if told.get(name, "no") != wanted
    }
    if wrong:
        has = ", ".join(f"{name} {value}" for name, value in wrong.items())
        lines = ", ".join(f"CONFIG SET {name} {_FSYNCED[name]}" for name in wrong)
        return 0, f"it has {has}: say {lines}, and CONFIG REWRITE to keep that"
    info = read_info(persistence)
    rewrites = "1" in (info.get("aof_rewrite_in_progress"), info.get("aof_rewrite_scheduled"))
    if rewrites and info.get("aof_base_size") == "0":
        # appendonly was switched on: until the first file is whole, what is written to it does not count.
        return (
            0,
            "it is still writing its first append-only file: try again when aof_rewrite_in_progress is 0",
        )
    return 0, ""


def _said(reply: Exception) -> str:
    return str(reply.args[0]) if reply.args else type(reply).__name__
