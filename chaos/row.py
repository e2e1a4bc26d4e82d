"""What a line of the table of attacks is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chaos.arena import Arena, Site
from chaos.checker import Verdict
from chaos.plan import MIX

Ask = Callable[[Verdict], str | None]
ALWAYS = {"appendonly": "yes", "appendfsync": "always"}
NO_REWRITE = {"auto_aof_rewrite_percentage": "0"}
EVERYSEC = {"appendonly": "yes", "appendfsync": "everysec"}


def none_of(name: str, what: str) -> Ask:
    """A count of the verdict must be 0."""

    def ask(verdict: Verdict) -> str | None:
        found = verdict.counts[name]
        return f"{found:,} {what}, none allowed" if found else None

    return ask


no_duplicates = none_of("extra runs", "extra executions")


class NotPlayed(Exception):
    """This machine has not what the row takes; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of a row is played: so many strikes, for so long, and so many jobs, each at least.

    It is played in parts, each in a new place with a seed of its own, so that one that was broken off is
    taken up again where it was; strikes and jobs are those of all parts together, seconds of one.
    """

    strikes: int = 0
    jobs: int
    seconds: float = 0.0
    parts: int = 1

    def part(self) -> "Size":
        """One of its parts."""
        return replace(
            self, strikes=-(-self.strikes // self.parts), jobs=-(-self.jobs // self.parts), parts=1
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    strikes: Sequence[Callable[[Any], None]]  # one of them is drawn each time
    full: Size
    reduced: Size
    short: Size | None = None  # in `short`
    arena: type[Arena] = Arena
    site: Site = field(default_factory=Site)
    mix: Mapping[str, int] = field(default_factory=lambda: MIX)
    lease_ms: int = 2_000
    long_leases: float = 1.5
    asks: Sequence[Ask] = ()
