"""The mutation gate: builds of homing that are broken on purpose, each of which the harness must catch.

Each is a patch in `chaos/sabotage/`, applied to a copy of the package that the workers and producers of a
run import in place of the real one; the harness itself stays whole. A row that catches one is also
played with the build as it is, and must be good: what it says of the broken one is worth as much.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaos import play as playing
from chaos.play import Result
from chaos.row import Row, Size
from chaos.rows import BY_NAME
from homing.engines.engine import EngineName

ROOT = Path(__file__).resolve().parent.parent
PATCHES = Path(__file__).with_name("sabotage")
#: A broken build gets so many plays, each with the next seed.
TRIES = 3
#: Broken builds seldom drain: who makes no progress for so long will make none.
STILL_S, PATIENCE_S = 10.0, 15.0

#: How much of a row is enough to see.
PLAYED: Mapping[str, Size] = {
    "N0": Size(strikes=12, jobs=4_000),
    "N1": Size(strikes=6, jobs=8_000),
    "N2": Size(strikes=2, jobs=4_000),
    "N3": Size(strikes=1, jobs=3_000),
    "N8": Size(strikes=30, jobs=3_000),
    "N10": Size(strikes=3, jobs=1_000),
    "N11": Size(strikes=2, jobs=4_000),
    "N14": Size(strikes=1, jobs=2_000),
    "N18": Size(strikes=1, jobs=3_000),
    "N20": Size(strikes=1, jobs=800),
}
#: What is other than in the table: fewer trees to wait for, and jobs that end before a second copy comes.
FURNISHED: Mapping[str, Mapping[str, Any]] = {"N2": {"trees": 3}, "N3": {"trees": 3}, "N10": {"pace": 300.0}}


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """One broken build, and where it must show."""

    name: str  # of its patch
    row: str
    engine: EngineName

    @property
    def patch(self) -> Path:
        return PATCHES / f"{self.name}.patch"

    @property
    def title(self) -> str:
        """What is broken: the first line of its patch."""
        return self.patch.read_text().partition("\n")[0]


ALL = (
    Sabotage(name="acked-at-claim", row="N1", engine="lists"),
    Sabotage(name="ack-without-fence", row="N2", engine="streams"),
    Sabotage(name="tick-without-fence", row="N2", engine="streams"),
    Sabotage(name="enqueue-without-lanes", row="N10", engine="lists"),
    Sabotage(name="no-heartbeat", row="N0", engine="lists"),
    Sabotage(name="lease-on-wall-clock", row="N18", engine="streams"),
    Sabotage(name="no-noscript-fallback", row="N8", engine="streams"),
    Sabotage(name="group-at-the-end", row="N0", engine="streams"),
    Sabotage(name="consumer-deleted-unasked", row="N1", engine="streams"),
    Sabotage(name="scan-ends-early", row="N0", engine="streams"),
    Sabotage(name="clients-clock", row="N18", engine="lists"),
    Sabotage(name="held-unasked", row="N11", engine="lists"),
    Sabotage(name="all-are-charged", row="N20", engine="lists"),
    Sabotage(name="no-lean-settle", row="N14", engine="streams"),
    Sabotage(name="released-while-running", row="N3", engine="streams"),
)
BY_PATCH: Mapping[str, Sabotage] = {one.name: one for one in ALL}


def broken(patch: Path, folder: Path) -> Path:
    """A copy of the package with this patch, in a new folder; the path to import it from.

    Raises RuntimeError when the patch does not apply any more.
    """
    source = folder / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    # In a repository, git would pass over what is not below its root without a word.
    known = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    applied = subprocess.run(
        ["git", "apply", str(patch)], cwd=folder, env=known, capture_output=True, text=True, check=False
    )
    if applied.returncode:
        raise RuntimeError(f"{patch.name} does not apply any more: {applied.stderr.strip()}")
    return source


def play(names: Sequence[str], seed: int, folder: Path) -> int:
    """Play these broken builds, or all; the exit code. Prints a table, and the verdict as JSON."""
    began_s = time.monotonic()
    print(f"seed {seed}", flush=True)
    asked = [BY_PATCH[name] for name in names] or ALL
    good = dict[str, bool]()
    caught = 0
    for one in asked:
        where = f"{one.row}/{one.engine}"
        if where not in good:
            good[where] = _is_good(one.row, one.engine, seed, folder)
        caught += _is_caught(one, seed, folder)
    red = [where for where, is_good in good.items() if not is_good]
    seconds = round(time.monotonic() - began_s, 1)
    print(json.dumps({"caught": caught, "of": len(asked), "seconds": seconds, "seed": seed, "red": red}))
    return 0 if caught == len(asked) and not red else 1


def _is_good(row: str, engine: EngineName, seed: int, folder: Path) -> bool:
    result = _played(row, engine, seed, folder, ())
    _line("good" if result.good else "RED", result.seconds, "(as it is)", row, engine, _said(result))
    return result.good


def _is_caught(one: Sabotage, seed: int, folder: Path) -> bool:
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="homing-sabotage-") as copy:
        source = broken(one.patch, Path(copy))
        for attempt in range(TRIES):
            result = _played(one.row, one.engine, seed + attempt, folder, (str(source),))
            if not result.good:
                break
    caught = not result.good and not result.not_played
    seconds = time.monotonic() - began_s
    _line("caught" if caught else "ALIVE", seconds, one.name, one.row, one.engine, _said(result))
    print(f"        {one.title}", flush=True)
    return caught


def _played(name: str, engine: EngineName, seed: int, folder: Path, path: tuple[str, ...]) -> Result:
    place = folder / f"{name}-{engine}-{seed}-{'broken' if path else 'whole'}"
    shutil.rmtree(place, ignore_errors=True)
    row = _row(name, hasty=bool(path))
    result = playing.play(row, PLAYED[name], engine=engine, seed=seed, folder=place, path=path)
    if path or result.good:  # what failed as it is, is kept
        shutil.rmtree(place)
    return result


def _row(name: str, *, hasty: bool) -> Row:
    """The build as it is gets all the time that a row has."""
    row = BY_NAME[name]
    times: dict[str, Any] = {"still_s": STILL_S, "patience_s": PATIENCE_S} if hasty else {}
    return replace(row, site=replace(row.site, **times, **FURNISHED.get(name, {})))


def _said(result: Result) -> str:
    """The first thing that is wrong with it, and what else is."""
    if result.not_played:
        return f"not played: {result.not_played}"
    first = [f"{name}: {sentences[0]}" for name, sentences in result.violations.items()]
    first += [f"asked: {sentence}" for sentence in result.unmet]
    others = f" (and {', '.join(one.partition(':')[0] for one in first[1:])})" if first[1:] else ""
    return first[0] + others if first else ""


def _line(what: str, seconds: float, name: str, row: str, engine: str, said: str) -> None:
    print(f"{what:7} {seconds:6.1f} s  {name:25} {row:5} {engine:8} {said}", flush=True)
