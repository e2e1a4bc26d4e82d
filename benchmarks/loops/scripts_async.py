"""A plain asyncio loop over homing's own scripts: what the worker around them costs is the difference to it.

Claim, run and settle, the next claim in flight while the last batch settles. No tick: a run is shorter than a lease,
or its claims keep it.

    python -m benchmarks.loops.scripts_async worker
"""

import asyncio
import sys
from typing import Any, cast

import msgspec
import uvloop

from benchmarks.loops.jobs import BATCH
from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import ASYNC, CONCURRENCY, SETUP, URL
from homing.aclient import AsyncClient
from homing.engines import make
from homing.engines.engine import EngineName
from homing.ids import new_id, new_worker_id
from homing.job import Ack, NewJob, Settlement
from homing.keys import Keys
from homing.target import Target

VERBS = make(cast("EngineName", SETUP.split()[0] if SETUP != "default" else "streams"), Keys("work"))
#: How long an idle loop waits before it claims again: it listens to no bell.
IDLE_S = 0.01
#: So that a run on a busy machine is slow instead of failing.
DEADLINE_S = 60.0


async def work() -> None:
    client, worker, number = AsyncClient(Target.parse(URL), deadline=DEADLINE_S), new_worker_id("hand"), 1
    decode = msgspec.json.Decoder(tuple[tuple[int, str], dict[str, Any]]).decode
    limit = min(CONCURRENCY or BATCH, BATCH)
    await client.run(VERBS.register(worker))
    claim = await client.run(VERBS.claim(worker, limit=limit, number=number))
    while True:
        settlements = []
        for job in claim.jobs:
            (n, padding), _ = decode(job.payload)
            await ASYNC[job.task](n, padding)
            settlements.append(Settlement(job.id, job.ref, Ack()))
        number += 1
        claiming = client.run(VERBS.claim(worker, limit=limit, number=number))
        if settlements:
            _, claim = await asyncio.gather(client.run(VERBS.settle(worker, settlements)), claiming)
        else:
            await client.run(VERBS.tick([worker]))
            claim = await claiming
        if not claim.jobs:
            await asyncio.sleep(IDLE_S)


class Producer(AsyncProducer):
    bulk = True

    async def open(self) -> None:
        self.client, self.number = AsyncClient(Target.parse(URL), deadline=DEADLINE_S), 0
        await self.client.run(VERBS.open())

    async def close(self) -> None:
        await self.client.aclose()

    async def put(self, task: str, n: int, padding: str) -> Any:
        await self.put_many(task, [(n, padding)])

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        self.number += 1
        batch = [
            NewJob(id=new_id(), task=task, payload=msgspec.json.encode(((n, padding), {}))) for n, padding in jobs
        ]  # fmt: skip
        await self.client.run(VERBS.enqueue(batch, lane="loop", number=self.number))


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        uvloop.run(work())
    else:
        main(Producer())
