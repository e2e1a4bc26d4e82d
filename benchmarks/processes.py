"""Every process that belongs to a worker, found by a word in its environment: also one whose parent is gone."""

import os
import signal
from contextlib import suppress
from pathlib import Path

MARK = "BENCH_WORKER"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree_of(mark: str, root: int = 0) -> set[int]:
    """The living processes that carry this mark, and all below `root`: a program may overwrite its environment."""
    word = f"{MARK}={mark}\0".encode()
    found, parents = set(), {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in "ZX":
                continue
            parents[int(entry.name)] = int(parent)
            if word in (entry / "environ").read_bytes():
                found.add(int(entry.name))
    if root in parents:
        found.add(root)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def cpu_s(pids: set[int]) -> float:
    """Seconds of processor time that these have had since their start."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S
