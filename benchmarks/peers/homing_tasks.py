"""homing at its defaults: a lease of 10 s, 100 async jobs at once in one child process."""

from typing import cast

from benchmarks.peers.witness import JOBS, SETUP, URL, work_async
from homing import App
from homing.engines.engine import EngineName

app = App(URL)
sleep = app.task(queue="work", name="sleep", engine=cast("EngineName", SETUP))(work_async)

if __name__ == "__main__":
    for number in range(JOBS):
        sleep.enqueue(number)
    app.close()
