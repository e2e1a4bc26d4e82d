"""One cell: 100 jobs run in one worker, some of its processes are killed, and what happens then is read."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.witness import JOBS
from benchmarks.processes import kill
from benchmarks.recovery.setups import Scenario, Setup
from benchmarks.setups import producer
from benchmarks.stage import Stage, asked_for

LOOK_S = 0.02


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
    """`run` gives the figure and leaves nothing behind."""

    setup: Setup
    scenario: Scenario
    programs: Path  # the `bin` of its environment
    cap_s: float
    stage: Stage = field(init=False)

    def run(self) -> Figure:
        told = {"BENCH_SETUP": self.setup.name, "BENCH_TASKS": "sleep"}
        try:
            with Stage(self.programs, told) as self.stage:
                return self.measure()
        except Exception as error:
            return Figure(self.scenario, failed=f"{type(error).__name__}: {error}")

    def measure(self) -> Figure:
        stage = self.stage
        self.worker("first")
        stage.wait(lambda: stage.connections() > 1, "the worker connects to the server", look_s=LOOK_S)
        stage.ask(producer(self.setup.module), "singly", asked_for(task="sleep", count=JOBS))
        stage.wait(lambda: len(self.starts()) == JOBS, f"{JOBS} jobs run at once", look_s=LOOK_S)
        if self.scenario == "tree":
            before = stage.connections()
            self.worker("second")
            stage.wait(lambda: stage.connections() > before, "the second worker connects", look_s=LOOK_S)
            stage.wait_for_rest("second")
        tree = stage.tree("first")
        starts = self.starts()
        # The processes that run the jobs, as the kernel's killer would choose them; or all of the host's.
        running = {pid for lines in starts.values() for pid, _ in lines} & tree
        victims = running if self.scenario == "child" else tree
        twice = sum(len(lines) > 1 for lines in starts.values())
        killed_ns = time.monotonic_ns()
        self.kill(victims)
        return self.watch(Figure(self.scenario, killed=len(victims), twice=twice), victims, killed_ns)

    def worker(self, name: str) -> None:
        self.stage.begin(name, self.setup.worker)

    def kill(self, victims: set[int]) -> None:
        root = self.stage.roots["first"].pid
        kill(victims & {root})  # first, so that it cannot start another
        kill(victims - {root})
        if self.scenario == "tree":
            while rest := self.stage.tree("first"):
                kill(rest)

    def watch(self, figure: Figure, victims: set[int], killed_ns: int) -> Figure:
        end, first = time.monotonic() + self.cap_s, self.stage.roots["first"]
        while figure.again < JOBS and time.monotonic() < end:
            if self.scenario == "child" and not figure.restarted and first.poll() is not None:
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

    def starts(self) -> dict[int, list[tuple[int, int]]]:
        """Per job the (pid, time in ns) of each start."""
        found: dict[int, list[tuple[int, int]]] = {}
        path = self.stage.folder / "starts"
        for line in path.read_text().splitlines() if path.exists() else ():
            number, pid, at = line.split()
            found.setdefault(int(number), []).append((int(pid), int(at)))
        return found
