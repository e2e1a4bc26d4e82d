"""What a job costs the server when many others wait: enqueued, claimed and settled beside 10^3 to 10^6 that stay.

The depths take turns, so that a noisy machine disturbs them alike; each figure is a median of 9. No worker: the
engine's own verbs from one plain client.

A table that has grown to a million is moved to its new place bit by bit, by the commands that come next: for some
30,000 jobs each costs the server half as much again. The figures are those of depth, not of growth, so each queue
first has that behind it.
"""

import statistics
import time
from collections.abc import Callable
from typing import cast

from benchmarks.readings import read
from benchmarks.scenarios.scene import Figures, Run
from benchmarks.stage import Silent
from homing.client import Client
from homing.engines import make
from homing.engines.engine import Engine, EngineName
from homing.ids import new_id, new_worker_id
from homing.job import Ack, NewJob, Settlement
from homing.keys import Keys
from homing.target import Target

DEPTHS = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS = 9
#: Jobs of one round, and of one call.
JOBS, BATCH = 2_000, 100
FILL = 1_000
#: Jobs that go through each queue before anything counts.
SETTLE_JOBS = 50_000
PAYLOAD = b'[["' + b"x" * 181 + b'"],{}]'


class Deep:
    """A queue in which `depth` jobs wait and go on waiting: one that ends is replaced."""

    def __init__(self, client: Client, engine: EngineName, depth: int) -> None:
        self.client, self.depth = client, depth
        self.verbs: Engine = make(engine, Keys(f"work-{depth}"))
        self.worker, self.sent, self.claimed = new_worker_id("deep"), 0, 0
        client.run(self.verbs.register(self.worker))
        for _ in range(depth // FILL):
            self.enqueue(FILL)

    def enqueue(self, count: int) -> None:
        self.sent += 1
        jobs = [NewJob(id=new_id(), task="send_email", payload=PAYLOAD) for _ in range(count)]
        self.client.run(self.verbs.enqueue(jobs, lane="deep", number=self.sent))

    def turn(self) -> None:
        """A batch comes, one is claimed, and ends."""
        self.enqueue(BATCH)
        self.claimed += 1
        claim = self.client.run(self.verbs.claim(self.worker, limit=BATCH, number=self.claimed))
        ends = [Settlement(job.id, job.ref, Ack()) for job in claim.jobs]
        settled = self.client.run(self.verbs.settle(self.worker, ends))
        if settled.done != BATCH:
            raise Silent(f"{settled.done} of {BATCH} jobs were settled at depth {self.depth}")


def depths(run: Run) -> Figures:
    engine = cast("EngineName", run.setup.name.split()[0])
    reached = DEPTHS[:2] if run.trial else DEPTHS
    with run.scene("nothing", 1) as scene, Client(Target.parse(scene.stage.url)) as client:
        queues = [Deep(client, engine, depth) for depth in reached]
        for queue in queues:
            for _ in range((JOBS if run.trial else SETTLE_JOBS) // BATCH):
                queue.turn()
            client.run(queue.verbs.tick([queue.worker]))
        costs, times = (
            {depth: list[float]() for depth in reached},
            {depth: list[float]() for depth in reached},
        )
        for _ in range(ROUNDS):
            for queue in queues:
                client.run(queue.verbs.tick([queue.worker]))
                server, wall = _cost(lambda: read(scene.stage.client).cpu_us, queue)
                costs[queue.depth].append(server)
                times[queue.depth].append(wall)
        for queue in queues:
            counts = client.run(queue.verbs.counts())
            if counts.waiting != queue.depth:
                raise Silent(f"{counts.waiting} jobs wait, and {queue.depth} should")
    return _figures(costs, times)


def _cost(cpu_us: Callable[[], float], queue: Deep) -> tuple[float, float]:
    before, began = cpu_us(), time.perf_counter()
    for _ in range(JOBS // BATCH):
        queue.turn()
    wall = time.perf_counter() - began
    return (cpu_us() - before) / JOBS, 1e6 * wall / JOBS


def _figures(costs: dict[int, list[float]], times: dict[int, list[float]]) -> Figures:
    figures = Figures()
    for depth, values in costs.items():
        figures[f"server_us_at_{depth}"] = statistics.median(values)
        figures[f"us_at_{depth}"] = statistics.median(times[depth])
    shallow, deep = min(costs), max(costs)
    figures["depth"] = deep
    figures["server_ratio"] = figures[f"server_us_at_{deep}"] / figures[f"server_us_at_{shallow}"]
    figures["ratio"] = figures[f"us_at_{deep}"] / figures[f"us_at_{shallow}"]
    return figures
