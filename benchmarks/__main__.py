"""homing beside its peers and beside hand-written loops, all in the same run.

    python -m benchmarks                                     all cells that have no figures yet (make bench)
    python -m benchmarks --only streaq,homing --scenario drain
    python -m benchmarks quick                               homing beside the loops, in a minute (make bench-quick)
    python -m benchmarks profile                             the hot path by its stages (two minutes)
    python -m benchmarks lua                                 instructions and commands of each transition (a minute)
    python -m benchmarks write                               docs/benchmarks.md and its plots, from the data
    python -m benchmarks list                                what can be asked of whom
    python -m benchmarks plan                                which runs are missing, and about how long they take

Starts each run's Valkey on loopback, installs each peer in an environment of its own (pinned versions), and keeps the
raw figures in docs/data/benchmarks.json after each run: a run that was broken off goes on where it was.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks import hotpath
from benchmarks.bench import Bench, chosen
from benchmarks.page import write
from benchmarks.peers.setups import PEERS
from benchmarks.quick import quick
from benchmarks.scenarios import SCENARIOS
from benchmarks.setups import HOMING, LOOPS, Setup
from benchmarks.store import Store

ROOT = Path(__file__).parent.parent
DATA = ROOT / "docs" / "data" / "benchmarks.json"
HOTPATH = DATA.with_name("hotpath.json")
ROWS = (*HOMING, *LOOPS, *PEERS)


def main() -> int:
    options = _options()
    # Told to end, as by an interrupt, it ends its workers and servers first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    match options.what:
        case "quick":
            return quick(options.scenario)
        case "list":
            print("\n".join(_listed()))
        case "write":
            write(Store.load(options.data), ROOT / "docs")
        case "profile" | "lua":
            {"profile": hotpath.profile, "lua": hotpath.lua}[options.what](HOTPATH)
        case "plan":
            print("\n".join(_bench(options).plan()))
        case _:
            _bench(options).run()
            if options.write:
                write(Store.load(options.data), ROOT / "docs")
    return 0


def _bench(options: argparse.Namespace) -> Bench:
    setups = [each for each in ROWS if _wanted(each, options.only)]
    if not setups:
        raise SystemExit(f"no row is called {options.only!r}; there are {', '.join(r.row for r in ROWS)}")
    return Bench(
        setups,
        chosen(options.scenario),
        Store.load(options.data),
        options.data,
        options.venvs,
        seconds=options.seconds,
        runs=options.runs,
        peer_runs=options.peer_runs,
        again=options.again,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", nargs="?", choices=["run", "quick", "profile", "lua", "write", "list", "plan"], default="run"
    )
    parser.add_argument(
        "--only", help="these rows: queues, or whole names in quotes (`homing,loop,'saq tuned'`)"
    )
    parser.add_argument("--scenario", help="these scenarios, by their names or what they begin with")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long one run measures, about")
    parser.add_argument("--runs", type=int, default=5, help="of homing and the loops")
    parser.add_argument("--peer-runs", type=int, default=3, help="of peers")
    parser.add_argument("--again", action="store_true", help="forget what these cells have")
    parser.add_argument("--write", action="store_true", help="write the page, too")
    parser.add_argument("--data", type=Path, default=DATA, help="the raw figures")
    parser.add_argument(
        "--venvs", type=Path, default=ROOT / ".venv" / "peers", help="the peers' environments"
    )
    return parser.parse_args()


def _wanted(setup: Setup, only: str | None) -> bool:
    return only is None or bool({setup.queue, setup.row} & set(only.split(",")))


def _listed() -> list[str]:
    lines = []
    for scenario in SCENARIOS.values():
        lines.append(f"{scenario.name}: {scenario.title}")
        lines += [f"    {setup.row:24} {scenario.refuses(setup) or 'yes'}" for setup in ROWS]
    return lines


if __name__ == "__main__":
    sys.exit(main())
