"""Streams without asyncio: read a batch, run it, acknowledge it in one flight with the next read.

python -m benchmarks.loops.streams_sync worker
"""

import os
import sys
from typing import Any

import redis

from benchmarks.loops.jobs import BATCH, BLOCK_MS, GROUP, STREAM, body, entries, run
from benchmarks.peers.producer import SyncProducer, main
from benchmarks.peers.witness import CONCURRENCY, URL


def connected() -> Any:
    client: Any = redis.Redis.from_url(URL)
    client.set_response_callback("XREADGROUP", lambda answer, **_: answer)
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    return client


def work() -> None:
    client, consumer, done = connected(), f"worker-{os.getpid()}", list[bytes]()
    while True:
        pipe = client.pipeline(transaction=False)
        if done:
            pipe.execute_command("XACK", STREAM, GROUP, *done)
            pipe.execute_command("XDEL", STREAM, *done)
        pipe.execute_command(
            "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", CONCURRENCY or BATCH, "BLOCK", BLOCK_MS, "STREAMS", STREAM, ">",
        )  # fmt: skip
        done = []
        for entry, fields in entries(pipe.execute()[-1]):
            run(fields[1])
            done.append(entry)


class Producer(SyncProducer):
    bulk = True

    def open(self) -> None:
        self.client = connected()

    def close(self) -> None:
        self.client.close()

    def put(self, task: str, n: int, padding: str) -> Any:
        return self.client.execute_command("XADD", STREAM, "*", "job", body(task, n, padding))

    def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        pipe = self.client.pipeline(transaction=False)
        for n, padding in jobs:
            pipe.execute_command("XADD", STREAM, "*", "job", body(task, n, padding))
        pipe.execute()


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        work()
    else:
        main(Producer())
