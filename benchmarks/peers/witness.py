"""What the jobs of the benchmarks do, and how they leave word outside the server. Standard library only.

It is imported in the peers' own environments, so nothing of homing is at hand here. `BENCH_WITNESS` is a file of
one byte for each job, which counts its runs; `BENCH_STAMPS` one of eight, for when a job began (CLOCK_MONOTONIC,
which all processes of a machine share). Both are mapped: a write costs a tenth of a microsecond and survives
the process. `BENCH_STARTS` is the recovery benchmark's: a line for each start.
"""

import asyncio
import mmap
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6379/0")
#: The name of the configuration that is measured, as setups.py calls it.
SETUP = os.environ.get("BENCH_SETUP", "default")
TUNED = "tuned" in SETUP
#: The recovery benchmark runs one task, and what is tuned there is how soon lost jobs come back.
RECOVERY = os.environ.get("BENCH_TASKS") == "sleep"
FAST = TUNED and not RECOVERY
#: Whether somebody waits for results; without it a queue is set to keep none, where it can be.
RESULTS = os.environ.get("BENCH_RESULTS") == "1"
#: Jobs that run at once in one process; empty: what the queue does by itself.
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY") or 0)

#: What a job of an I/O-bound kind waits for.
NAP_S = 0.05
#: What a job of a CPU-bound kind burns.
SPIN_S = 0.01
#: What a job of the recovery benchmark sleeps: longer than a cell lasts.
SLEEP_S = 400.0
JOBS = 100
#: Of the task's name and its arguments as JSON.
JOB_BYTES = 200


def _mapped(variable: str) -> Any:
    """The file that a variable names, shared and writable; without one, room for a few jobs to try things."""
    path = os.environ.get(variable)
    if not path:
        return bytearray(8_192)
    with open(path, "r+b") as file:  # noqa: PTH123 - a worker's start is measured elsewhere, but kept short
        return mmap.mmap(file.fileno(), 0)


RUNS = _mapped("BENCH_WITNESS")
STAMPS = memoryview(_mapped("BENCH_STAMPS")).cast("q")


def fast_loop() -> None:
    """In a tuned configuration that installed uvloop: make it the loop of whatever worker is started here."""
    if not FAST:
        return
    try:
        import uvloop
    except ImportError:
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def note(n: int) -> None:
    """One line per start: which job, which process, when. One write, so that lines do not mix."""
    with open(os.environ["BENCH_STARTS"], "a") as file:  # noqa: PTH123 - the shortest road to the disk
        file.write(f"{n} {os.getpid()} {time.monotonic_ns()}\n")


def pad(task: str, n: int, size: int = JOB_BYTES) -> str:
    """What to give a job beside its number, so that its task's name and arguments make 200 bytes of JSON."""
    return "x" * (size - len(f'{task}[[{n},""],{{}}]'))


async def nothing(n: int, padding: str = "") -> None:
    RUNS[n] += 1


async def stamp(n: int, padding: str = "") -> int:
    STAMPS[n] = time.monotonic_ns()
    RUNS[n] += 1
    return n


async def nap(n: int, padding: str = "") -> None:
    await asyncio.sleep(NAP_S)
    RUNS[n] += 1


async def sleep(n: int, padding: str = "") -> None:
    note(n)
    await asyncio.sleep(SLEEP_S)


def nothing_sync(n: int, padding: str = "") -> None:
    RUNS[n] += 1


def stamp_sync(n: int, padding: str = "") -> int:
    STAMPS[n] = time.monotonic_ns()
    RUNS[n] += 1
    return n


def nap_sync(n: int, padding: str = "") -> None:
    time.sleep(NAP_S)
    RUNS[n] += 1


def sleep_sync(n: int, padding: str = "") -> None:
    note(n)
    time.sleep(SLEEP_S)


def spin(n: int, padding: str = "") -> None:
    """Burn processor time, not wall time: who has no core to itself takes longer."""
    end = time.thread_time() + SPIN_S
    while time.thread_time() < end:
        pass
    RUNS[n] += 1


#: For queues whose handlers are coroutines; `threaded` and `spin` are plain functions for their threads or processes.
ASYNC: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    "nothing": nothing, "stamp": stamp, "nap": nap, "sleep": sleep,
}  # fmt: skip
PLAIN: dict[str, Callable[..., Any]] = {"threaded": nothing_sync, "spin": spin}
#: For queues whose handlers are functions.
SYNC: dict[str, Callable[..., Any]] = PLAIN | {
    "nothing": nothing_sync, "stamp": stamp_sync, "nap": nap_sync, "sleep": sleep_sync,
}  # fmt: skip
