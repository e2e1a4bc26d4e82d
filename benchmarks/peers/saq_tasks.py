"""saq: one process with 100 jobs at once; a job of this length needs a timeout of its own (default: 10 s)."""

import asyncio
from typing import Any

from saq import Queue

from benchmarks.peers.witness import JOBS, SLEEP_S, TUNED, URL, note

queue = Queue.from_url(URL, name="work")
HEARTBEAT_S = 10
RENEW_S = 3


async def sleep(context: dict[str, Any], *, n: int) -> None:
    note(n)
    for _ in range(int(SLEEP_S / RENEW_S)):
        await asyncio.sleep(RENEW_S)
        if TUNED:  # a job with a heartbeat has to say itself that it lives
            await context["job"].update()


settings: dict[str, Any] = {"queue": queue, "functions": [sleep], "concurrency": JOBS}
if TUNED:
    settings["timers"] = {"sweep": 1}


async def enqueue() -> None:
    await queue.connect()
    options = {"heartbeat": HEARTBEAT_S, "retries": 3} if TUNED else {}
    for number in range(JOBS):
        await queue.enqueue("sleep", n=number, timeout=600, **options)
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(enqueue())
