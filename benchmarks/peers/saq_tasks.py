"""saq: one process with many jobs at once; a job of minutes needs a timeout of its own (default: 10 s)."""

import asyncio
from collections.abc import Callable
from typing import Any

from saq import Queue

from benchmarks.peers.producer import AsyncProducer, main
from benchmarks.peers.witness import (
    ASYNC,
    CONCURRENCY,
    FAST,
    JOBS,
    RECOVERY,
    RESULTS,
    SLEEP_S,
    TUNED,
    URL,
    fast_loop,
    note,
)

fast_loop()
queue = Queue.from_url(URL, name="work", **({"max_concurrent_ops": 100} if FAST else {}))
HEARTBEAT_S = 10
RENEW_S = 3


def called(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Handlers take a context first, and the rest by name."""

    async def call(context: dict[str, Any], *, n: int, padding: str) -> Any:
        return await function(n, padding)

    call.__qualname__ = call.__name__ = name
    return call


async def sleep(context: dict[str, Any], *, n: int, padding: str) -> None:
    note(n)
    for _ in range(int(SLEEP_S / RENEW_S)):
        await asyncio.sleep(RENEW_S)
        if TUNED:  # a job with a heartbeat has to say itself that it lives
            await context["job"].update()


functions = {name: called(name, function) for name, function in ASYNC.items()} | {"sleep": sleep}
settings: dict[str, Any] = {
    "queue": queue,
    "functions": list(functions.items()),
    "concurrency": CONCURRENCY or (JOBS if RECOVERY or FAST else 10),
}
OPTIONS: dict[str, Any] = {}
if RECOVERY:
    OPTIONS = {"timeout": 600} | ({"heartbeat": HEARTBEAT_S, "retries": 3} if TUNED else {})
    settings |= {"timers": {"sweep": 1}} if TUNED else {}
elif FAST and not RESULTS:
    OPTIONS = {"ttl": -1}


class Producer(AsyncProducer):
    async def open(self) -> None:
        await queue.connect()

    async def close(self) -> None:
        await queue.disconnect()

    async def put(self, task: str, n: int, padding: str) -> Any:
        if RESULTS and task == "stamp":
            # `apply` listens before it enqueues; who asks later may have missed the end. What the sweep of a worker
            # that starts takes from a job that begins in that moment, it gives back only with retries.
            looks = {"poll_interval": 0.005} if FAST else {}
            return asyncio.ensure_future(
                queue.apply(task, timeout=60, retries=3, n=n, padding=padding, **looks)
            )
        return await queue.enqueue(task, n=n, padding=padding, **OPTIONS)

    async def result(self, handle: Any) -> Any:
        return await handle


if __name__ == "__main__":
    main(Producer())
