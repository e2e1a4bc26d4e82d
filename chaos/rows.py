"""The table of attacks: which fault, on what, how often, and what must come of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chaos import nemeses, nemeses_server, roads
from chaos.arena import Arena, Site
from chaos.checker import Verdict
from chaos.plan import MIX, POISON
from chaos.roads import RoadArena

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
        full=Size(strikes=220, jobs=1_000_000, parts=4),
        reduced=Size(strikes=20, jobs=40_000),
        short=Size(strikes=8, jobs=10_000),
        site=Site(pace=0),
    ),
    Row(
        name="N2",
        title="SIGSTOP of trees beyond their lease",
        strikes=(nemeses.stop_beyond_lease,),
        full=Size(strikes=68, jobs=100_000, parts=4),
        reduced=Size(strikes=4, jobs=10_000),
        short=Size(strikes=1, jobs=3_000),
        site=_FOUR,
        lease_ms=1_500,
    ),
    Row(
        name="N2c",
        title="SIGSTOP of single worker processes, whose supervisor keeps their lease",
        strikes=(nemeses.stop_child,),
        full=Size(strikes=50, jobs=50_000, parts=2),
        reduced=Size(strikes=4, jobs=5_000),
        site=_FOUR,
        lease_ms=1_500,
        asks=(no_duplicates,),
    ),
    Row(
        name="N3",
        title="rolling restarts with SIGTERM",
        strikes=(nemeses.rolling_restart,),
        full=Size(strikes=100, jobs=200_000, parts=10),
        reduced=Size(strikes=4, jobs=10_000),
        site=Site(trees=8, processes=1),
        long_leases=0.25,
        asks=(no_duplicates,),
    ),
    Row(
        name="N4",
        title="SIGKILL of the server, AOF always",
        strikes=(nemeses.kill_server,),
        full=Size(strikes=50, jobs=100_000, parts=2),
        reduced=Size(strikes=5, jobs=10_000),
        short=Size(strikes=1, jobs=3_000),
        site=Site(options=ALWAYS),
    ),
    Row(
        name="N5",
        title="SIGKILL of the server, AOF everysec",
        strikes=(nemeses.kill_server,),
        full=Size(strikes=50, jobs=100_000, parts=2),
        reduced=Size(strikes=5, jobs=10_000),
        site=Site(options=EVERYSEC),
    ),
    Row(
        name="N6a",
        title="a power cut, AOF always",
        strikes=(nemeses_server.cut_power,),
        full=Size(strikes=30, jobs=30_000),
        reduced=Size(strikes=4, jobs=3_000),
        site=Site(options=ALWAYS | NO_REWRITE, powered=True),
        asks=(no_duplicates,),
    ),
    Row(
        name="N6e",
        title="a power cut, AOF everysec: what the last second had is lost",
        strikes=(nemeses_server.cut_power,),
        full=Size(strikes=30, jobs=60_000),
        reduced=Size(strikes=4, jobs=6_000),
        site=Site(options=EVERYSEC | NO_REWRITE, powered=True, loses=True, loss_window_s=2.5),
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
        full=Size(strikes=50, jobs=50_000, parts=2),
        reduced=Size(strikes=4, jobs=10_000),
        lease_ms=1_500,
        asks=(no_duplicates,),
    ),
    Row(
        name="N10",
        title="one in ten replies to an enqueue is lost",
        strikes=(roads.lose_enqueue_replies,),
        full=Size(strikes=60, jobs=100_000),
        reduced=Size(strikes=5, jobs=5_000),
        short=Size(strikes=1, jobs=2_000),
        arena=RoadArena,
        site=Site(producers=("many", "async", "single", "single"), pace=0),
        asks=(no_duplicates,),
    ),
    Row(
        name="N11",
        title="one in twenty replies to the workers is lost",
        strikes=(roads.lose_worker_replies,),
        full=Size(strikes=60, jobs=100_000),
        reduced=Size(strikes=6, jobs=10_000),
        arena=RoadArena,
    ),
    Row(
        name="N12",
        title="a hole in a worker's road for three leases, one way or both",
        strikes=(roads.hole,),
        full=Size(strikes=50, jobs=50_000, parts=2),
        reduced=Size(strikes=3, jobs=10_000),
        arena=RoadArena,
        lease_ms=1_500,
    ),
    Row(
        name="N13",
        title="slow roads: 50 to 500 ms each way",
        strikes=(roads.slow_roads,),
        full=Size(strikes=60, jobs=20_000, parts=6),
        reduced=Size(strikes=3, jobs=2_000),
        arena=RoadArena,
        lease_ms=5_000,
        long_leases=0.5,
        asks=(no_duplicates,),
    ),
    Row(
        name="N14",
        title="a full server, which drains with nobody's help",
        strikes=(nemeses_server.fill_server,),
        full=Size(strikes=10, jobs=30_000),
        reduced=Size(strikes=2, jobs=5_000),
        site=Site(producers=("many", "async"), pace=0),
        asks=(no_duplicates,),
    ),
    Row(
        name="N14o",
        title="a full Redis 6.2",
        strikes=(nemeses_server.fill_server,),
        full=Size(strikes=10, jobs=30_000),
        reduced=Size(strikes=2, jobs=5_000),
        site=Site(producers=("many", "async"), pace=0, server="redis-6.2"),
        asks=(no_duplicates,),
    ),
    Row(
        name="N15",
        title="FLUSHALL, a destroyed group, deleted bodies",
        strikes=(nemeses_server.wipe,),
        full=Size(strikes=50, jobs=50_000, parts=2),
        reduced=Size(strikes=4, jobs=5_000),
        site=Site(loses=True),
    ),
    Row(
        name="N20",
        title="poison: os._exit, segmentation faults, endless loops, StopIteration, SystemExit, MemoryError",
        strikes=(nemeses.quiet,),
        full=Size(strikes=5, jobs=10_000, parts=5),
        reduced=Size(strikes=1, jobs=1_000),
        site=Site(pace=200),
        mix=POISON,
    ),
    Row(
        name="N21",
        title="handlers that hold the GIL, or block the loop, for longer than a lease",
        strikes=(nemeses.quiet,),
        full=Size(strikes=1, jobs=100),
        reduced=Size(strikes=1, jobs=10),
        site=Site(producers=("single",), trees=1, processes=1, pace=1),
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
    Row(
        name="N24",
        title="all at once",
        strikes=(
            *[nemeses.kill_child, nemeses.kill_connections, nemeses.flush_scripts, nemeses.kill_supervisor]
            * 2,
            nemeses.kill_tree,
            nemeses.stop_beyond_lease,
            nemeses.stop_child,
            nemeses.rolling_restart,
            nemeses.kill_server,
            nemeses.pause_server,
            nemeses.rewrite,
            roads.lose_enqueue_replies,
            roads.lose_worker_replies,
            roads.hole,
        ),
        full=Size(seconds=120, jobs=200_000, parts=20),
        reduced=Size(seconds=40, jobs=5_000),
        arena=RoadArena,
        site=Site(options=ALWAYS, trees=3, processes=1),
    ),
)
BY_NAME: Mapping[str, Row] = {row.name: row for row in ROWS}
