"""A bare EVALSHA round trip that stores a job: the least that one enqueue by a script can cost."""

import hashlib
from typing import Any

import redis
import redis.asyncio

from benchmarks.loops.jobs import STREAM, body
from benchmarks.peers.producer import AsyncProducer, SyncProducer, main
from benchmarks.peers.witness import URL

BODY = "return redis.call('XADD', KEYS[1], '*', 'job', ARGV[1])"
SHA = hashlib.sha1(BODY.encode()).hexdigest()


class Sync(SyncProducer):
    def open(self) -> None:
        self.client: Any = redis.Redis.from_url(URL)
        self.client.script_load(BODY)

    def close(self) -> None:
        self.client.close()

    def put(self, task: str, n: int, padding: str) -> Any:
        return self.client.evalsha(SHA, 1, STREAM, body(task, n, padding))


class Async(AsyncProducer):
    async def open(self) -> None:
        self.client: Any = redis.asyncio.Redis.from_url(URL)
        await self.client.script_load(BODY)

    async def close(self) -> None:
        await self.client.aclose()

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await self.client.evalsha(SHA, 1, STREAM, body(task, n, padding))


if __name__ == "__main__":
    main(Sync(), Async())
