"""The table of attacks: which fault, on what, how often, and what must come of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chaos import nemeses
from chaos.arena import Arena, Site
from chaos.checker import Verdict
from chaos.plan import MIX

Ask = Callable[[Verdict], str | None]
ALWAYS = {"appendonly": "yes", "appendfsync": "always"}
EVERYSEC = {"appendonly": "yes", "appendfsync": "everysec"}


def none_of(name: str, what: str) -> Ask:
    """A count of the verdict must be 0."""

    def ask(verdict: Verdict) -> str | None:
        found = verdict.counts[name]
        return f"{found:,} {what}, none allowed" if found else None

    return ask


no_duplicates = none_of("extra runs", "extra executions")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of a row is played: strikes, and at least so many jobs."""

    strikes: int
    jobs: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    strikes: Sequence[Callable[[Arena], None]]  # one of them is drawn each time
    full: Size
    reduced: Size
    short: Size | None = None  # in `short`
    site: Site = field(default_factory=Site)
    mix: Mapping[str, int] = field(default_factory=lambda: MIX)
    lease_ms: int = 2_000
    long_leases: float = 1.5
    asks: Sequence[Ask] = ()


_FOUR = Site(trees=4, processes=1)
_EVEN = {**MIX, "quick": 985, "long": 0}

ROWS: tuple[Row, ...] = (
    Row(
        name="N0",
        title="nothing happens",
        strikes=(nemeses.quiet,),
        full=Size(strikes=20, jobs=100_000),
        reduced=Size(strikes=10, jobs=20_000),
        asks=(no_duplicates,),
    ),
    Row(
        name="N1",
        title="SIGKILL of worker processes, supervisors and whole trees",
        strikes=(*[nemeses.kill_child] * 8, nemeses.kill_supervisor, nemeses.kill_tree),
        full=Size(strikes=220, jobs=1_000_000),
        reduced=Size(strikes=20, jobs=40_000),
        short=Size(strikes=8, jobs=10_000),
    ),
    Row(
        name="N2",
        title="SIGSTOP of trees beyond their lease",
        strikes=(nemeses.stop_beyond_lease,),
        full=Size(strikes=67, jobs=100_000),
        reduced=Size(strikes=4, jobs=10_000),
        short=Size(strikes=1, jobs=3_000),
        site=_FOUR,
        lease_ms=1_500,
    ),
    Row(
        name="N2c",
        title="SIGSTOP of single worker processes, whose supervisor keeps their lease",
        strikes=(nemeses.stop_child,),
        full=Size(strikes=50, jobs=50_000),
        reduced=Size(strikes=4, jobs=5_000),
        site=_FOUR,
        lease_ms=1_500,
        asks=(no_duplicates,),
    ),
    Row(
        name="N3",
        title="rolling restarts with SIGTERM",
        strikes=(nemeses.rolling_restart,),
        full=Size(strikes=100, jobs=200_000),
        reduced=Size(strikes=4, jobs=10_000),
        site=Site(trees=8, processes=1),
        long_leases=0.25,
        asks=(no_duplicates,),
    ),
    Row(
        name="N4",
        title="SIGKILL of the server, AOF always",
        strikes=(nemeses.kill_server,),
        full=Size(strikes=50, jobs=100_000),
        reduced=Size(strikes=5, jobs=10_000),
        short=Size(strikes=1, jobs=3_000),
        site=Site(options=ALWAYS),
    ),
    Row(
        name="N5",
        title="SIGKILL of the server, AOF everysec",
        strikes=(nemeses.kill_server,),
        full=Size(strikes=50, jobs=100_000),
        reduced=Size(strikes=5, jobs=10_000),
        site=Site(options=EVERYSEC),
    ),
    Row(
        name="N7",
        title="CLIENT KILL of all connections",
        strikes=(nemeses.kill_connections,),
        full=Size(strikes=500, jobs=100_000),
        reduced=Size(strikes=40, jobs=10_000),
        short=Size(strikes=10, jobs=3_000),
    ),
    Row(
        name="N8",
        title="SCRIPT FLUSH",
        strikes=(nemeses.flush_scripts,),
        full=Size(strikes=2_000, jobs=100_000),
        reduced=Size(strikes=150, jobs=10_000),
        short=Size(strikes=30, jobs=3_000),
        asks=(no_duplicates,),
    ),
    Row(
        name="N9",
        title="the server stands still for two leases",
        strikes=(nemeses.pause_server,),
        full=Size(strikes=50, jobs=50_000),
        reduced=Size(strikes=4, jobs=10_000),
        lease_ms=1_500,
        asks=(no_duplicates,),
    ),
    Row(
        name="N21",
        title="handlers that hold the GIL, or block the loop, for longer than a lease",
        strikes=(nemeses.quiet,),
        full=Size(strikes=1, jobs=100),
        reduced=Size(strikes=1, jobs=10),
        site=Site(producers=("single",), trees=1, processes=1),
        mix={"hog": 50, "blocks": 50},
        lease_ms=1_000,
        asks=(no_duplicates,),
    ),
    Row(
        name="N23",
        title="BGREWRITEAOF, BGSAVE, AOF off and on under load",
        strikes=(nemeses.rewrite,),
        full=Size(strikes=20, jobs=50_000),
        reduced=Size(strikes=4, jobs=10_000),
        site=Site(options=EVERYSEC),
        asks=(no_duplicates,),
    ),
)
BY_NAME: Mapping[str, Row] = {row.name: row for row in ROWS}
