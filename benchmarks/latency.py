"""How long after `enqueue` a job starts on an idle worker, and how much an idle worker talks.

    python benchmarks/latency.py [--engine streams|lists] [--jobs 300] [--idle 10]

Starts an embedded Valkey in a folder of its own and one worker process (one child, one queue).
The clock is CLOCK_MONOTONIC, which all processes of one machine share; each delay counts from
before the call of `enqueue` to the first line of the handler. Between jobs the worker has time to
become idle again. Commands are counted by MONITOR, those that scripts call left out.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from homing import App
from homing.engines.engine import EngineName

_TASKS = """
import time
from homing import App
app = App()
@app.task(queue="latency", engine={engine!r})
async def started() -> int:
    return time.monotonic_ns()
"""


def measure(app: App, engine: EngineName, jobs: int) -> tuple[list[float], list[float]]:
    """Seconds to the start and seconds to the result, a pair for each job."""

    @app.task(queue="latency", name="started", engine=engine)
    async def started() -> int:
        raise NotImplementedError

    starts, results = [], []
    for number in range(jobs + 20):
        before = time.monotonic_ns()
        job = started.enqueue()
        at = job.result(timeout=10)
        after = time.monotonic_ns()
        if number >= 20:  # the first ones warm both sides up
            starts.append((at - before) / 1e9)
            results.append((after - before) / 1e9)
        time.sleep(random.uniform(0.01, 0.04))
    return starts, results


def idle_commands(url: str, seconds: float) -> list[str]:
    """The commands that clients sent while nothing was to be done."""
    import redis

    client = redis.Redis.from_url(url)
    commands: list[str] = []
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        connection: Any = monitor.connection
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if connection.can_read(timeout=left):
                seen = monitor.next_command()
                if seen["client_type"] != "lua":
                    commands.append(str(seen["command"]).split(maxsplit=1)[0])
    return commands


def report(name: str, values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    row = {"p50_ms": cuts[49] * 1e3, "p95_ms": cuts[94] * 1e3, "p99_ms": cuts[98] * 1e3}
    print(f"{name:18}" + "".join(f"  {key[:3]} {value:7.3f} ms" for key, value in row.items()))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--engine", default="streams", choices=["streams", "lists"])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of listening to an idle worker")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "latency_tasks.py").write_text(_TASKS.format(engine=options.engine))
        with App(folder=Path(folder, ".homing")) as app:
            address = app.target().nodes[0]
            environment = os.environ | {"HOMING_FOLDER": str(Path(folder, ".homing"))}
            worker = subprocess.Popen(
                [sys.executable, "-m", "homing.cli.main", "worker", "latency_tasks:app"],
                cwd=folder, env=environment,
            )  # fmt: skip
            try:
                starts, results = measure(app, options.engine, options.jobs)
                row = {
                    "start": report("enqueue -> start", starts),
                    "result": report("enqueue -> result", results),
                }
                time.sleep(3)
                commands = idle_commands(f"unix://{address.path}", options.idle)
                rate = len(commands) / options.idle
                print(
                    f"{'idle':18}  {rate:.2f} commands/s  {dict(sorted((c, commands.count(c)) for c in set(commands)))}"
                )
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait(30)
    print(json.dumps({"engine": options.engine, **row, "idle_commands_per_s": rate}))


if __name__ == "__main__":
    main()
