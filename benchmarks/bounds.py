"""What homing wants to reach, beside the hand-written loops and the peers of the same run.

A bound on a ratio is judged by the median over the runs, each divided by the run beside it: what disturbed one of the
two disturbed the other. `quick` are those that `make bench-quick` fails by.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.kinds import KINDS, best_of
from benchmarks.store import Store

Sense = Literal["least", "most"]
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Term:
    """A figure of a row in a scenario, of those runs whose figure `enough` is as large as the bound speaks of."""

    scenario: str
    row: str
    figure: str
    enough: tuple[str, float] | None = None

    def values(self, store: Store) -> list[float]:
        cell = store.cells.get(self.scenario, {}).get(self.row)
        name, least = self.enough or ("", 0.0)
        return [
            run[self.figure]
            for run in (cell.runs if cell else ())
            if self.figure in run and run.get(name, 0.0) >= least
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """`measured` (divided by what it is `beside`, run by run) is at least, or at most, `limit`."""

    name: str
    said: str
    measured: Term
    beside: Term | None = None
    sense: Sense
    limit: float
    quick: bool = False

    def values(self, store: Store) -> list[float]:
        ours = self.measured.values(store)
        if self.beside is None:
            return ours
        theirs = self.beside.values(store)
        return [one / other for one, other in zip(ours, theirs, strict=False) if other]

    def verdict(self, store: Store) -> "Verdict | None":
        """None when there is nothing to judge by."""
        values = self.values(store)
        return Verdict.of(self.name, self.said, values, self.sense, self.limit) if values else None


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    said: str
    median: float
    least: float
    most: float
    sense: Sense
    limit: float

    @classmethod
    def of(cls, name: str, said: str, values: list[float], sense: Sense, limit: float) -> "Verdict":
        return cls(name, said, statistics.median(values), min(values), max(values), sense, limit)

    @property
    def kept(self) -> bool:
        return self.median >= self.limit if self.sense == "least" else self.median <= self.limit


STREAMS, LISTS = "homing streams", "homing lists"
#: The loop that one writes by hand, and the one that is tuned as far as it goes.
LOOP, LIMIT = "loop streams-async plain", "loop streams-async tuned"

_PAIRS = (
    Bound(
        name="drain_streams", said="no-op jobs, streams beside the plain asyncio loop", sense="least", limit=0.55, quick=True,
        measured=Term("drain-1", STREAMS, "jobs_per_s"), beside=Term("drain-1", LOOP, "jobs_per_s"),
    ),
    Bound(
        name="drain_lists", said="no-op jobs, lists beside streams", sense="least", limit=0.7, quick=True,
        measured=Term("drain-1", LISTS, "jobs_per_s"), beside=Term("drain-1", STREAMS, "jobs_per_s"),
    ),
    Bound(
        name="server_streams", said="server time of a job of 200 bytes, streams beside the tuned loop", sense="most", limit=2.5,
        quick=True, measured=Term("server", STREAMS, "server_us_per_job"), beside=Term("server", LIMIT, "server_us_per_job"),
    ),
    Bound(
        name="server_lists", said="server time of a job of 200 bytes, lists beside the tuned loop", sense="most", limit=3.2,
        quick=True, measured=Term("server", LISTS, "server_us_per_job"), beside=Term("server", LIMIT, "server_us_per_job"),
    ),
    *(
        Bound(
            name=f"enqueue_{engine}", said=f"enqueue one by one, {engine}: time of a bare EVALSHA's", sense="most",
            limit=1.3, quick=True, measured=Term("enqueue-sync", f"homing {engine}", "us_per_call"),
            beside=Term("enqueue-sync", "loop evalsha", "us_per_call"),
        )
        for engine in ("streams", "lists")
    ),
)  # fmt: skip


def _each(
    name: str,
    said: str,
    term: tuple[str, str],
    sense: Sense,
    limit: float,
    *,
    quick: bool = False,
    enough: tuple[str, float] | None = None,
) -> Iterator[Bound]:
    """The same bound for both engines, on a scenario's figure."""
    for engine in ("streams", "lists"):
        yield Bound(
            name=f"{name}_{engine}", said=f"{said}, {engine}", sense=sense, limit=limit, quick=quick,
            measured=Term(term[0], f"homing {engine}", term[1], enough),
        )  # fmt: skip


SOAKED, DEEPEST = ("jobs", 2_000_000.0), ("depth", 1_000_000.0)

_ALONE = (
    *_each("threads", "no-op jobs in threads, jobs/s", ("drain-threads", "jobs_per_s"), "least", 25_000),
    *_each("concurrent", "enqueue, 100 calls in flight, jobs/s", ("enqueue-100", "jobs_per_s"), "least", 40_000),
    *_each("bulk", "enqueue many in one call, jobs/s", ("enqueue-bulk", "jobs_per_s"), "least", 100_000),
    *_each("start_p50", "start of a job on an idle worker, p50 ms", ("latency-idle", "start_p50_ms"), "most", 0.7),
    *_each("start_p99", "start of a job on an idle worker, p99 ms", ("latency-idle", "start_p99_ms"), "most", 3.0),
    *_each("result_p50", "result of a job on an idle worker, p50 ms", ("latency-idle", "result_p50_ms"), "most", 1.2),
    *_each("io_100", "share of the ideal, 50 ms, 100 at once", ("io-100", "share"), "least", 0.98, quick=True),
    *_each("io_1000", "share of the ideal, 50 ms, 1,000 at once", ("io-1000", "share"), "least", 0.95, quick=True),
    Bound(
        name="waiting_streams", said="bytes of a waiting job's keys (MEMORY USAGE), streams", sense="most", limit=330, quick=True,
        measured=Term("memory", STREAMS, "bytes_of_keys"),
    ),
    Bound(
        name="waiting_lists", said="bytes of a waiting job's keys (MEMORY USAGE), lists", sense="most", limit=620, quick=True,
        measured=Term("memory", LISTS, "bytes_of_keys"),
    ),
    *_each("rss", "a worker's largest process after 2 M jobs, bytes", ("soak", "rss_late"), "most", 60 * MB, enough=SOAKED),
    *_each("grown", "what the server grew by over 1 M jobs, bytes", ("soak", "server_grew_middle"), "most", 10 * MB, enough=SOAKED),
    *_each("idle", "round trips of an idle worker, a second", ("idle", "flights_per_s"), "most", 3.0),
    *_each("depth", "a job beside 1,000,000 waiting, to beside 1,000", ("depth", "ratio"), "most", 1.25, enough=DEEPEST),
    *_each("queues", "a job in 100 queues, to one in one", ("queues", "ratio"), "most", 1.5),
)  # fmt: skip

#: The soak's largest process must not grow: late beside early.
_FLAT = tuple(
    Bound(
        name=f"flat_{engine}", said=f"a worker's memory after 2 M jobs, to after 100,000, {engine}", sense="most", limit=1.1,
        measured=Term("soak", f"homing {engine}", "rss_late", SOAKED), beside=Term("soak", f"homing {engine}", "rss_early", SOAKED),
    )
    for engine in ("streams", "lists")
)  # fmt: skip

BOUNDS: tuple[Bound, ...] = (*_PAIRS, *_ALONE, *_FLAT)
#: The figures of a job on an idle worker in which no peer should be ahead.
_DELAYS = (("start_p50_ms", "start, p50"), ("start_p99_ms", "start, p99"), ("result_p50_ms", "result, p50"))
#: How many cores two processes may leave idle and still be said to fill them.
FULL_SHARE = 0.9


def verdicts(store: Store) -> list[Verdict]:
    """All bounds that these figures say something about, those beside peers and cores with them."""
    found = [verdict for bound in BOUNDS if (verdict := bound.verdict(store))]
    return found + [
        verdict for verdict in (*_beside_peers(store), *_quickest(store), *_two_processes(store)) if verdict
    ]


def _two_processes(store: Store) -> Iterator[Verdict]:
    """Two processes are 1.6 times one, or the machine's cores are shown to be full."""
    cores = int(store.sessions[-1]["cores"]) if store.sessions else 2
    for engine in ("streams", "lists"):
        row, said = f"homing {engine}", f"no-op jobs, two processes to one, {engine}"
        ratio = Bound(
            name=f"two_{engine}", said=said, sense="least", limit=1.6,
            measured=Term("drain-2", row, "jobs_per_s"), beside=Term("drain-1", row, "jobs_per_s"),
        ).verdict(store)  # fmt: skip
        busy = store.median("drain-2", row, "cores_busy")
        if ratio is not None and (ratio.kept or busy is None or busy < FULL_SHARE * cores):
            yield ratio
        elif busy is not None:
            yield Verdict.of(
                f"two_{engine}", f"{said}: cores that were busy", [busy], "least", FULL_SHARE * cores
            )


def _beside_peers(store: Store) -> Iterator[Verdict]:
    """Beside the best pure Python peer, and the best with a core in Rust, each in its best configuration."""
    ours = store.median("drain-1", STREAMS, "jobs_per_s")
    for kind, name, said, limit in (
        ("python", "peers_python", "the best pure Python peer", 13.0),
        ("rust", "peers_rust", "the best peer with a Rust core", 1.0),
    ):
        best = best_of(store, "drain-1", "jobs_per_s", kind, "more")
        if ours and best:
            yield Verdict.of(
                name, f"no-op jobs, streams beside {said}, {best[0]}", [ours / best[1]], "least", limit
            )


def _quickest(store: Store) -> Iterator[Verdict]:
    """On an idle worker no peer of the run is quicker, in any configuration."""
    for figure, words in _DELAYS:
        found = [best_of(store, "latency-idle", figure, kind, "less") for kind in KINDS]
        best = min((each for each in found if each), key=lambda each: each[1], default=None)
        for engine in ("streams", "lists"):
            ours = store.median("latency-idle", f"homing {engine}", figure)
            if ours and best:
                yield Verdict.of(
                    f"{figure.removesuffix('_ms')}_peers_{engine}",
                    f"{words} on an idle worker, {engine} beside the quickest peer, {best[0]}",
                    [ours / best[1]], "most", 1.0,
                )  # fmt: skip
