"""The processes of a run: worker trees and producers, started as a user would, signalled as fate would."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.plan import PLAN, ROLE, Plan


def below(pid: int) -> list[int]:
    """Pids of the processes right below one."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(each) for each in (task / "children").read_text().split()]
    return found


def tree_of(pid: int) -> list[int]:
    """A process and all that is below it, parents first."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += below(found[-1])
    return found


def send(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def rss_mib(pid: int) -> float:
    """Resident memory, 0 for who is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _is_worker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"homing.worker.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@dataclass(slots=True)
class Process:
    """A worker's supervisor, or a producer."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[int]:
        """Its worker processes."""
        return [pid for pid in below(self.pid) if _is_worker(pid)]

    def tree(self) -> list[int]:
        return tree_of(self.pid)

    def kill_tree(self) -> None:
        """SIGKILL to all of it: what stands still goes too."""
        send(self.tree(), signal.SIGKILL)
        self.process.wait()


def import_path(folders: Sequence[str]) -> dict[str, str]:
    """Environment of a process that imports from these folders before all others."""
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([*folders, *([before] if before else [])])} if folders else {}


def start(name: str, words: list[str], plan: Plan, role: str, root: Path, **env: str) -> Process:
    """A Python process of a run, with its output in `<name>.log`."""
    log = Path(plan.folder) / f"{name}.log"
    known = os.environ | {PLAN: plan.write(), ROLE: role, **import_path(plan.path)} | env
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *words],
            env=known,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    return Process(process, log)
