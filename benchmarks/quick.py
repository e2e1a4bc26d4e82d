"""`make bench-quick`: homing beside the hand-written loops, in a minute; fails where a ratio falls short.

The rows take turns, at least three of them; what needs no pair runs once. The last line is JSON.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.bench import Bench, about, chosen, say
from benchmarks.bounds import BOUNDS, LIMIT, LISTS, LOOP, STREAMS, Verdict
from benchmarks.scenarios import SCENARIOS
from benchmarks.setups import HOMING, LOOPS
from benchmarks.store import Store

#: What takes turns until the time is up: scenario -> rows.
TURNS = {
    "drain-1": (STREAMS, LOOP, LISTS),
    "enqueue-sync": (STREAMS, "loop evalsha", LISTS),
}
#: What one run tells enough of.
ONCE = {
    "server": (STREAMS, LIMIT, LISTS),
    "memory": (STREAMS, LISTS),
    "io-100": (STREAMS, LISTS),
    "io-1000": (STREAMS, LISTS),
    "enqueue-100": (STREAMS,),
    "enqueue-bulk": (STREAMS,),
    "drain-threads": (STREAMS,),
    "latency-idle": (STREAMS,),
}
TIME_S = 55.0
LEAST_TURNS = 3
#: What one run measures for.
RUN_S = 0.7


def quick(words: str | None) -> int:
    """0 when every ratio is kept, else 1."""
    began = time.monotonic()
    wanted = {scenario.name for scenario in chosen(words)}
    rows = {setup.row: setup for setup in (*HOMING, *LOOPS)}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = Store(sessions=[about()])
        bench = Bench(
            list(rows.values()),
            [],
            store,
            Path(folder) / "quick.json",
            Path(folder),
            RUN_S,
            runs=1,
            peer_runs=0,
        )
        bench.install()
        for name, some in ONCE.items():
            for row in some if name in wanted else ():
                bench.turn(SCENARIOS[name], rows[row], 0, wanted=1)
        turn = 0
        while turn < LEAST_TURNS or time.monotonic() - began < TIME_S:
            before = time.monotonic()
            for name, some in TURNS.items():
                for row in some if name in wanted else ():
                    bench.turn(SCENARIOS[name], rows[row], turn, wanted=turn + 1)
            turn += 1
            # The next turn would end after the time is up.
            if turn >= LEAST_TURNS and time.monotonic() - began + (time.monotonic() - before) > TIME_S:
                break
    return tell(store, turn, time.monotonic() - began)


def tell(store: Store, turns: int, seconds: float) -> int:
    """Print the verdicts, and as the last line all as JSON. 1 when a ratio falls short, or a run failed."""
    found = [verdict for bound in BOUNDS if bound.quick and (verdict := bound.verdict(store))]
    failed = [
        f"{scenario}, {row}: {cell.failed}"
        for scenario, cells in store.cells.items()
        for row, cell in cells.items()
        if cell.failed
    ]
    for verdict in found:
        print(_line(verdict))
    for words in failed:
        say(f"failed: {words}")
    kept = not failed and all(verdict.kept for verdict in found)
    print(json.dumps({
        "kept": kept,
        "turns": turns,
        "seconds": round(seconds, 1),
        "load": store.sessions[0]["load"],
        "rates": _rates(store),
        "ratios": {
            verdict.name: {
                "median": _round(verdict.median), "least": _round(verdict.least), "most": _round(verdict.most),
                f"at_{verdict.sense}": verdict.limit, "kept": verdict.kept,
            }
            for verdict in found
        },
        "failed": failed,
    }))  # fmt: skip
    sys.stdout.flush()
    return 0 if kept else 1


def _line(verdict: Verdict) -> str:
    sign = ">=" if verdict.sense == "least" else "<="
    return (
        f"{'kept    ' if verdict.kept else 'NOT KEPT'}  {verdict.said}: {_round(verdict.median):g} "
        f"({_round(verdict.least):g} to {_round(verdict.most):g}), wanted {sign} {verdict.limit:g}"
    )


def _rates(store: Store) -> dict[str, dict[str, float]]:
    return {
        scenario: {
            row: _round(statistics.median(values))
            for row, cell in cells.items()
            if (values := cell.values(SCENARIOS[scenario].figure))
        }
        for scenario, cells in store.cells.items()
    }


def _round(value: float) -> float:
    return float(f"{value:.4g}")
