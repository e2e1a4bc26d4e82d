"""The raw figures, in one JSON file that is written after each run: what was broken off goes on where it was."""

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

Figures = dict[str, float]


@dataclass(slots=True)
class Cell:
    """One row in one scenario. `failed` is why its last run gave nothing; "" when it did."""

    runs: list[Figures] = field(default_factory=list)
    failed: str = ""

    def values(self, figure: str) -> list[float]:
        return [run[figure] for run in self.runs if figure in run]

    def median(self, figure: str) -> float | None:
        values = self.values(figure)
        return statistics.median(values) if values else None


@dataclass(slots=True)
class Row:
    """What a row is and what was installed for it; `absent` says why it could not be measured at all."""

    queue: str
    name: str
    versions: list[str] = field(default_factory=list)
    said: str = ""
    remark: str = ""
    absent: str = ""


@dataclass(slots=True)
class Store:
    """Everything that was measured, and the circumstances: one entry of `sessions` for each command."""

    sessions: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    #: Scenario -> row -> cell.
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        if not path.exists():
            return cls()
        told: Mapping[str, Any] = json.loads(path.read_text())
        return cls(
            list(told["sessions"]),
            {name: Row(**row) for name, row in told["rows"].items()},
            {
                scenario: {row: Cell(**cell) for row, cell in cells.items()}
                for scenario, cells in told["cells"].items()
            },
        )

    def save(self, path: Path) -> None:
        """Whole or not at all: the old file stays until the new one is there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        new.replace(path)

    def cell(self, scenario: str, row: str) -> Cell:
        return self.cells.setdefault(scenario, {}).setdefault(row, Cell())

    def median(self, scenario: str, row: str, figure: str) -> float | None:
        cell = self.cells.get(scenario, {}).get(row)
        return cell.median(figure) if cell else None

    def measured(self, scenario: str) -> Iterator[tuple[str, Cell]]:
        """The rows of a scenario, in the order of the rows."""
        cells = self.cells.get(scenario, {})
        return ((row, cells[row]) for row in self.rows if row in cells)
