"""The command: python -m chaos short | pass | row NAME | table. Its last line is the verdict as JSON."""

import argparse
import json
import random
import shutil
import sys
from pathlib import Path
from typing import get_args

from chaos.play import Result, play
from chaos.report import write_page
from chaos.rows import BY_NAME, ROWS
from homing.engines.engine import EngineName

FOLDER = Path(".chaos")
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("what", choices=["short", "pass", "row"])
    parser.add_argument("names", nargs="*", help="rows, for `row`: N1 N2 …")
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--size", choices=["full", "reduced", "short"], help="how much of each row")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where histories and results go")
    return parser.parse_args()


def main() -> int:
    asked = _parsed()
    seed = random.SystemRandom().randrange(1 << 31) if asked.seed is None else asked.seed
    size_name = asked.size or {"short": "short", "pass": "reduced", "row": "full"}[asked.what]
    rows = [BY_NAME[name] for name in asked.names] or list(ROWS)
    print(f"seed {seed}", flush=True)
    results: list[Result] = []
    for row in rows:
        size = getattr(row, size_name)
        if size is None:
            continue
        for engine in asked.engine or ENGINES:
            folder = asked.folder.resolve() / f"{row.name}-{engine}-{seed}-{size_name}"
            shutil.rmtree(folder, ignore_errors=True)
            result = play(row, size, engine=engine, seed=seed, folder=folder)
            results.append(result)
            _tell(result, folder)
    write_page(results, asked.folder / "report.html")
    bad = [f"{one.row}/{one.engine}" for one in results if not one.good]
    print(json.dumps({"seed": seed, "size": size_name, "played": len(results), "failed": bad}))
    return 1 if bad else 0


def _tell(result: Result, folder: Path) -> None:
    print(result.line(), flush=True)
    for name, sentences in result.violations.items():
        for sentence in sentences[:5]:
            print(f"       {name}: {sentence}", flush=True)
    for sentence in result.unmet:
        print(f"       asked: {sentence}", flush=True)
    if result.good:
        shutil.rmtree(folder / "history")
        shutil.rmtree(folder / "server", ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
