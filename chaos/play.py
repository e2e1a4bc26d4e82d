"""Playing one row: furnish, strike, drain, check. The result is a plain value, and a file."""

import json
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from chaos import checker, history
from chaos.arena import Arena, Unmet
from chaos.plan import Plan
from chaos.row import NotPlayed, Row, Size
from homing.engines.engine import EngineName

#: Width of a column of the picture.
COLUMN_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row, played once."""

    row: str
    title: str
    engine: str
    server: str
    seed: int
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    explained: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)
    unmet: list[str] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)  # jobs ended in each column of COLUMN_S
    #: Seconds from the start: begin, end, name.
    struck: list[tuple[float, float, str]] = field(default_factory=list)
    columns_s: float = COLUMN_S
    not_played: str = ""  # why not
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.violations and not self.unmet and not self.not_played

    def line(self) -> str:
        """The result in one line."""
        if self.not_played:
            return f"{self.row:4} {self.engine:8} not played: {self.not_played}"
        counts = Counter(self.counts)
        window = counts["lost in the window"]
        struck = ", ".join(f"{count:,} {name}" for name, count in self.faults.items())
        return (
            f"{self.row:4} {self.engine:8} {'ok  ' if self.good else 'FAIL'} {self.seconds:6.1f} s  "
            f"{counts['enqueued']:>9,} jobs  {counts['lost']:,} lost  {counts['extra runs']:,} extra runs  "
            f"{counts['stale ends']:,} stale ends  "
            f"{f'{window:,} lost in the window  ' if window else ''}{struck}"
        )


def play(
    row: Row, size: Size, *, engine: EngineName, seed: int, folder: Path, path: tuple[str, ...] = ()
) -> Result:
    """Play a row in a new folder; its histories and logs stay there.

    Workers and producers import from the folders of `path` before all others.
    """
    folder.mkdir(parents=True)
    named = Result(row=row.name, title=row.title, engine=engine, server=row.site.server, seed=seed)
    try:
        return _played(row, size, engine=engine, seed=seed, folder=folder, path=path)
    except NotPlayed as why:
        return replace(named, not_played=str(why))
    except (TimeoutError, subprocess.TimeoutExpired) as never:
        return replace(named, unmet=[f"what was waited for did not happen: {never}"])


def _played(
    row: Row, size: Size, *, engine: EngineName, seed: int, folder: Path, path: tuple[str, ...]
) -> Result:
    plan = Plan(
        url="",
        folder=str(folder),
        engine=engine,
        seed=seed,
        lease_ms=row.lease_ms,
        long_leases=row.long_leases,
        mix=dict(row.mix),
        path=path,
    )
    started_s = time.monotonic()
    with row.arena(folder, row.site, plan, size.jobs, seed) as arena:
        try:
            _strike(arena, row, size)
        except Unmet as missed:
            arena.unmet.append(str(missed))
        final = arena.finish()
        rss = [round(value, 1) for value in arena.rss]
    account = history.read(folder / "history")
    verdict = checker.check(account, final, lease_ms=row.lease_ms)
    return Result(
        row=row.name,
        title=row.title,
        engine=engine,
        server=row.site.server,
        seed=seed,
        seconds=round(time.monotonic() - started_s, 1),
        faults=dict(Counter(fault.name for fault in account.faults)),
        counts=dict(sorted(verdict.counts.items())),
        explained=dict(verdict.explained),
        violations=verdict.violations,
        unmet=[*arena.unmet, *(sentence for ask in row.asks if (sentence := ask(verdict)))],
        rss_mib=[rss[0], max(rss), rss[-1]] if rss else [],
        notes=arena.notes(),
        **_picture(account),
    )


def _strike(arena: Arena, row: Row, size: Size) -> None:
    arena.ready()
    arena.history.write("phase", "strike")
    until_s = time.monotonic() + size.seconds
    strikes = 0
    while strikes < size.strikes or time.monotonic() < until_s:
        arena.dice.choice(row.strikes)(arena)
        strikes += 1


def write(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result)))


def read(path: Path) -> Result:
    return Result(**json.loads(path.read_text()))


def _picture(account: history.Account) -> dict[str, Any]:
    """Throughput and faults over time."""
    ends = [run.end_ns for runs in account.runs.values() for run in runs if run.end_ns is not None]
    if not ends:
        return {"ended": [], "struck": []}
    start_ns = min(account.tried_ns.values())
    columns = Counter(int((end - start_ns) / 1e9 / COLUMN_S) for end in ends)
    return {
        "ended": [columns[at] for at in range(max(columns) + 1)],
        "struck": [
            (
                round((fault.begin_ns - start_ns) / 1e9, 3),
                round(((fault.end_ns or fault.begin_ns) - start_ns) / 1e9, 3),
                fault.name,
            )
            for fault in account.faults
        ],
    }
