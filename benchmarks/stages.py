"""The hot path by its stages: what a job costs in the producer, in the server and in the worker.

    python -m benchmarks profile

A producer hands over jobs of 200 bytes, one by one and 1,000 in a call; a worker at its defaults, with async no-op
tasks, empties the queue. What counts is processor time of each process's main thread (see sampling.py); a function
belongs to the stage that its module and name say.
"""

import json
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch

from benchmarks.scenarios.scene import Run, Scene
from benchmarks.setups import HOMING, Setup
from benchmarks.venvs import here

Figures = dict[str, float]
JOBS, SINGLE_JOBS = 300_000, 20_000
SHOWN = 15

#: Stage -> patterns of functions; the longest that fits decides.
PRODUCER = {
    "call": ("*",),
    "encode": (
        "codec.py:*",
        "signature.py:*",
        "annotation.py:*",
        "seal.py:*",
        "signing.py:*",
        "checksum.py:*",
        "ids.py:*",
        "meta.py:*",
    ),
    "batch": ("engines/*", "command.py:*", "keys.py:*", "lanes.py:*", "coalescer.py:*", "job.py:*"),
    "send, receive": (
        "flight.py:*",
        "packing.py:*",
        "routes.py:*",
        "client.py:*",
        "aclient.py:*",
        "faults.py:*",
    ),
    "connect, once": ("dial.py:*", "client.py:_dial*", "aclient.py:_dial*", "told.py:*"),
}
WORKER = {
    "decode": ("engines/answers.py:*", "job.py:*"),
    "dispatch": ("worker/*", "delivery/*", "current.py:*"),
    "arguments": ("codec.py:*", "signature.py:*", "annotation.py:*", "checksum.py:*", "meta.py:*", "seal.py:*",
                  "signing.py:*", "worker/desk.py:opened", "worker/desk.py:_call*"),
    "run": ("peers/*",),
    "settle": ("worker/desk.py:*", "policy.py:*", "retries.py:*", "delivery/settler.py:*", "engines/scripted.py:*settle*"),
    "batch, send, receive": ("flight.py:*", "packing.py:*", "routes.py:*", "client.py:*", "aclient.py:*", "command.py:*",
                             "keys.py:*", "faults.py:*", "engines/*"),
    "leases": ("delivery/lease.py:*", "delivery/heart.py:*", "delivery/assurance.py:*", "delivery/ticker.py:*",
               "worker/leases.py:*"),
    "loop, other": ("*", "worker/child.py:*", "worker/runner.py:*"),
}  # fmt: skip


def measure() -> dict[str, dict[str, Figures]]:
    """Engine -> part -> stage -> µs a job; under `functions` of a part its dearest functions."""
    return {setup.name: _measured(setup) for setup in HOMING[:2]}


def _measured(setup: Setup) -> dict[str, Figures]:
    run = Run(setup, here().programs, seconds=1.5, rate=setup.rate)
    with run.scene("nothing", SINGLE_JOBS, variables={"BENCH_SAMPLES": "1"}) as scene:
        scene.produce("singly", calls="sync", count=SINGLE_JOBS, padded=True)
        singly = _samples(scene, SINGLE_JOBS)
    with run.scene("nothing", JOBS, variables={"BENCH_SAMPLES": "1"}) as scene:
        before = scene.reading()
        scene.produce("fill", calls="sync", count=JOBS, padded=True)
        bulk = _samples(scene, JOBS)
        filled = scene.reading()
        scene.work()
        scene.watch(JOBS, JOBS / setup.rate)
        scene.settle()
        scene.stage.stop(scene.workers[0])
        worked = scene.reading()
        worker = _samples(scene, JOBS)
    return {
        "enqueue one by one": _staged(singly, PRODUCER),
        "enqueue many": _staged(bulk, PRODUCER),
        "worker": _staged(worker, WORKER),
        "server": {
            "enqueue": (filled - before).cpu_us / JOBS,
            "claim and settle": (worked - filled).cpu_us / JOBS,
        },
        **{f"functions, {part}": _dearest(found) for part, found in (("singly", singly), ("many", bulk), ("worker", worker))},
    }  # fmt: skip


def _samples(scene: Scene, jobs: int) -> Figures:
    """Function -> µs a job; the files are taken away, so that the next process is alone."""
    found: Counter[str] = Counter()
    for path in sorted(scene.stage.folder.glob("samples-*.json")):
        found.update(json.loads(path.read_text()))
        path.unlink()
    if not found:
        raise RuntimeError("no process left samples: it is not built as this profile expects")
    return {name: spent / 1e3 / jobs for name, spent in found.most_common()}


def _staged(found: Figures, stages: dict[str, tuple[str, ...]]) -> Figures:
    staged = dict.fromkeys(stages, 0.0)
    for name, spent in found.items():
        staged[stage_of(name, stages)] += spent
    return {stage: round(spent, 3) for stage, spent in staged.items()}


def stage_of(name: str, stages: dict[str, tuple[str, ...]]) -> str:
    fitting = [
        (len(pattern), stage)
        for stage, patterns in stages.items()
        for pattern in patterns
        if fnmatch(name, pattern)
    ]
    return max(fitting)[1]


def _dearest(found: Figures) -> Figures:
    return {name: round(spent, 3) for name, spent in list(found.items())[:SHOWN]}


def table(measured: dict[str, dict[str, Figures]]) -> Iterator[str]:
    """Lines of Markdown: µs a job, of all engines beside each other."""
    first = next(iter(measured.values()))
    yield f"| | stage | {' | '.join(f'{engine}, µs a job' for engine in measured)} |"
    yield f"| --- | --- |{' --- |' * len(measured)}"
    for part, stages in first.items():
        if part.startswith("functions"):
            continue
        for stage in stages:
            yield _line(part, stage, [parts[part][stage] for parts in measured.values()])
        yield _line(part, "**in all**", [sum(parts[part].values()) for parts in measured.values()])


def functions(measured: dict[str, dict[str, Figures]]) -> Iterator[str]:
    """The dearest functions of each part, for a terminal."""
    for engine, parts in measured.items():
        for part, found in parts.items():
            if part.startswith("functions"):
                yield f"{engine}, {part.removeprefix('functions, ')}:"
                yield from (f"  {spent:8.3f} µs  {name}" for name, spent in found.items())


def _line(part: str, stage: str, values: list[float]) -> str:
    return f"| {part} | {stage} | {' | '.join(f'{value:.2f}' for value in values)} |"
