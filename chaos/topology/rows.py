"""The rows of the table that need more than one server, or something around it."""

from collections.abc import Callable
from typing import Any

from chaos.arena import Site
from chaos.plan import MIX
from chaos.row import ALWAYS, EVERYSEC, Row, Size, no_duplicates, none_of
from chaos.topology import clock, cluster, disk, sentinel

Strike = Callable[[Any], None]


def in_turn(*strikes: Strike) -> tuple[Strike]:
    """These, one after the other, in place of one that is drawn."""
    return (lambda arena: strikes[next(arena.turns) % len(strikes)](arena),)


_FAILOVERS = in_turn(
    sentinel.kill_ahead, sentinel.freeze_primary, sentinel.relieve_primary, sentinel.kill_primary
)
#: Jobs a second where a fault takes many seconds: enough run in each.
_UNHURRIED = 300.0
_REPLICATED = {"HOMING_DURABILITY": "replicated"}
#: No worker died, so each outcome is told in the end, and once is enough.
_UNDISTURBED = (no_duplicates, none_of("stale ends", "outcomes that were not told"))

TOPOLOGY: tuple[Row, ...] = (
    Row(
        name="N16",
        title="Sentinel failovers; lost may be what was acknowledged within a second of one",
        strikes=_FAILOVERS,
        full=Size(strikes=80, jobs=50_000, parts=4),
        reduced=Size(strikes=3, jobs=5_000),
        arena=sentinel.SentinelArena,
        site=Site(pace=_UNHURRIED),
    ),
    Row(
        name="N16r",
        title="Sentinel failovers, each job replicated: nothing is lost",
        strikes=_FAILOVERS,
        full=Size(strikes=80, jobs=20_000, parts=4),
        reduced=Size(strikes=3, jobs=3_000),
        arena=sentinel.PairArena,
        site=Site(
            pace=_UNHURRIED,
            options={"min-replicas-to-write": "1"},
            env=_REPLICATED,
            producer_env=_REPLICATED,
        ),
    ),
    Row(
        name="N17",
        title="Cluster failovers and a moving slot; only a kill may lose the second before it",
        strikes=in_turn(
            cluster.kill_primary,
            cluster.move_slot,
            cluster.move_slot_at_once,
            cluster.relieve_primary,
            cluster.move_slot,
        ),
        full=Size(strikes=100, jobs=50_000, parts=4),
        reduced=Size(strikes=5, jobs=5_000),
        arena=cluster.ClusterArena,
        site=Site(pace=_UNHURRIED),
    ),
    Row(
        name="N18",
        title="the server's clock jumps by +60 s and -1 h, workers' clocks are wrong by 10 minutes either way",
        strikes=in_turn(clock.jump_forward, clock.jump_back),
        full=Size(strikes=40, jobs=50_000, parts=2),
        reduced=Size(strikes=4, jobs=5_000),
        arena=clock.ClockArena,
        mix={**MIX, "quick": 830, "later": 100},
        asks=(no_duplicates, none_of("leases lost", "lost leases")),
    ),
    Row(
        name="N19a",
        title="a disk that fills up, is slow and fails, AOF always",
        strikes=in_turn(disk.fill_disk, disk.slow_disk, disk.fail_disk),
        full=Size(strikes=30, jobs=20_000, parts=2),
        reduced=Size(strikes=3, jobs=3_000),
        arena=disk.DiskArena,
        site=Site(pace=_UNHURRIED, options=ALWAYS, producers=("async", "single")),
        asks=_UNDISTURBED,
    ),
    Row(
        name="N19e",
        title="a disk that fills up, is slow and fails, AOF everysec",
        strikes=in_turn(disk.fill_disk, disk.slow_disk, disk.fail_disk),
        full=Size(strikes=30, jobs=20_000, parts=2),
        reduced=Size(strikes=3, jobs=3_000),
        arena=disk.DiskArena,
        site=Site(pace=_UNHURRIED, options=EVERYSEC, producers=("async", "single")),
        asks=_UNDISTURBED,
    ),
)
