"""What a pass of `verify` costs the server: microseconds of its CPU a page and a job.

    python benchmarks/verify.py [--jobs 100000] [--page 100] [--engine streams] [--url URL]

Without a URL it starts a server of its own in a temporary folder. What the server used of the processor
counts (`INFO cpu`), so that other programs on the machine change little; the median trip is seen from here.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from homing.client import Client
from homing.command import Command
from homing.embedded import join
from homing.engines import make
from homing.engines.engine import EngineName
from homing.ids import new_id
from homing.job import NewJob
from homing.keys import Keys
from homing.target import Target

PAYLOAD = b'[["' + b"x" * 190 + b'"],{}]'


def spent_us(client: Client) -> int:
    told: bytes = client.run(Command(("INFO",), (), ("cpu",), bytes))
    lines = dict(line.split(b":") for line in told.splitlines() if b":" in line)
    return round(1e6 * (float(lines[b"used_cpu_user"]) + float(lines[b"used_cpu_sys"])))


def measure(client: Client, engine: EngineName, jobs: int, page: int) -> None:
    verbs = make(engine, Keys(f"verify-{engine}"))
    client.run(verbs.open())
    for start in range(0, jobs, 1_000):
        batch = [NewJob(id=new_id(), task="send_email", payload=PAYLOAD) for _ in range(1_000)]
        client.run(verbs.enqueue(batch, lane="verify", number=start + 1))
    before, trips_s, cursor = spent_us(client), list[float](), ""
    while True:
        started_s = time.perf_counter()
        audit = client.run(verbs.verify(cursor=cursor, limit=page))
        trips_s.append(time.perf_counter() - started_s)
        assert audit.problems == [], audit.problems
        if not (cursor := audit.cursor):
            break
    spent = spent_us(client) - before
    pages = len(trips_s)
    keys: int = client.run(Command(("DBSIZE",), (), (), int))
    print(
        f"{engine}: {jobs:,} jobs, {keys:,} keys, pages of {page}: {pages:,} pages, "
        f"{spent / pages:,.0f} us a page, {spent / jobs:.1f} us a job, median trip {median(trips_s) * 1e3:.1f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--page", type=int, default=100)
    parser.add_argument("--engine", choices=["lists", "streams"], action="append")
    parser.add_argument("--url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        membership = None if options.url else join(Path(folder))
        client = Client(Target.parse(options.url or (membership.url if membership else "")))
        try:
            for engine in options.engine or ("streams", "lists"):
                measure(client, engine, options.jobs, options.page)
        finally:
            client.close()
            if membership is not None:
                membership.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
