"""The program that hands jobs over, the same for all queues: each peer's module says only how it is called there.

    python -m benchmarks.peers.arq_tasks MODE '{"task": "nothing", "count": 1000}'

prints one line of JSON. Standard library only: it runs in the peers' own environments.

- fill: `count` jobs by the fastest documented road; bulk: the same, by the call that takes many;
- singly: one after the other; concurrent: 100 calls in flight;
- probe: a job, then its start and its result, then a random pause, `count` times;
- pace: `rate` jobs a second until the file `BENCH_STOP` is there, at most for `seconds`.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from benchmarks.peers.witness import STAMPS, TUNED, pad

T = TypeVar("T")
#: Jobs in one call that takes many.
BATCH = 1_000
AT_ONCE = 100
#: The first jobs of a probe are not counted: they find cold caches on both sides.
WARM_UP = 20
#: Who takes so long for a result is asked for fewer, but for so many.
PROBES_S, LEAST_PROBES = 15.0, 10
PAUSE_S = (0.01, 0.04)
#: How long a probe waits for one job. The first also waits for the worker to be up.
JOB_S = 60.0
PACE_S = 0.01
STOP = os.environ.get("BENCH_STOP", "")


class SyncProducer:
    """How a plain program hands jobs over. `put_many` is overridden where there is a call for many."""

    bulk = False

    def open(self) -> None: ...
    def close(self) -> None: ...

    def put(self, task: str, n: int, padding: str) -> Any:
        """Hand one job over; returns what `result` takes."""
        raise NotImplementedError

    def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        for n, padding in jobs:
            self.put(task, n, padding)

    def result(self, handle: Any) -> Any:
        raise NotImplementedError


class AsyncProducer:
    """The same from a coroutine; without a call for many, 100 single ones are in flight."""

    bulk = False

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def put(self, task: str, n: int, padding: str) -> Any:
        raise NotImplementedError

    async def put_many(self, task: str, jobs: list[tuple[int, str]]) -> None:
        left = iter(jobs)

        async def some() -> None:
            for n, padding in left:
                await self.put(task, n, padding)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def result(self, handle: Any) -> Any:
        raise NotImplementedError


Options = dict[str, Any]


def main(*producers: SyncProducer | AsyncProducer) -> None:
    """Run the mode that the command line names, with the producer of the kind it asks for (the first without)."""
    mode = sys.argv[1]
    options: Options = {"start": 0, "padded": False, "results": False} | json.loads(sys.argv[2])
    wanted = {"sync": SyncProducer, "async": AsyncProducer}.get(options.get("calls", ""), object)
    producer = next(each for each in producers if isinstance(each, wanted))
    if isinstance(producer, SyncProducer):
        producer.open()
        told = {"fill": _fill, "bulk": _fill, "singly": _singly, "probe": _probe, "pace": _pace}[mode](
            producer, options
        )
        producer.close()
    else:
        told = _run(_async_main(producer, mode, options))
    print(json.dumps(told), flush=True)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """On uvloop in a tuned configuration that installed it, else on the loop that comes with Python."""
    if TUNED:
        try:
            import uvloop
        except ImportError:
            return asyncio.run(work)
        return uvloop.run(work)
    return asyncio.run(work)


async def _async_main(producer: AsyncProducer, mode: str, options: Options) -> Options:
    await producer.open()
    modes = {
        "fill": _afill, "bulk": _afill, "singly": _asingly, "concurrent": _aconcurrent, "probe": _aprobe, "pace": _apace,
    }  # fmt: skip
    told = await modes[mode](producer, options)
    await producer.close()
    return told


def _jobs(options: Options) -> list[tuple[int, str]]:
    task, start = options["task"], options["start"]
    numbers = range(start, start + options["count"])
    return [(n, pad(task, n)) for n in numbers] if options["padded"] else [(n, "") for n in numbers]


def _batches(options: Options) -> Iterator[list[tuple[int, str]]]:
    jobs = _jobs(options)
    return (jobs[at : at + BATCH] for at in range(0, len(jobs), BATCH))


def _timed(options: Options, seconds: float) -> Options:
    return {"seconds": seconds, "count": options["count"]}


def _fill(producer: SyncProducer, options: Options) -> Options:
    batches = list(_batches(options))
    began = time.perf_counter()
    for batch in batches:
        producer.put_many(options["task"], batch)
    return _timed(options, time.perf_counter() - began)


async def _afill(producer: AsyncProducer, options: Options) -> Options:
    batches = list(_batches(options))
    began = time.perf_counter()
    for batch in batches:
        await producer.put_many(options["task"], batch)
    return _timed(options, time.perf_counter() - began)


def _singly(producer: SyncProducer, options: Options) -> Options:
    jobs, task = _jobs(options), options["task"]
    began = time.perf_counter()
    for n, padding in jobs:
        producer.put(task, n, padding)
    return _timed(options, time.perf_counter() - began)


async def _asingly(producer: AsyncProducer, options: Options) -> Options:
    jobs, task = _jobs(options), options["task"]
    began = time.perf_counter()
    for n, padding in jobs:
        await producer.put(task, n, padding)
    return _timed(options, time.perf_counter() - began)


async def _aconcurrent(producer: AsyncProducer, options: Options) -> Options:
    jobs, task = _jobs(options), options["task"]
    began = time.perf_counter()
    await AsyncProducer.put_many(_Single(producer), task, jobs)
    return _timed(options, time.perf_counter() - began)


class _Single(AsyncProducer):
    """A producer without its call for many."""

    def __init__(self, producer: AsyncProducer) -> None:
        self.put = producer.put  # type: ignore[method-assign]


def _wait_for_start(n: int) -> None:
    end = time.monotonic() + JOB_S
    while not STAMPS[n]:
        if time.monotonic() > end:
            raise TimeoutError(f"job {n} did not start within {JOB_S:.0f} s")
        time.sleep(0.0005)


def _probe(producer: SyncProducer, options: Options) -> Options:
    """A result is awaited by the queue's own call; without one the job's start is looked for."""
    starts, results = list[float](), list[float]()
    for n in _probed(options, starts):
        before = time.monotonic_ns()
        handle = producer.put(options["task"], n, "")
        if options["results"]:
            producer.result(handle)
        after = time.monotonic_ns()
        _wait_for_start(n)
        _note(n, before, after, starts, results)
        time.sleep(random.uniform(*PAUSE_S))
    return _latencies(options, starts, results)


async def _aprobe(producer: AsyncProducer, options: Options) -> Options:
    starts, results = list[float](), list[float]()
    for n in _probed(options, starts):
        before = time.monotonic_ns()
        handle = await producer.put(options["task"], n, "")
        if options["results"]:
            await producer.result(handle)
        after = time.monotonic_ns()
        await asyncio.to_thread(_wait_for_start, n)
        _note(n, before, after, starts, results)
        await asyncio.sleep(random.uniform(*PAUSE_S))
    return _latencies(options, starts, results)


def _probed(options: Options, counted: list[float]) -> Iterator[int]:
    end = time.monotonic() + PROBES_S
    for n in range(options["count"] + WARM_UP):
        if len(counted) >= LEAST_PROBES and time.monotonic() > end:
            return
        yield n


def _note(n: int, before: int, after: int, starts: list[float], results: list[float]) -> None:
    if n >= WARM_UP:
        starts.append((STAMPS[n] - before) / 1e6)
        results.append((after - before) / 1e6)


def _latencies(options: Options, starts: list[float], results: list[float]) -> Options:
    return {"start_ms": starts, "result_ms": results if options["results"] else []}


class _Pace:
    """How many jobs should have been sent by now, and whether it is time to end."""

    def __init__(self, options: Options) -> None:
        self.began, self.options, self.sent = time.monotonic(), options, 0

    def ended(self) -> bool:
        return self.seconds() >= self.options["seconds"] or os.path.exists(STOP)  # noqa: PTH110 - no path is made of it

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def due(self) -> list[tuple[int, str]]:
        """Those to be sent now, which count as sent."""
        late = int(self.seconds() * self.options["rate"]) - self.sent
        first = self.options["start"] + self.sent
        some = max(0, min(BATCH, int(self.options["count"]) - self.sent, late))
        self.sent += some
        return [(n, "") for n in range(first, first + some)]

    def told(self) -> Options:
        return {"seconds": self.seconds(), "count": self.sent}


def _pace(producer: SyncProducer, options: Options) -> Options:
    pace = _Pace(options)
    while not pace.ended():
        if some := pace.due():
            producer.put_many(options["task"], some)
        time.sleep(PACE_S)
    return pace.told()


async def _apace(producer: AsyncProducer, options: Options) -> Options:
    pace = _Pace(options)
    while not pace.ended():
        if some := pace.due():
            await producer.put_many(options["task"], some)
        await asyncio.sleep(PACE_S)
    return pace.told()
