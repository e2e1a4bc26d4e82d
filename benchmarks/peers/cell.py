"""One cell: 100 jobs run in one worker, some of its processes are killed, and what happens then is read."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.processes import MARK, cpu_s, kill, tree_of
from benchmarks.peers.setups import Scenario, Setup
from benchmarks.peers.witness import JOBS
from tests.servers import free_ports, start

ROOT = Path(__file__).parent.parent.parent
#: Until every job has run for the first time, and until a second worker is at rest.
START_S = 90.0
LOOK_S = 0.02
#: A worker that has had less processor time than this share of a second is at rest: it waits for work.
REST_SHARE = 0.15
REST_AFTER_S = 3.0


@dataclass(slots=True)
class Figure:
    """What one cell showed. Times are seconds from the kill to a job's next start in a living process."""

    scenario: Scenario
    seconds: float | None = None  # until all were running again; None when they were not at the cap
    first: float | None = None
    again: int = 0
    killed: int = 0  # processes
    restarted: bool = False  # the benchmark had to start the worker again: no process of it was left
    twice: int = 0  # jobs that had been started twice before anything was killed
    failed: str = ""  # why there is no figure


@dataclass(slots=True)
class Cell:
    """Its folder, server and workers; `run` gives the figure and leaves nothing behind."""

    setup: Setup
    scenario: Scenario
    programs: Path  # the `bin` of its environment
    cap_s: float
    folder: Path = field(init=False)
    url: str = field(init=False)
    marks: list[str] = field(default_factory=list)
    roots: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def run(self) -> Figure:
        try:
            with ExitStack() as stack:
                self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recovery-")))
                port, _ = free_ports()
                address = {"port": str(port), "bind": "127.0.0.1"}
                server = stack.enter_context(start("valkey-9.1", self.folder / "server", **address))
                self.url = f"redis://127.0.0.1:{port}/0"
                stack.callback(self.end)
                with server.redis() as client:
                    return self.measure(lambda: len(client.client_list()))
        except Exception as error:
            return Figure(self.scenario, failed=f"{type(error).__name__}: {error}")

    def measure(self, connections: Callable[[], int]) -> Figure:
        self.worker("first")
        self.wait(lambda: connections() > 1, "the worker connects to the server")
        self.enqueue()
        self.wait(lambda: len(self.starts()) == JOBS, f"{JOBS} jobs run at once")
        if self.scenario == "tree":
            before = connections()
            self.worker("second")
            self.wait(lambda: connections() > before, "the second worker connects to the server")
            self.wait_for_rest("second")
        tree = self.tree("first")
        starts = self.starts()
        # The processes that run the jobs, as the kernel's killer would choose them; or all of the host's.
        running = {pid for lines in starts.values() for pid, _ in lines} & tree
        victims = running if self.scenario == "child" else tree
        twice = sum(len(lines) > 1 for lines in starts.values())
        killed_ns = time.monotonic_ns()
        self.kill(victims)
        return self.watch(Figure(self.scenario, killed=len(victims), twice=twice), victims, killed_ns)

    def kill(self, victims: set[int]) -> None:
        root = self.roots["first"].pid
        kill(victims & {root})  # first, so that it cannot start another
        kill(victims - {root})
        if self.scenario == "tree":
            while rest := self.tree("first"):
                kill(rest)

    def watch(self, figure: Figure, victims: set[int], killed_ns: int) -> Figure:
        end = time.monotonic() + self.cap_s
        while figure.again < JOBS and time.monotonic() < end:
            if self.scenario == "child" and not figure.restarted and self.roots["first"].poll() is not None:
                self.worker("first")  # what a process manager would do at once
                figure.restarted = True
            time.sleep(LOOK_S)
            times = sorted(
                min(max(0.0, (at - killed_ns) / 1e9) for _, at in living)
                for lines in self.starts().values()
                if (living := [line for line in lines if line[0] not in victims])
            )
            figure.again = len(times)
            figure.first = times[0] if times else None
            figure.seconds = times[-1] if len(times) == JOBS else None
        return figure

    def worker(self, name: str) -> None:
        mark = f"{self.folder.name}-{name}"
        self.marks.append(mark)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.roots[name] = subprocess.Popen(
                self.command(self.setup.worker, name),
                cwd=self.folder,
                env=self.environment() | {MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def enqueue(self) -> None:
        with (self.folder / "enqueue.log").open("ab") as log:
            subprocess.run(
                self.command(self.setup.enqueue, ""),
                cwd=self.folder, env=self.environment(), stdout=log, stderr=log, timeout=START_S, check=True,
            )  # fmt: skip

    def command(self, words: tuple[str, ...], name: str) -> list[str]:
        return [word.format(bin=self.programs, url=self.url, name=name) for word in words]

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "TMPDIR"}}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "RECOVERY_URL": self.url,
            "RECOVERY_SETUP": self.setup.name,
            "RECOVERY_WITNESS": str(self.folder / "witness"),
        }

    def tree(self, name: str) -> set[int]:
        root = self.roots[name]
        return tree_of(f"{self.folder.name}-{name}", root.pid if root.poll() is None else 0)

    def starts(self) -> dict[int, list[tuple[int, int]]]:
        """Per job the (pid, time in ns) of each start."""
        found: dict[int, list[tuple[int, int]]] = {}
        path = self.folder / "witness"
        for line in path.read_text().splitlines() if path.exists() else ():
            number, pid, at = line.split()
            found.setdefault(int(number), []).append((int(pid), int(at)))
        return found

    def wait(self, true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + START_S
        while not true():
            ended = [name for name, process in self.roots.items() if process.poll() is not None]
            if ended:
                raise RuntimeError(f"{what}: the {ended[0]} worker ended by itself; {self.last_words()}")
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {START_S:.0f} s; {self.last_words()}")
            time.sleep(LOOK_S)

    def wait_for_rest(self, name: str) -> None:
        """Until this worker has its imports behind it and waits for work."""
        threading.Event().wait(REST_AFTER_S)
        before = -1.0

        def rests() -> bool:
            nonlocal before
            threading.Event().wait(1.0)
            last, before = before, cpu_s(self.tree(name))
            return 0 <= before - last < REST_SHARE

        self.wait(rests, f"the {name} worker rests")

    def last_words(self) -> str:
        lines = [line for path in sorted(self.folder.glob("*.log")) for line in path.read_text().splitlines()]
        return " | ".join(lines[-6:])[-600:]

    def end(self) -> None:
        for name in self.roots:
            while rest := self.tree(name):
                kill(rest)
            self.roots[name].wait()
