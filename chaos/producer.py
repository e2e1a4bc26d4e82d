"""A process that enqueues numbered jobs until it is told that it is enough.

    python -m chaos.producer FROM STEP AT_LEAST MODE PACE

It takes the numbers FROM, FROM + STEP … in ranges of STEP, PACE jobs a second at most (0: as fast as may be). MODE: `many` (enqueue_many), `single` (one by
one, some of which wait for their results), `async` (concurrent aenqueue, which share round trips). Half of the ranges carry ids of the caller's:
after an end that nobody knows they are enqueued again until it is known. The others carry the library's
ids, and are not sent again by us: at most one job each may come of them.
"""

import asyncio
import random
import sys
import time
from pathlib import Path
from typing import Any

from chaos import workload
from chaos.plan import ENOUGH, QUEUE
from chaos.workload import app, history, plan
from homing.errors import HomingError, JobExists, QueueFull
from homing.handle import Job
from homing.task import Call

#: Jobs that may wait before a producer rests.
BACKLOG = 5_000
REST_S = 0.05
#: One in so many single jobs is waited for.
ASKED = 10
WITH_RESULT = ("nap", "thread")


class Producer:
    def __init__(self, first: int, step: int, at_least: int, mode: str, pace: float) -> None:
        self._pace = pace
        self._next, self._step, self._at_least, self._mode = first, step, at_least, mode
        self._dice = random.Random(plan.seed << 32 | first)
        self._folder = Path(plan.folder)
        self._made = 0

    async def run(self) -> None:
        """Until there are enough jobs and nobody wants more."""
        queue, began_s = app.queue(QUEUE), time.monotonic()
        while self._made < self._at_least or not (self._folder / ENOUGH).exists():
            try:
                rest = queue.counts().waiting > BACKLOG
            except HomingError:
                rest = True
            if rest or (self._pace and self._made > self._pace * (time.monotonic() - began_s)):
                await asyncio.sleep(REST_S)
                continue
            for _ in range(1 if self._pace else 10):
                await self._range()

    async def _range(self) -> None:
        most = 5 if self._mode == "single" else 100
        size = min(self._dice.randint(1, most), self._step)
        own = self._dice.random() < 0.5
        numbers = range(self._next, self._next + size)
        self._next += self._step
        self._made += size
        if self._mode == "many":
            await self._send(numbers, own=own)
        elif self._mode == "async":
            await asyncio.gather(*(self._send(range(n, n + 1), own=own) for n in numbers))
        else:
            for n in numbers:
                await self._send(range(n, n + 1), own=own)

    async def _send(self, numbers: range, *, own: bool) -> None:
        """Enqueue these, and tell how it ended; what is not known of ids of ours is tried again."""
        calls = [self._call(n, own=own) for n in numbers]
        for n, call in zip(numbers, calls, strict=True):
            if call.options.delay_ms:
                history().write("later", n, call.options.delay_ms)
        history().write("try", numbers.start, numbers.stop)
        while True:
            try:
                jobs = await self._enqueue(numbers, calls)
            except JobExists:
                break  # an earlier try, whose end nobody knew
            except QueueFull:
                history().write("refused", numbers.start, numbers.stop)
                await asyncio.sleep(REST_S)
                history().write("try", numbers.start, numbers.stop)
            except HomingError:
                history().write("unknown", numbers.start, numbers.stop)
                if not own:
                    return
                await asyncio.sleep(REST_S)
            else:
                if not own:
                    history().write("ids", numbers.start, *(job.id for job in jobs))
                break
        history().write("ok", numbers.start, numbers.stop)

    def _call(self, n: int, *, own: bool) -> Call[Any]:
        task = workload.TASKS[plan.kind(n)]
        return task.options(id=f"own-{n}" if own else None, delay=plan.delay_s(n)).call(n)

    async def _enqueue(self, numbers: range, calls: list[Call[Any]]) -> list[Job[Any]]:
        if self._mode == "many":
            return workload.quick.enqueue_many(calls)
        [call], [n] = calls, numbers
        bound = call.task.options(id=call.options.id, delay=plan.delay_s(n))
        if self._mode == "async":
            return [await bound.aenqueue(n)]
        job = bound.enqueue(n)
        if n % ASKED == 0 and plan.kind(n) in WITH_RESULT:
            self._ask(n, job)
        return [job]

    def _ask(self, n: int, job: Job[Any]) -> None:
        """Wait for a result, and tell whose it was."""
        history().write("ok", n, n + 1)
        try:
            got = job.result(timeout=4 * plan.lease_ms / 1000)
        except HomingError:
            history().write("answer", n, "none", job.id)
        else:
            history().write("answer", n, "right" if got == n * 7 else "wrong", job.id)


def main() -> None:
    first, step, at_least, mode, pace = sys.argv[1:]
    asyncio.run(Producer(int(first), int(step), int(at_least), mode, float(pace)).run())
    app.close()


if __name__ == "__main__":
    main()
