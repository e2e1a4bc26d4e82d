"""How many no-op async jobs a second one worker drains, beside a hand-written loop over the same scripts.

    python benchmarks/drain.py [--jobs 50000] [--engine streams] [--rounds 3] [--url URL]

Without a URL it starts a server of its own in a temporary folder.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from homing import App
from homing.aclient import AsyncClient
from homing.embedded import join
from homing.engines import make
from homing.engines.engine import EngineName
from homing.ids import new_id, new_worker_id
from homing.job import Ack, NewJob, Settlement
from homing.keys import Keys
from homing.target import Target

BATCH = 500


async def fill(client: AsyncClient, engine: EngineName, queue: str, jobs: int) -> None:
    verbs = make(engine, Keys(queue))
    await client.run(verbs.open())
    for start in range(0, jobs, 1_000):
        batch = [
            NewJob(id=new_id(), task="nothing", payload=b"[[1],{}]") for _ in range(min(1_000, jobs - start))
        ]
        await client.run(verbs.enqueue(batch, lane=f"bench-{queue}", number=start + 1))


async def by_hand(client: AsyncClient, engine: EngineName, queue: str, jobs: int) -> float:
    """Claim, run and settle in a plain loop, the next claim in flight while the last batch settles."""
    verbs = make(engine, Keys(queue))
    worker = new_worker_id("hand")
    await client.run(verbs.register(worker))

    async def nothing(n: int) -> None:
        return None

    done, number = 0, 1
    started = time.perf_counter()
    claim = await client.run(verbs.claim(worker, limit=BATCH, number=number))
    while claim.jobs:
        settlements = []
        for job in claim.jobs:
            await nothing(1)
            settlements.append(Settlement(job.id, job.ref, Ack()))
        number += 1
        settled, claim = await asyncio.gather(
            client.run(verbs.settle(worker, settlements)),
            client.run(verbs.claim(worker, limit=BATCH, number=number)),
        )
        done += settled.done
    spent = time.perf_counter() - started
    assert done == jobs, (done, jobs)
    return jobs / spent


async def by_worker(url: str, engine: EngineName, queue: str, jobs: int) -> float:
    app = App(url)

    @app.task(queue=queue, engine=engine)
    async def nothing(n: int) -> None:
        return None

    worker = app.worker()
    started = time.perf_counter()
    async with worker:
        while worker.counts["completed"] < jobs:  # noqa: ASYNC110 - what the server has answered, not the handlers
            await asyncio.sleep(0.002)
        spent = time.perf_counter() - started
    await app.aclose()
    return jobs / spent


async def measure(url: str, engine: EngineName, jobs: int, rounds: int) -> None:
    client = AsyncClient(Target.parse(url))
    for number in range(rounds):
        await fill(client, engine, f"hand{number}", jobs)
        hand = await by_hand(client, engine, f"hand{number}", jobs)
        await fill(client, engine, f"worker{number}", jobs)
        worker = await by_worker(url, engine, f"worker{number}", jobs)
        print(
            f"{engine}: by hand {hand:>8,.0f} jobs/s, worker {worker:>8,.0f} jobs/s, "
            f"ratio {worker / hand:.2f}"
        )
    await client.aclose()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--engine", choices=["lists", "streams"], default="streams")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        membership = None if options.url else join(Path(folder))
        url = options.url or (membership.url if membership else "")
        try:
            uvloop.run(measure(url, options.engine, options.jobs, options.rounds))
        finally:
            if membership is not None:
                membership.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
