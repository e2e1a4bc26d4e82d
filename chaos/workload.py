"""The app that the workers under attack run. Each handler tells the history that it began and how it ended.

What a job does follows from its number and the run's seed alone, so that the checker knows it too.
"""

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from chaos.history import History
from chaos.plan import QUEUE, RETRIES, RETRY_S, ROLE, Plan
from homing import App, Fixed, current_job, events
from homing.job import Settlement
from homing.task import Task
from homing.worker.desk import COUNTED, Desk

plan = Plan.read()
app = App(plan.url)
#: Opened by the first handler: the supervisor imports no app, and looking at one writes nothing.
_history: list[History] = []


def history() -> History:
    if not _history:
        role = os.environ.get(ROLE, "worker")
        _history.append(History(Path(plan.folder) / "history", role, os.getppid()))
    return _history[0]


def _told(name: str, fields: Any) -> None:
    if name == "lease_lost":
        history().write("lost", fields["worker"])


events.subscribe(_told)

_settled, _thrown_away = Desk.settled, Desk.thrown_away


def _tell_settled(desk: Desk, settlements: list[Settlement], refused: list[str]) -> None:
    """What the server let through, as the worker was told."""
    _settled(desk, settlements, refused)
    gone, by = set(refused), dict[tuple[str, str], list[str]]()
    for one in settlements:
        op = "gone" if one.id in gone else "settled"
        by.setdefault((op, COUNTED[type(one.decision)]), []).append(one.id)
    for (op, decision), ids in by.items():
        history().write(op, decision, *ids)


def _tell_thrown_away(desk: Desk, count: int) -> None:
    """Outcomes of runs whose lease was lost: nobody is told them."""
    _thrown_away(desk, count)
    if count:
        history().write("thrown", count)


Desk.thrown_away = _tell_thrown_away  # type: ignore[assignment, method-assign]
Desk.settled = _tell_settled  # type: ignore[assignment, method-assign]


def begin(n: int, kind: str) -> str:
    """Tell that a handler began; returns what the line about its end begins with."""
    job = current_job()
    history().write("start", n, kind, job.id, job.token, job.attempt, job.worker)
    return f"{n} {job.id} {job.token}"


async def _run(n: int, kind: str, body: Callable[[], Awaitable[object]] | None = None) -> int:
    run = begin(n, kind)
    try:
        if body is not None:
            await body()
    except asyncio.CancelledError:
        history().write("end", run, "interrupted")
        raise
    except Exception:
        history().write("end", run, "raised")
        raise
    history().write("end", run, "done")
    return n * 7


_retry = Fixed(times=RETRIES, delay=RETRY_S)


@app.task(queue=QUEUE, engine=plan.engine)
async def quick(n: int) -> None:
    await _run(n, "quick")


@app.task(queue=QUEUE)
async def nap(n: int) -> int:
    return await _run(n, "nap", lambda: asyncio.sleep(0.03))


@app.task(queue=QUEUE)
async def later(n: int) -> int:
    return await _run(n, "later")


@app.task(queue=QUEUE)
async def long(n: int) -> int:
    return await _run(n, "long", lambda: asyncio.sleep(plan.long_leases * plan.lease_ms / 1000))


@app.task(queue=QUEUE)
def thread(n: int) -> int:
    run = begin(n, "thread")
    threading.Event().wait(0.01)  # a sleep is refused where libfaketime sets the clock
    history().write("end", run, "done")
    return n * 7


async def _fail() -> None:
    raise ValueError("as planned")


@app.task(queue=QUEUE, retry=_retry)
async def fails(n: int) -> int:
    return await _run(n, "fails", _fail)


@app.task(queue=QUEUE, retry=_retry)
async def shaky(n: int) -> int:
    return await _run(n, "shaky", _fail if current_job().attempt == 1 else None)


@app.task(queue=QUEUE)
def hog(n: int) -> int:
    """Hold the GIL for longer than a lease, in calls into C that never let go of it, on however busy a machine."""
    run = begin(n, "hog")
    usleep = ctypes.PyDLL(None).usleep
    end_s = time.monotonic() + plan.long_leases * plan.lease_ms / 1000
    while (left_s := end_s - time.monotonic()) > 0:
        usleep(int(left_s * 1e6) + 1)
    history().write("end", run, "done")
    return n * 7


@app.task(queue=QUEUE)
async def blocks(n: int) -> int:
    """Stand in the loop's way for longer than a lease."""
    return await _run(n, "blocks", _block)


async def _block() -> None:
    time.sleep(plan.long_leases * plan.lease_ms / 1000)  # noqa: ASYNC251 - that is the fault


@app.task(queue=QUEUE)
async def exits(n: int) -> None:
    begin(n, "exits")
    os._exit(3)


@app.task(queue=QUEUE)
def faults(n: int) -> None:
    begin(n, "faults")
    ctypes.string_at(0)


@app.task(queue=QUEUE, timeout=0.5)
def endless(n: int) -> None:
    begin(n, "endless")
    while True:
        pass


async def _raise(n: int, kind: str, error: BaseException) -> None:
    run = begin(n, kind)
    history().write("end", run, "raised")
    raise error


@app.task(queue=QUEUE)
async def hungry(n: int) -> None:
    await _raise(n, "hungry", MemoryError("as planned"))


@app.task(queue=QUEUE)
def stops(n: int) -> None:
    run = begin(n, "stops")
    history().write("end", run, "raised")
    raise StopIteration(n)


@app.task(queue=QUEUE)
async def leaves(n: int) -> None:
    await _raise(n, "leaves", SystemExit(0))


@app.task(queue=QUEUE)
async def quits(n: int) -> None:
    await _raise(n, "quits", KeyboardInterrupt())


EVERY: tuple[Task[[int], Any], ...] = (
    quick, nap, thread, long, later, fails, shaky, hog, blocks, exits, faults, endless, hungry, stops, leaves, quits,
)  # fmt: skip
TASKS: dict[str, Task[[int], Any]] = {task.name: task for task in EVERY}
