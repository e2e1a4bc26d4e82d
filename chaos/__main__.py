"""The command: python -m chaos short | pass | row NAME… | table | sabotage NAME…

Its last line is the verdict as JSON.

What was played is kept as one file a part, and not played again: a run that was broken off goes on where
it was. `table` puts together all that was played in full. `sabotage` plays broken builds of homing, each
of which must be caught.
"""

import argparse
import json
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from chaos import gate, play
from chaos.play import Result
from chaos.report import publish, table, write_page
from chaos.row import Row, Size
from chaos.rows import BY_NAME, ROWS
from homing.engines.engine import EngineName

FOLDER = Path(".chaos")
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
#: What each word plays when nothing else is said.
SIZES = {"short": "short", "pass": "reduced", "row": "full", "table": "full"}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to play."""

    row: Row
    size: Size
    engine: EngineName
    seed: int
    name: str


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("what", choices=[*SIZES, "sabotage"])
    parser.add_argument("names", nargs="*", help="rows: N1 N2 …; for `sabotage` names of patches")
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--size", choices=["full", "reduced", "short"], help="how much of each row")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where histories and results go")
    parser.add_argument(
        "--docs", type=Path, help="for `table`: put it, and the raw figures, into the docs there"
    )
    return parser.parse_args()


def main() -> int:
    asked = _parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without what the arena's end takes away
    folder = asked.folder.resolve()
    if asked.what == "sabotage":
        return gate.play(asked.names, _seed(asked.seed), folder / "sabotage")
    size = asked.size or SIZES[asked.what]
    if asked.what == "table":
        return _table(folder, size, asked.docs)
    seed = _seed(asked.seed)
    rows = [BY_NAME[name] for name in asked.names] or list(ROWS)
    print(f"seed {seed}", flush=True)
    results = [_played(part, folder) for part in _parts(rows, size, asked.engine or ENGINES, seed)]
    write_page(results, folder / "report.html")
    named = {f"{one.row}/{one.engine}/{one.seed}": one for one in results}
    missing = {name: one.not_played for name, one in named.items() if one.not_played}
    bad = [name for name, one in named.items() if not one.good and name not in missing]
    verdict: dict[str, object] = {"seed": seed, "size": size, "played": len(results) - len(missing)}
    print(json.dumps(verdict | {"failed": bad} | ({"not played": missing} if missing else {})))
    return 1 if bad else 0


def _seed(asked: int | None) -> int:
    return random.SystemRandom().randrange(1 << 31) if asked is None else asked


def _parts(rows: list[Row], size_name: str, engines: tuple[EngineName, ...], seed: int) -> Iterator[Part]:
    for row in rows:
        size: Size | None = getattr(row, size_name)
        if size is None:
            continue
        for engine in engines:
            for number in range(size.parts):
                name = f"{row.name}-{engine}-{size_name}-{seed + number}"
                yield Part(row, size.part(), engine, seed + number, name)


def _played(part: Part, folder: Path) -> Result:
    """Its result: kept from before, or played now."""
    kept = folder / "results" / f"{part.name}.json"
    if kept.exists():
        result = play.read(kept)
        print(f"{result.line()}  (played before)", flush=True)
        return result
    place = folder / part.name
    shutil.rmtree(place, ignore_errors=True)
    result = play.play(part.row, part.size, engine=part.engine, seed=part.seed, folder=place)
    _tell(result)
    if result.good:  # of what failed everything is kept, and it is played again
        play.write(result, kept)
        shutil.rmtree(place)
    else:
        play.write(result, place / "result.json")
    return result


def _tell(result: Result) -> None:
    print(result.line(), flush=True)
    for what, found in result.notes.items():
        print(f"       {what}: {found}", flush=True)
    for name, sentences in result.violations.items():
        for sentence in sentences[:5]:
            print(f"       {name}: {sentence}", flush=True)
    for sentence in result.unmet:
        print(f"       asked: {sentence}", flush=True)


def _table(folder: Path, size: str, docs: Path | None) -> int:
    paths = sorted((folder / "results").glob(f"*-{size}-*.json"))
    results = [play.read(path) for path in paths]
    write_page(results, folder / "report.html")
    if docs is None:
        print(table(results))
    else:
        publish(results, docs)
    rows = sorted({one.row for one in results})
    print(json.dumps({"size": size, "played": len(results), "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
