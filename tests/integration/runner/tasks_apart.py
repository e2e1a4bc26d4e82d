"""Tasks with a process of their own: they must stand in a module that can be imported."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from homing import App, Fixed, current_job

app = App(
    os.environ.get("HOMING_TEST_URL", "redis://127.0.0.1:1"), prefix=os.environ.get("HOMING_TEST_PREFIX")
)


@app.task(queue="apart", isolation="process")
def where() -> list[object]:
    return [os.getpid(), os.getpgid(0), current_job().attempt, current_job().queue]


def double(number: int) -> int:
    return 2 * number


app.task(queue="apart", isolation="process")(double)


@app.task(queue="apart", isolation="process")
async def add(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@app.task(queue="apart", isolation="process", retry=Fixed(times=1, delay=0.01))
def dies() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@app.task(queue="apart", isolation="process")
def leaves() -> None:
    os._exit(7)


@app.task(queue="apart", isolation="process")
def fails() -> None:
    raise SystemExit(4)


@app.task(queue="apart", isolation="process", timeout=1)
def hangs(pid_file: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(pid_file).write_text(f"{os.getpid()} {child.pid}")
    while True:
        time.sleep(1)


@app.task(queue="apart", isolation="process")
def sleeps(pid_file: str) -> None:
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(60)
