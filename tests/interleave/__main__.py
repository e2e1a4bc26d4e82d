"""Many schedules, each the one of its seed: `make interleave N=50000 SEED=1 ENGINE=streams`.

Real workers, consumers and senders of the library run as tasks of one thread in a time of their own; a
seed picks whose next command goes to a real server, and what becomes of its reply. A schedule in which a
promise is broken is told by its seed: `make interleave N=1 SEED=that` plays it again, with its trace.
The last line is {engine, schedules, seed, failed, commands, seconds, …} as JSON.
"""

import argparse
import json
import logging
import multiprocessing
import sys
import time
from collections import Counter
from multiprocessing.queues import Queue as Pipe

from homing.engines.engine import EngineName
from tests.interleave.schedule import Schedules
from tests.servers import running

REPORT_S = 20.0
#: A schedule takes this long at most.
ALIVE_S = 120.0


Tried = tuple[int, str, list[str], Counter[str]]  # seed, error or "", trace of a failure, what was seen


def _plays(engine: EngineName, seeds: range, tried: "Pipe[Tried]", server_name: str) -> None:
    """Play schedules on a server of one's own, and tell what each came to."""
    logging.disable(logging.CRITICAL)  # faults are what this is about
    with running(server_name) as server:
        schedules = Schedules(server, engine)
        for seed in seeds:
            world, error = schedules.tried(seed)
            said = "" if error is None else str(error) or "broken"
            tried.put((seed, said, world.trace if said else [], world.seen()))
        schedules.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first one; the others count up")
    parser.add_argument("--engine", choices=("lists", "streams"), default="streams")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--server", default="valkey-9.1")
    given = parser.parse_args()
    print(f"{given.engine}: {given.schedules:,} schedules from seed {given.seed}, {given.server}", flush=True)
    tried: Pipe[Tried] = multiprocessing.Queue()
    share = -(-given.schedules // given.processes)
    end = given.seed + given.schedules
    processes = [
        multiprocessing.Process(
            target=_plays,
            args=(given.engine, range(start, min(start + share, end)), tried, given.server),
            daemon=True,
        )
        for start in range(given.seed, end, share)
    ]
    begin = last = time.monotonic()
    for process in processes:
        process.start()
    seen: Counter[str] = Counter()
    try:
        while seen["schedules"] < given.schedules:
            seed, error, trace, counted = tried.get(timeout=ALIVE_S)
            seen.update(counted)
            seen.update({"schedules": 1, "failed": bool(error)})
            if error:
                print(f"seed {seed}: {error}", flush=True)
            if error and given.schedules == 1:
                print("\n".join(trace))
            if time.monotonic() - last > REPORT_S:
                last = time.monotonic()
                print(
                    f"{seen['schedules']:,} schedules, {seen['failed']} failed, {last - begin:.0f} s",
                    flush=True,
                )
        for process in processes:
            process.join()
    except KeyboardInterrupt:  # what was played until then counts
        for process in processes:
            process.kill()
    told = {
        "engine": given.engine,
        "seed": given.seed,
        "schedules": seen["schedules"],
        "failed": seen["failed"],
    }
    told |= {name.replace(" ", "_"): seen[name] for name in sorted(seen) if name not in told}
    print(json.dumps(told | {"seconds": round(time.monotonic() - begin, 1)}))
    return bool(seen["failed"])


if __name__ == "__main__":
    sys.exit(main())
