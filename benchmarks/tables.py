"""The tables of docs/benchmarks.md: a row of a scenario with its median and spread, and what beats homing marked."""

import statistics
from collections.abc import Iterable, Iterator

from benchmarks.scenarios import Scenario
from benchmarks.store import Cell, Row, Store

BETTER = "◀"
#: The row that peers are held against: homing as it is.
MARK = "homing streams"
_MEGA = 1e6


def table(scenario: Scenario, store: Store) -> list[str]:
    """Lines of Markdown; a row that beats homing's defaults carries the mark. Nothing when nobody was measured."""
    rows = [(row, cell) for row, cell in store.measured(scenario.name) if cell.runs]
    if not rows:
        return []
    head = (
        "queue",
        "configuration",
        f"median, {scenario.unit}",
        "least-most",
        *(words for _, words in scenario.also),
    )
    lines = [_line(head), _line("---" for _ in head)]
    for name, cell in sorted(rows, key=lambda each: rank(scenario, each[1])):
        row = store.rows[name]
        values = cell.values(scenario.figure)
        beats = better(scenario, store, name)
        median = number(statistics.median(values), scenario.unit) + (f" {BETTER}" if beats else "")
        words = [
            row.queue, row.name, median,
            f"{number(min(values), scenario.unit)}-{number(max(values), scenario.unit)} ({len(values)})",
            *(_other(cell, figure, words) for figure, words in scenario.also),
        ]  # fmt: skip
        lines.append(_line(f"**{word}**" if row.queue == "homing" or beats else word for word in words))
    return lines


def rank(scenario: Scenario, cell: Cell) -> float:
    """Smaller is better."""
    median = cell.median(scenario.figure) or 0.0
    return -median if scenario.better == "more" else median


def better(scenario: Scenario, store: Store, name: str) -> bool:
    """Whether this row is a peer, and better than homing at its defaults."""
    if store.rows[name].queue in ("homing", "loop"):
        return False
    ours = store.cells.get(scenario.name, {}).get(MARK)
    theirs = store.cells[scenario.name][name]
    if ours is None or not ours.runs:
        return False
    return rank(scenario, theirs) < rank(scenario, ours)


def losses(scenarios: Iterable[Scenario], store: Store) -> Iterator[str]:
    """A line for each scenario in which a peer is better than homing at its defaults, by how much."""
    for scenario in scenarios:
        ahead = [
            name
            for name, cell in store.measured(scenario.name)
            if cell.runs and better(scenario, store, name)
        ]
        if ahead:
            ours = store.median(scenario.name, MARK, scenario.figure) or 0.0
            said = ", ".join(
                f"{name} {number(store.median(scenario.name, name, scenario.figure) or 0.0, scenario.unit)}"
                for name in ahead
            )
            yield f"- {scenario.title}: {said}; homing {number(ours, scenario.unit)} {scenario.unit}"


def number(value: float, unit: str = "") -> str:
    if unit == "of the ideal":
        return f"{100 * value:.1f} %"
    if unit == "bytes" and abs(value) >= _MEGA:
        return f"{value / _MEGA:.1f} MB"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _other(cell: Cell, figure: str, words: str) -> str:
    median = cell.median(figure)
    if median is None:
        return "-"
    return number(median, "bytes" if "bytes" in figure or "rss" in figure or "grew" in figure else "")


def versions(row: Row) -> str:
    """The version of the queue itself, of all that is installed for it."""
    for pin in row.versions:
        name, _, version = pin.partition("==") if "==" in pin else pin.rpartition("@")
        if name.lower() == row.queue.lower():
            return version
    return ""


def python_of(row: Row) -> str:
    """The Python that it runs on; "" where nothing says so."""
    return next((pin.removeprefix("CPython==") for pin in row.versions if pin.startswith("CPython==")), "")


def _line(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"
