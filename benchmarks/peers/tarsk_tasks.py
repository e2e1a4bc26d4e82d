"""tarsk: a supervisor with one child of 100 slots."""

from typing import Any

from tarsk import App

from benchmarks.peers.witness import JOBS, TUNED, URL, work_async

app = App(broker=URL)
options: dict[str, Any] = {"timeout": 60, "retries": 3} if TUNED else {}
sleep = app.task(**options)(work_async)

if __name__ == "__main__":
    for number in range(JOBS):
        sleep.send(number)
