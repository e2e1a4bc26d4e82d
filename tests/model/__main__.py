"""A long random walk of model and engines: `make model STEPS=500000 SEED=1`.

Each step is taken by the model and by both engines. Prints the seed and its progress; the last line is
{steps, seed, differences, seconds} as JSON. A life in which something differs is shown with the fewest
steps that show it.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from multiprocessing.queues import Queue as Pipe

from tests.model.twin import Different
from tests.model.walk import LIFE, Walker, life, shrunk
from tests.servers import running

REPORT_S = 20.0


def _lives(seed: int, numbers: range, found: "Pipe[tuple[int, str]]", server_name: str) -> None:
    """Lead some lives on a server of one's own, and tell what each came to."""
    with running(server_name) as server:
        walker = Walker(server, f"model-{numbers.start}")
        for number in numbers:
            steps = life(seed, number)
            try:
                walker.walk(steps)
            except Different as error:
                fewest = shrunk(walker, steps, error.where)
                found.put((len(steps), f"life {number}: {error}\n  fewest steps: {fewest}"))
            else:
                found.put((len(steps), ""))
        walker.close()


def _told(
    found: "Pipe[tuple[int, str]]", processes: list[multiprocessing.Process], lives: int
) -> Iterator[tuple[int, str]]:
    for _ in range(lives):
        while True:
            try:
                yield found.get(timeout=1)
                break
            except Exception:
                if not any(process.is_alive() for process in processes) and found.empty():
                    raise RuntimeError("a process ended before its walk did") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--server", default="valkey-9.1")
    given = parser.parse_args()
    lives = -(-given.steps // LIFE)
    print(f"seed {given.seed}: {lives} lives of {LIFE} steps on each engine, {given.server}", flush=True)
    found: Pipe[tuple[int, str]] = multiprocessing.Queue()
    share = -(-lives // given.processes)
    processes = [
        multiprocessing.Process(
            target=_lives,
            args=(given.seed, range(start, min(start + share, lives)), found, given.server),
            daemon=True,
        )
        for start in range(0, lives, share)
    ]
    begin = last = time.monotonic()
    for process in processes:
        process.start()
    steps = differences = 0
    for walked, difference in _told(found, processes, lives):
        steps += walked
        if difference:
            differences += 1
            print(difference, flush=True)
        if time.monotonic() - last > REPORT_S:
            last = time.monotonic()
            print(f"{steps:,} steps, {differences} differences, {last - begin:.0f} s", flush=True)
    for process in processes:
        process.join()
    told = {
        "steps": steps,
        "seed": given.seed,
        "differences": differences,
        "seconds": round(time.monotonic() - begin, 1),
    }
    print(json.dumps(told))
    return bool(differences)


if __name__ == "__main__":
    sys.exit(main())
