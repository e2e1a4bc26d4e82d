"""The table of the recovery benchmark: as lines for a terminal and for docs/recovery.md."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.peers.witness import JOBS
from benchmarks.recovery.cell import Figure
from benchmarks.recovery.setups import SCENARIOS, Scenario, Setup

#: What homing wants to keep, in seconds: a child's jobs, and a whole worker's (the lease of 10 s, and 2).
TARGETS: dict[Scenario, float] = {"child": 1.0, "tree": 12.0}
QUICKER = "◀"


@dataclass(slots=True)
class Row:
    """One queue in one configuration: what was installed, and the figures of its cells."""

    setup: Setup
    versions: tuple[str, ...] = ()
    figures: dict[Scenario, list[Figure]] = field(default_factory=dict)

    def figure(self, scenario: Scenario) -> Figure | None:
        """The median of its runs; one in which not all jobs ran again counts as the longest."""
        runs = sorted(self.figures.get(scenario, ()), key=lambda each: each.seconds or float("inf"))
        return runs[len(runs) // 2] if runs else None


@dataclass(slots=True)
class Report:
    """Everything that was measured, and the circumstances."""

    about: dict[str, Any]
    rows: list[Row]

    def bar(self, scenario: Scenario) -> float:
        """What a peer has to be under to be marked: the slower of homing's medians."""
        figures = [row.figure(scenario) for row in self.rows if row.setup.queue == "homing"]
        return max((each.seconds for each in figures if each and each.seconds is not None), default=0.0)

    def cell(self, row: Row, scenario: Scenario) -> str:
        figure = row.figure(scenario)
        if figure is None or figure.failed:
            return "not measured"
        marks = "†" * figure.restarted + "‡" * bool(figure.twice)
        if figure.seconds is None:
            return f"{figure.again} of {JOBS} in {self.about['cap_s']:.0f} s{marks}"
        words = f"{figure.seconds:.2f} s{marks}"
        runs = [each.seconds for each in row.figures[scenario] if each.seconds is not None]
        if len(runs) > 1:
            words += f" ({min(runs):.2f}-{max(runs):.2f})"
        # Who starts everything twice has nothing to recover.
        quicker = row.setup.queue != "homing" and not figure.twice and figure.seconds < self.bar(scenario)
        return f"{words} {QUICKER}" if quicker else words

    def table(self) -> list[tuple[str, ...]]:
        head = ("queue", "configuration", "child killed", "whole worker killed")
        return [head] + [
            (_name(row), row.setup.name, *(self.cell(row, each) for each in SCENARIOS)) for row in self.rows
        ]

    def lines(self) -> list[str]:
        table = self.table()
        widths = [max(len(line[column]) for line in table) for column in range(4)]
        return [
            "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
            for line in table
        ]

    def verdicts(self) -> list[str]:
        """For each row of homing and each kind of death: the target, and whether it was kept."""
        said = []
        for row in self.rows:
            for scenario in SCENARIOS if row.setup.queue == "homing" else ():
                figure = row.figure(scenario)
                seconds = figure.seconds if figure else None
                kept = seconds is not None and seconds < TARGETS[scenario]
                found = "no figure" if seconds is None else f"{seconds:.2f} s"
                said.append(
                    f"homing {row.setup.name}, {scenario}: {found}, target under {TARGETS[scenario]:.0f} s: "
                    + ("kept" if kept else "NOT KEPT")
                )
        return said

    def raw(self) -> str:
        rows = [
            {
                "queue": row.setup.queue,
                "configuration": row.setup.name,
                "set": row.setup.said,
                "pins": row.setup.pins,
                "installed": row.versions,
                "runs": [asdict(figure) for runs in row.figures.values() for figure in runs],
            }
            for row in self.rows
        ]
        return json.dumps(self.about | {"rows": rows}, ensure_ascii=False)

    def page(self) -> str:
        head, *body = self.table()
        table = [_line(head), _line("---" for _ in head), *(_line(_strong(line)) for line in body)]
        return "\n".join([*self._introduction(), *table, *self._notes(), ""])

    def _introduction(self) -> list[str]:
        about = self.about
        return [
            f"# How long until {JOBS} running jobs run again",
            "",
            f"Written by `make recovery` on {about['date']}: {about['cores']} cores, load {about['load']:.1f} at the",
            f"start, {about['server']} on loopback, CPython {about['python']}, homing {about['homing']}. The raw figures",
            "are in [data/recovery.json](data/recovery.json).",
            "",
            f"One worker runs {JOBS} jobs that sleep for minutes. Each writes the time of its start (CLOCK_MONOTONIC) to a",
            "file outside the server. Then SIGKILL, and the figure is the time from the kill until the last of the",
            f"{JOBS} has started again in a living process; after {about['cap_s']:.0f} s the cell ends.",
            "",
            "- *Child killed*: the processes that run the jobs die, as the kernel's out-of-memory killer would have it;",
            "  what started them lives. † marks a queue of which nothing was left then (it has one process, or its",
            "  parent ended with the child): the benchmark started the same command again at once, as a process",
            "  manager would.",
            f"- *Whole worker killed*: every process of it at once, as when its host dies; another worker with {JOBS}",
            "  free places is there and at rest. Nothing else happens on the queue.",
            "",
            f"homing: the median of {about['rounds']} runs (least-most), with no other cell at the same time. Peers: one run,",
            f"up to {about['at_once']} at a time, each with a server and an environment of its own. {QUICKER} marks what was",
            "quicker than the slower of homing's two engines. *default* is each project's own, *tuned* the best that its documentation offers; what was",
            "set stands below.",
            "",
        ]

    def _notes(self) -> list[str]:
        notes = ["", "## homing's own targets", ""]
        notes += [f"- {said}" for said in self.verdicts()]
        notes += ["", "## What was set", ""]
        notes += [
            f"- **{_name(row)}, {row.setup.name}**: {row.setup.said}."
            + (f" {row.setup.remark}" if row.setup.remark else "")
            for row in self.rows
        ]
        doubled = [
            f"- {row.setup.queue}, {row.setup.name}, {scenario}: {figure.twice} of {JOBS} jobs"
            for row in self.rows
            for scenario in SCENARIOS
            if (figure := row.figure(scenario)) and figure.twice
        ]
        if doubled:
            notes += ["", "## ‡ Started twice before anything was killed", "", *doubled]
        failed = [
            f"- {row.setup.queue}, {row.setup.name}, {scenario}: {figure.failed}"
            for row in self.rows
            for scenario in SCENARIOS
            if (figure := row.figure(scenario)) and figure.failed
        ]
        return notes + (["", "## Not measured", "", *failed] if failed else [])


def _name(row: Row) -> str:
    pin = row.setup.pins[0].rpartition("==")[2] if row.setup.pins else ""
    return f"{row.setup.queue} {pin}".strip()


def _line(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"


def _strong(line: tuple[str, ...]) -> tuple[str, ...]:
    """homing's rows, and the cells that beat it, are set in bold."""
    return tuple(f"**{word}**" if line[0] == "homing" or QUICKER in word else word for word in line)
