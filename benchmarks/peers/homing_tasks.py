"""homing at its defaults: one child process with 100 async jobs at once, 16 threads, a lease of 10 s.

The app declares only the tasks that a cell runs (`BENCH_TASKS`), as a program would that has no others.
`BENCH_QUEUES` and `BENCH_PRIORITIES` spread the jobs over so many.
"""

import os
from collections.abc import Callable
from typing import Any, cast

from benchmarks.peers.producer import AsyncProducer, SyncProducer, main
from benchmarks.peers.witness import ASYNC, PLAIN, RECOVERY, SETUP, TUNED, URL
from homing import App, Task
from homing.engines.engine import EngineName
from homing.task import Isolation

if os.environ.get("BENCH_SAMPLES"):
    from benchmarks import sampling

    sampling.begin()
QUEUES = int(os.environ.get("BENCH_QUEUES") or 1)
PRIORITIES = int(os.environ.get("BENCH_PRIORITIES") or 1)
ENGINE = cast("EngineName", SETUP.split()[0] if SETUP != "default" else "streams")

# A long deadline changes no figure: it keeps a run on a busy machine from failing instead of being slow.
app = App(URL) if RECOVERY else App(URL, deadline=60)


def declared(name: str, function: Callable[..., Any]) -> Task[..., Any]:
    # CPU-bound work has processes of its own by default; tuned, it has one thread in each of several children.
    isolation: Isolation | None = "process" if name == "spin" and not TUNED else None
    kept: Task[..., Any] = app.task(queue="work", name=name, engine=ENGINE, isolation=isolation)(function)
    return kept


functions = ASYNC | PLAIN
_wanted = os.environ.get("BENCH_TASKS", "").split(",")
tasks = {
    name: declared(name, function) for name, function in functions.items() if _wanted == [""] or name in _wanted
}  # fmt: skip
queues = [app.queue("work" if n == 0 else f"work-{n}", engine=ENGINE) for n in range(QUEUES)]


def aimed(name: str, n: int) -> Any:
    """The task, or with the queue and priority of this number when jobs are spread."""
    if QUEUES == PRIORITIES == 1:
        return tasks[name]
    return tasks[name].options(queue=queues[n % QUEUES].name, priority=n % PRIORITIES)


class Sync(SyncProducer):
    bulk = True

    def close(self) -> None:
        app.close()

    def put(self, task: str, n: int, padding: str) -> Any:
        return aimed(task, n).enqueue(n, padding)

    def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        tasks[task].enqueue_many([aimed(task, n).call(n, padding) for n, padding in jobs])

    def result(self, handle: Any) -> Any:
        return handle.result(timeout=60)


class Async(AsyncProducer):
    bulk = True

    async def close(self) -> None:
        await app.aclose()

    async def put(self, task: str, n: int, padding: str) -> Any:
        return await aimed(task, n).aenqueue(n, padding)

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        await tasks[task].aenqueue_many([aimed(task, n).call(n, padding) for n, padding in jobs])

    async def result(self, handle: Any) -> Any:
        return await handle.aresult(timeout=60)


if __name__ == "__main__":
    main(Sync(), Async())
