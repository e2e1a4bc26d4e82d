"""What a job of this benchmark does: say outside the server that it runs, and sleep. Standard library only.

It is imported in the peers' own environments, so nothing of homing is at hand here.
"""

import asyncio
import os
import time

#: Longer than a cell lasts, so that no job ends by itself.
SLEEP_S = 400.0
JOBS = 100
URL = os.environ.get("RECOVERY_URL", "redis://127.0.0.1:6379/0")
#: "default", or the name of a configuration of `setups.py`.
SETUP = os.environ.get("RECOVERY_SETUP", "default")
TUNED = SETUP != "default"


def note(n: int) -> None:
    """One line per start: which job, which process, when. One write, so that lines do not mix."""
    with open(os.environ["RECOVERY_WITNESS"], "a") as file:  # noqa: PTH123 - the shortest road to the disk
        file.write(f"{n} {os.getpid()} {time.monotonic_ns()}\n")


def work(n: int) -> None:
    note(n)
    time.sleep(SLEEP_S)


async def work_async(n: int) -> None:
    note(n)
    await asyncio.sleep(SLEEP_S)
