"""The first table of docs/benchmarks.md: what homing must show, beside the best of each kind of peer and the loops."""

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bounds import LIMIT, LISTS, LOOP, STREAMS, Verdict, verdicts
from benchmarks.kinds import KINDS, best_of, kind_of
from benchmarks.scenarios import SCENARIOS, Better
from benchmarks.store import Store
from benchmarks.tables import BETTER, number

MISSED = "✗"
HEAD = ("", "streams", "lists", *(f"best, {words}" for words in KINDS.values()), "loops", "wanted: measured")
_PLAIN, _TUNED = (LOOP, "plain"), (LIMIT, "tuned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure of a scenario. `wanted` are names of verdicts, each with the words behind its limit."""

    said: str
    scenario: str
    figure: str
    better: Better | None = None
    unit: str = ""
    #: homing's rows, streams and lists.
    rows: tuple[str, str] = (STREAMS, LISTS)
    loops: tuple[tuple[str, str], ...] = ()
    wanted: tuple[tuple[str, str], ...] = ()
    #: Whether peers are shown beside.
    peers: bool = True
    #: A row whose ratio to homing's streams is told although nothing is wanted of it.
    told: tuple[str, str] | None = None

    @property
    def sense(self) -> Better:
        return self.better or SCENARIOS[self.scenario].better


def _both(name: str, words: str = "") -> tuple[tuple[str, str], ...]:
    return ((f"{name}_streams", f"{words} streams"), (f"{name}_lists", f"{words} lists"))


_OF_LOOPS = (_PLAIN, _TUNED)
_NEWER = ("homing streams 3.13", "homing lists 3.13")
LINES = (
    Line(
        said="No-op async jobs, one process, jobs/s", scenario="drain-1", figure="jobs_per_s", loops=_OF_LOOPS,
        wanted=(("drain_streams", "of the plain loop"), ("drain_lists", "lists of streams"),
                ("peers_python", "times the best in pure Python"), ("peers_rust", "times the best with a Rust core")),
        told=(LIMIT, "of the tuned loop"),
    ),
    Line(said="the same, homing on CPython 3.13", scenario="drain-1", figure="jobs_per_s", rows=_NEWER, peers=False),
    Line(said="No-op jobs in threads, jobs/s", scenario="drain-threads", figure="jobs_per_s", wanted=_both("threads")),
    Line(said="the same, homing on CPython 3.13", scenario="drain-threads", figure="jobs_per_s", rows=_NEWER, peers=False),
    Line(said="No-op jobs, two processes, jobs/s", scenario="drain-2", figure="jobs_per_s", loops=_OF_LOOPS,
         wanted=_both("two", "times one process, or cores busy,")),
    Line(said="the same, the server never waiting for a core: cores busy", scenario="drain-2-first", figure="cores_busy", peers=False),
    Line(
        said="Enqueue one by one, µs a call", scenario="enqueue-sync", figure="us_per_call", better="less",
        loops=(("loop evalsha", "EVALSHA"), ("loop streams-sync", "XADD")), wanted=_both("enqueue", "times EVALSHA"),
    ),
    Line(said="Enqueue, 100 calls in flight, jobs/s", scenario="enqueue-100", figure="jobs_per_s",
         loops=(("loop evalsha", "EVALSHA"), (LOOP, "XADD")), wanted=_both("concurrent")),
    Line(said="Enqueue many in one call, jobs/s", scenario="enqueue-bulk", figure="jobs_per_s", loops=_OF_LOOPS,
         wanted=_both("bulk")),
    Line(said="Idle worker: start, p50 ms", scenario="latency-idle", figure="start_p50_ms", loops=_OF_LOOPS,
         wanted=(*_both("start_p50"), *_both("start_p50_peers", "of the quickest peer's,"))),
    Line(said="Idle worker: start, p99 ms", scenario="latency-idle", figure="start_p99_ms", loops=_OF_LOOPS,
         wanted=(*_both("start_p99"), *_both("start_p99_peers", "of the quickest peer's,"))),
    Line(said="Idle worker: result, p50 ms", scenario="latency-idle", figure="result_p50_ms",
         wanted=(*_both("result_p50"), *_both("result_p50_peers", "of the quickest peer's,"))),
    Line(said="Half of its full speed: start, p50 ms", scenario="latency-half", figure="start_p50_ms", loops=_OF_LOOPS),
    Line(said="50 ms jobs, 100 at once, share of the ideal", scenario="io-100", figure="share", unit="of the ideal",
         loops=_OF_LOOPS, wanted=_both("io_100")),
    Line(said="50 ms jobs, 1,000 at once, share of the ideal", scenario="io-1000", figure="share", unit="of the ideal",
         loops=_OF_LOOPS, wanted=_both("io_1000")),
    Line(said="10 ms of a core each, in processes, share of the ideal", scenario="cpu", figure="share", unit="of the ideal"),
    Line(said="Server's time for a job of 200 bytes, µs", scenario="server", figure="server_us_per_job", loops=_OF_LOOPS,
         wanted=(("server_streams", "times the tuned loop, streams"), ("server_lists", "times the tuned loop, lists"))),
    Line(said="Server's time for a no-op job, µs", scenario="drain-1", figure="server_us_per_job", better="less", loops=_OF_LOOPS),
    Line(said="Commands for a no-op job, those in scripts too", scenario="drain-1", figure="commands_per_job", better="less",
         loops=_OF_LOOPS),
    Line(said="A waiting job of 200 bytes: its keys, bytes", scenario="memory", figure="bytes_of_keys", better="less",
         loops=_OF_LOOPS, wanted=_both("waiting")),
    Line(said="the same with the tables of all keys, bytes", scenario="memory", figure="bytes_per_waiting", loops=_OF_LOOPS),
    Line(said="The server grew over 1,000,000 finished jobs by, bytes", scenario="soak", figure="server_grew_middle",
         unit="bytes", better="less", wanted=_both("grown")),
    Line(said="A worker's process after 2,000,000 jobs, bytes", scenario="soak", figure="rss_late", unit="bytes",
         wanted=(*_both("rss"), *_both("flat", "times that after 100,000,"))),
    Line(said="A job beside 1,000,000 waiting, to beside 1,000, times", scenario="depth", figure="ratio", wanted=_both("depth")),
    Line(said="A job in 100 queues, to one in one, times", scenario="queues", figure="ratio", wanted=_both("queues")),
    Line(said="An idle worker's round trips a second", scenario="idle", figure="flights_per_s", loops=_OF_LOOPS,
         wanted=_both("idle")),
)  # fmt: skip
#: Of `make recovery`: what it calls a death, what the table calls it, and seconds that homing wants to be under.
RECOVERY = (
    ("child", "Jobs run again after SIGKILL of a child, s", 1.0),
    ("tree", "Jobs run again after SIGKILL of a whole worker, s", 12.0),
)


def summary(store: Store, recovery: Path) -> list[str]:
    """Lines of Markdown. `recovery` is the raw file of `make recovery`, which may not be there."""
    judged = {verdict.name: verdict for verdict in verdicts(store)}
    rows = [row for line in LINES if (row := _row(line, store, judged))]
    if recovery.exists():
        rows += list(_recovered(json.loads(recovery.read_text())))
    if not rows:
        return []
    return [_line(HEAD), _line("---" for _ in HEAD), *(_line(row) for row in rows)]


def _row(line: Line, store: Store, judged: Mapping[str, Verdict]) -> tuple[str, ...] | None:
    ours = [store.median(line.scenario, row, line.figure) for row in line.rows]
    if all(value is None for value in ours):
        return None
    peers, ahead = list[str](), False
    for kind in KINDS:
        best = best_of(store, line.scenario, line.figure, kind, line.sense) if line.peers else None
        better = best is not None and ours[0] is not None and _beats(best[1], ours[0], line.sense)
        ahead |= better
        peers.append(_peer(best, better=better, unit=line.unit))
    loops = [
        f"{number(value, line.unit)} {words}"
        for row, words in line.loops
        if (value := store.median(line.scenario, row, line.figure)) is not None
    ]
    found = [(judged[name], words) for name, words in line.wanted if name in judged]
    missed = any(not verdict.kept for verdict, _ in found)
    wanted = [_wanted(verdict, words, line.unit) for verdict, words in found]
    if line.told and ours[0] and (other := store.median(line.scenario, line.told[0], line.figure)):
        wanted.append(f"{ours[0] / other:.2f} {line.told[1]}, of which nothing is wanted")
    return (
        _marked(line.said, missed=missed, ahead=ahead),
        *("-" if value is None else f"**{number(value, line.unit)}**" for value in ours),
        *peers,
        ", ".join(loops) or "-",
        "; ".join(wanted) or "-",
    )


def _marked(said: str, *, missed: bool, ahead: bool) -> str:
    marks = [mark for mark, true in ((MISSED, missed), (BETTER, ahead)) if true]
    return " ".join([*marks, said])


def _beats(theirs: float, ours: float, better: Better) -> bool:
    return theirs > ours if better == "more" else theirs < ours


def _peer(best: tuple[str, float] | None, *, better: bool, unit: str = "") -> str:
    if best is None:
        return "-"
    words = f"{number(best[1], unit)} {best[0]}"
    return f"**{words} {BETTER}**" if better else words


def _wanted(verdict: Verdict, words: str, unit: str) -> str:
    sign = "≥" if verdict.sense == "least" else "≤"
    said = f"{sign} {number(verdict.limit, unit)} {words.strip()}: {number(verdict.median, unit)}"
    return said if verdict.kept else f"**{said} {MISSED}**"


def _recovered(told: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for scenario, said, limit in RECOVERY:
        ours = [_seconds(told, f"homing {engine}", scenario) for engine in ("streams", "lists")]
        if ours[0] is None:
            continue
        peers, ahead = list[str](), False
        for kind in KINDS:
            best = min(
                (
                    (row, seconds)
                    for row in _named(told)
                    if kind_of(row.partition(" ")[0]) == kind
                    and (seconds := _seconds(told, row, scenario)) is not None
                ),
                key=lambda each: each[1],
                default=None,
            )
            better = best is not None and best[1] < ours[0]
            ahead |= better
            peers.append(_peer(best, better=better))
        missed = any(value is None or value >= limit for value in ours)
        yield (
            _marked(said, missed=missed, ahead=ahead),
            *("-" if value is None else f"**{number(value)}**" for value in ours),
            *peers,
            "-",
            f"< {number(limit)}" + (f" {MISSED}" if missed else ""),
        )


def _named(told: Mapping[str, Any]) -> list[str]:
    return [f"{row['queue']} {row['configuration']}" for row in told["rows"]]


def _seconds(told: Mapping[str, Any], name: str, scenario: str) -> float | None:
    """The median of its runs; None when in one of them not all jobs ran again, or some had started twice before."""
    runs = [
        run
        for row in told["rows"]
        if f"{row['queue']} {row['configuration']}" == name
        for run in row["runs"]
        if run["scenario"] == scenario
    ]
    if not runs or any(run["seconds"] is None or run["failed"] or run["twice"] for run in runs):
        return None
    return float(statistics.median(run["seconds"] for run in runs))


def _line(words: Any) -> str:
    return f"| {' | '.join(words)} |"
