"""One run of a scenario: how many jobs it needs, its stage, and the checks that every run ends with."""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_s
from benchmarks.readings import Reading, left, read
from benchmarks.setups import Call, Setup, producer
from benchmarks.stage import Silent, Stage, asked_for

Figures = dict[str, float]
#: How much longer than expected a run may take before it counts as failed.
PATIENCE = 20.0
LEAST_S = 60.0
#: After the last job ran, how long its acknowledgement may take.
ACK_S = 20.0


@dataclass(frozen=True, slots=True)
class Window:
    """From the first look at which a job, or a first wave of them, had run to the one at which all had."""

    jobs: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds

    @property
    def cpu_us(self) -> float:
        return 1e6 * self.cpu_s / self.jobs


@dataclass(slots=True)
class Scene:
    """A stage with the words of one queue: work, produce, watch."""

    stage: Stage
    setup: Setup
    task: str
    processes: int
    concurrency: int
    workers: list[str] = field(default_factory=list)

    def reading(self) -> Reading:
        return read(self.stage.client)

    def work(self, *words: str) -> None:
        """Start the worker; one that is a single process as often as there should be processes."""
        copies = self.processes if self.setup.alone else 1
        for _ in range(copies):
            name = f"worker-{len(self.workers) + 1}"
            self.workers.append(name)
            self.stage.begin(
                name,
                (*self.setup.worker, *words),
                processes=self.processes,
                concurrency=self.concurrency,
                threads=1 if self.task == "spin" else 64,
            )

    def produce(
        self, mode: str, *, calls: Call | None = None, timeout_s: float = 600.0, **options: object
    ) -> Any:
        """Run a producer to its end, and read what it says."""
        words = asked_for(task=self.task, calls=calls or self.setup.calls[-1], **options)
        return json.loads(self.stage.ask(producer(self.setup.module), mode, words, timeout_s=timeout_s))

    def pacer(self, **options: object) -> Any:
        """A producer that sends at a steady rate, begun and left running."""
        words = asked_for(task="nothing", calls=self.setup.calls[-1], **options)
        return self.stage.asked(producer(self.setup.module), "pace", words)

    def used_s(self) -> float:
        return cpu_s(set().union(*(self.stage.tree(name) for name in self.workers)))

    def watch(self, jobs: int, expected_s: float, *, first: int = 1, look_s: float = 0.005) -> Window:
        """From the `first` jobs on until this many have run.

        The look at a million jobs costs a copy of a megabyte: fewer of them.
        """
        look_s = max(look_s, jobs / 5e7)
        self.stage.wait(lambda: self.stage.ran() >= first, "the first job runs", look_s=look_s)
        began, before, cpu = time.perf_counter(), self.stage.ran(), self.used_s()
        limit_s = max(LEAST_S, expected_s * PATIENCE)
        self.stage.wait(lambda: self.stage.ran() >= jobs, f"{jobs} jobs run", limit_s=limit_s, look_s=look_s)
        spent, used = time.perf_counter() - began, self.used_s() - cpu
        if before >= jobs:
            raise Silent(f"all {jobs} jobs had run at the first look: too few to measure")
        return Window(jobs - before, spent, used)

    def settle(self) -> int:
        """Until the server holds no job any more. Returns how many ran twice, which only peers may."""
        self.stage.wait(lambda: self.held() == 0, "all jobs are acknowledged", limit_s=ACK_S, look_s=0.05)
        twice = self.stage.repeated()
        if twice and (self.setup.ours or self.setup.loop):
            raise Silent(f"{twice} jobs ran more than once")
        return twice

    def held(self) -> int:
        return left(self.stage.client, self.setup.holds)

    def check_stored(self, jobs: int) -> None:
        if (held := self.held()) != jobs:
            raise Silent(f"{jobs} jobs were enqueued, and the server holds {held}")


@dataclass(frozen=True, slots=True)
class Run:
    """What a scenario is given: a row, about how long to measure, and how fast the row is expected to be."""

    setup: Setup
    programs: Path
    seconds: float
    rate: float

    @property
    def trial(self) -> bool:
        """A try-out of less than a second: what has a size of its own (a million jobs) takes less, too."""
        return self.seconds < 1.0

    def jobs(self, rate: float | None = None, *, least: int = 200, most: int = 1_000_000) -> int:
        """As many as fill the time at this rate, in round numbers."""
        wanted = max(least, min(most, int(self.seconds * (rate or self.rate))))
        return math.ceil(wanted / 100) * 100

    @contextmanager
    def scene(
        self,
        task: str,
        jobs: int,
        *,
        processes: int = 1,
        concurrency: int | None = None,
        results: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[Scene]:
        """`concurrency` is set only where the cell asks for one; else it is the row's own."""
        told = (
            {
                "BENCH_SETUP": self.setup.name if not self.setup.loop else "default",
                "BENCH_TASKS": f"{task},nothing" if task == "stamp" else task,
                "BENCH_RESULTS": "1" if results else "",
                "BENCH_CONCURRENCY": str(concurrency or ""),
                "BENCH_PROCESSES": str(processes),
            }
            | dict(self.setup.variables)
            | dict(variables or {})
        )
        with Stage(self.programs, told, jobs) as stage:
            yield Scene(stage, self.setup, task, processes, concurrency or self.setup.concurrency)


def cores() -> int:
    return len(os.sched_getaffinity(0))
