"""Break every round trip of every public operation: `make crashpoints`.

Each operation is played once for each of its round trips, each way in which that can break, with the
actor going on as the library does, and with the actor killed there; then a fresh actor finishes, and
nothing may be lost, doubled without a death, or left behind. Prints the points of each operation; the
last line is {points, failed, seconds} as JSON.
"""

import json
import logging
import sys
import time

from tests.crash.cases import CASES
from tests.crash.points import ENGINES, Stage
from tests.servers import running


def main() -> int:
    logging.disable(logging.CRITICAL)  # faults are what this is about
    begin = time.monotonic()
    points = failed = 0
    with running("valkey-9.1") as server:
        stage = Stage(server)
        for case in CASES:
            before = points
            for point in (p for e in ENGINES for kind in case.only for p in stage.points(case, e, kind)):
                try:
                    points += stage.play(point)
                except AssertionError as error:
                    points, failed = points + 1, failed + 1
                    print(f"{point}: {error}", flush=True)
            print(f"{case.name}: {points - before} points", flush=True)
        stage.close()
    seconds = round(time.monotonic() - begin, 1)
    print(json.dumps({"points": points, "failed": failed, "seconds": seconds}))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
