"""Lists without asyncio: LMOVE to an active list, run, LREM, all of a batch in one flight.

python -m benchmarks.loops.lists_sync worker
"""

import os
import sys
from typing import Any

import redis

from benchmarks.loops.jobs import ACTIVE, BATCH, BLOCK_MS, WAITING, body, run
from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import CONCURRENCY, URL


def work() -> None:
    """The active list grows at its right end and is emptied from its left: LREM finds its job at once."""
    client: Any = redis.Redis.from_url(URL)
    active, batch, done = f"{ACTIVE}:{os.getpid()}", CONCURRENCY or BATCH, list[bytes]()
    while True:
        pipe = client.pipeline(transaction=False)
        for text in done:
            pipe.execute_command("LREM", active, 1, text)
        for _ in range(batch):
            pipe.execute_command("LMOVE", WAITING, active, "LEFT", "RIGHT")
        done = [text for text in pipe.execute()[len(done) :] if text is not None]
        if not done:
            text = client.execute_command("BLMOVE", WAITING, active, "LEFT", "RIGHT", BLOCK_MS / 1_000)
            done = [text] if text is not None else []
        for text in done:
            run(text)


class Producer(SyncProducer):
    bulk = True

    def open(self) -> None:
        self.client: Any = redis.Redis.from_url(URL)

    def close(self) -> None:
        self.client.close()

    def put(self, task: str, n: int, padding: str) -> Any:
        return self.client.execute_command("RPUSH", WAITING, body(task, n, padding))

    def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        self.client.execute_command("RPUSH", WAITING, *(body(task, n, padding) for n, padding in jobs))


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        work()
    else:
        main(Producer())
