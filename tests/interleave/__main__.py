"""Many schedules, each the one of its seed: `make interleave N=50000 SEED=1 ENGINE=streams`.

Real workers, consumers and senders of the library run as tasks of one thread in a time of their own; a
seed picks whose next command goes to a real server, and what becomes of its reply. A schedule in which a
promise is broken is told by its seed: `make interleave N=1 SEED=that` plays it again, with its trace.
The last line is {engine, schedules, seed, failed, commands, seconds, …} as JSON.
"""

import argparse
import json
import logging
import sys
import time
from collections import Counter

from tests.interleave.schedule import Schedules
from tests.servers import running

REPORT_S = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first one; the others count up")
    parser.add_argument("--engine", choices=("lists", "streams"), default="streams")
    parser.add_argument("--server", default="valkey-9.1")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)  # faults are what this is about
    print(f"{given.engine}: {given.schedules:,} schedules from seed {given.seed}, {given.server}", flush=True)
    begin = last = time.monotonic()
    seen: Counter[str] = Counter()
    with running(given.server) as server:
        schedules = Schedules(server, given.engine)
        for seed in range(given.seed, given.seed + given.schedules):
            told, error = schedules.tried(seed)
            seen.update(told.seen())
            if error is not None:
                seen["failed"] += 1
                print(f"seed {seed}: {error}", flush=True)
            if error is not None and given.schedules == 1:
                print("\n".join(told.trace))
            if time.monotonic() - last > REPORT_S:
                last = time.monotonic()
                done = seed - given.seed + 1
                print(f"{done:,} schedules, {seen['failed']} failed, {last - begin:.0f} s", flush=True)
        schedules.close()
    counted = {name.replace(" ", "_"): seen[name] for name in sorted(seen) if name != "failed"}
    print(
        json.dumps(
            {
                "engine": given.engine,
                "schedules": given.schedules,
                "seed": given.seed,
                "failed": seen["failed"],
                **counted,
                "seconds": round(time.monotonic() - begin, 1),
            }
        )
    )
    return bool(seen["failed"])


if __name__ == "__main__":
    sys.exit(main())
