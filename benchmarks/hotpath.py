"""docs/data/hotpath.json: what `python -m benchmarks profile` and `python -m benchmarks lua` found, and its tables."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import stages, transitions
from benchmarks.bench import about

Told = dict[str, Any]


def profile(path: Path) -> None:
    """Measure the stages, print them with the dearest functions, and keep them."""
    found = _keep(path, "stages", stages.measure)
    print("\n".join([*stages.table(found), "", *stages.functions(found)]))


def lua(path: Path) -> None:
    """Count what the scripts take, print it, and keep it."""
    print("\n".join(transitions.table(_keep(path, "lua", transitions.measure))))


def _keep(path: Path, part: str, measure: Callable[[], Told]) -> Told:
    circumstances = about()
    found = measure()
    told = json.loads(path.read_text()) if path.exists() else {}
    told[part] = {"about": circumstances, "figures": found}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return found


def section(path: Path) -> Iterator[str]:
    """Lines of Markdown; none before anything was measured."""
    told: Told = json.loads(path.read_text()) if path.exists() else {}
    if "stages" in told:
        yield from ["", "## Where the time of a job goes", ""]
        yield _when(told["stages"]["about"], "python -m benchmarks profile")
        yield from [
            "Processor time of each process's main thread, by the function that ran, a thousand looks a second; jobs of",
            "200 bytes, async no-op tasks, defaults. *Enqueue many* is 1,000 in a call; the server is its whole process.",
            "",
        ]
        yield from stages.table(told["stages"]["figures"])
    if "lua" in told:
        yield from ["", "## What a transition takes in Lua", ""]
        yield _when(told["lua"]["about"], "python -m benchmarks lua")
        yield from [
            "Instructions are those of the Lua 5.1 machine, counted one by one while 1,000 other jobs wait; commands are what",
            "the script calls. Both are the same on any machine; the server's time is its main thread's, a median.",
            "",
        ]
        yield from transitions.table(told["lua"]["figures"])


def _when(circumstances: Told, command: str) -> str:
    return (
        f"`{command}`, {circumstances['began']}, load {circumstances['load']:.1f}, {circumstances['server']}, "
        f"CPython {circumstances['python']}."
    )
