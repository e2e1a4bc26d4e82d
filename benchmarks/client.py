"""What one call costs: a bare EVALSHA loop of redis-py against the clients, on a unix socket.

    .venv/bin/python benchmarks/client.py [server]

Prints microseconds per call and the ratio (under 1: homing is faster), the best of several rounds.
"""

import asyncio
import hashlib
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import redis
import redis.asyncio

from homing.aclient import AsyncClient
from homing.client import Client
from homing.command import Command, Script
from homing.target import Target
from tests.servers import Server, running

CALLS, ROUNDS = 4_000, 5
KEY, VALUE = "homing:{bench}:x", "x" * 200
BODY = "redis.call('SET', KEYS[1], ARGV[1]) return ARGV[1]"
SHA = hashlib.sha1(BODY.encode()).hexdigest()
SCRIPT = Script("bench", BODY, BODY, ("key",), ("value",), False, SHA, SHA)


def command() -> Command[bytes]:
    return Command(SCRIPT, (KEY,), (VALUE,), bytes, "bench")


def per_call_us(began: float) -> float:
    return (time.perf_counter() - began) / CALLS * 1e6


def sync(server: Server) -> tuple[float, float]:
    bare: Any = server.redis()
    with Client(Target.parse(server.url)) as client:
        client.run(command())
        theirs, ours = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(CALLS):
                bare.evalsha(SHA, 1, KEY, VALUE)
            theirs.append(per_call_us(began))
            began = time.perf_counter()
            for _ in range(CALLS):
                client.run(command())
            ours.append(per_call_us(began))
    return min(theirs), min(ours)


async def concurrent(server: Server) -> tuple[float, float]:
    bare: Any = redis.asyncio.Redis(**server.address)
    async with AsyncClient(Target.parse(server.url)) as client:
        await client.run(command())
        theirs, ours = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(CALLS):
                await bare.evalsha(SHA, 1, KEY, VALUE)
            theirs.append(per_call_us(began))
            began = time.perf_counter()
            for _ in range(CALLS):
                await client.run(command())
            ours.append(per_call_us(began))
    await bare.aclose()
    return min(theirs), min(ours)


if __name__ == "__main__":
    with running(sys.argv[1] if len(sys.argv) > 1 else "valkey-9.1") as started:
        for kind, (bare_us, ours_us) in (
            ("sync", sync(started)),
            ("asyncio", asyncio.run(concurrent(started))),
        ):
            print(
                f"{kind:8} redis-py {bare_us:6.1f} µs   homing {ours_us:6.1f} µs   ratio {ours_us / bare_us:.2f}"
            )
