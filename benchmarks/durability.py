"""What each level of durability costs an enqueue: a batch of 1 and of 100, sync client, Valkey 9.1.

    .venv/bin/python benchmarks/durability.py [--seconds 2] [--folder DIR]

Starts servers of its own, one with a replica; `fsynced` costs what the disk under `--folder` makes it cost.
Prints the median and the 99th percentile of the time of a call, in microseconds, and its share per job.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from homing import App
from homing.limits import Durability
from homing.queue import Queue
from tests.servers import replicated, start

WARM_UP = 50
PAYLOAD = {"recipient": "ada@example.com", "subject": "Hello", "body": "x" * 120}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--folder", type=Path, help="where the AOFs stand (default: a temporary folder)")
    options = parser.parse_args()
    print(f"{'level':<26}{'batch':>6}{'median µs':>11}{'99 % µs':>10}{'µs per job':>12}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        with start("valkey-9.1", Path(folder) / "no") as server:
            measure("memory, no AOF", server.url, "memory", options.seconds)
        everysec = {"appendonly": "yes", "appendfsync": "everysec"}
        with start("valkey-9.1", Path(folder) / "sec", **everysec) as server:
            measure("memory, AOF everysec", server.url, "memory", options.seconds)
        with start("valkey-9.1", Path(folder) / "all", appendonly="yes", appendfsync="always") as server:
            measure("memory, AOF always", server.url, "memory", options.seconds)
            measure("fsynced", server.url, "fsynced", options.seconds)
    with replicated("valkey-9.1") as (primary, _):
        measure("memory, with a replica", primary.url, "memory", options.seconds)
        measure("replicated", primary.url, "replicated", options.seconds)


def measure(name: str, url: str, level: Durability, seconds: float) -> None:
    with App(url, durability=level) as app:
        queue = app.queue(f"bench-{level}")
        for size, call in ((1, _one), (100, _hundred)):
            for _ in range(WARM_UP):
                call(queue)
            times = []
            end = time.perf_counter() + seconds
            while (began := time.perf_counter()) < end:
                call(queue)
                times.append((time.perf_counter() - began) * 1e6)
            median, late = statistics.median(times), statistics.quantiles(times, n=100)[98]
            print(f"{name:<26}{size:>6}{median:>11,.0f}{late:>10,.0f}{median / size:>12,.1f}")


def _one(queue: Queue) -> None:
    queue.put(PAYLOAD)


def _hundred(queue: Queue) -> None:
    queue.put_many([PAYLOAD] * 100)


if __name__ == "__main__":
    main()
