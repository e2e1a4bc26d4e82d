"""Workers as a user starts them: real process trees over a real server, watched from outside."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from homing import App
from homing.engines.engine import EngineName
from homing.job import State
from homing.queue import Queue
from tests.integration.waiting import wait_for
from tests.servers import Server

_numbers = count()

TASKS = '''
import asyncio, ctypes, os, signal, subprocess, sys, time
from pathlib import Path
from homing import App, Backoff, Fixed

app = App({url!r}, prefix={prefix!r})
here = Path({folder!r})

def note(word, n, pid=None):
    """One line for each thing that happened, in a file outside the server."""
    with open(here / "witness", "a") as file:
        file.write(f"{{word}} {{n}} {{pid or os.getpid()}} {{time.monotonic()}}\\n")

@app.task(queue="work", engine={engine!r})
async def sleep(n: int, seconds: float) -> None:
    note("start", n)
    await asyncio.sleep(seconds)
    note("end", n)

@app.task(queue="work")
async def until(n: int, name: str) -> None:
    note("start", n)
    while not (here / name).exists():
        await asyncio.sleep(0.01)
    note("end", n)

@app.task(queue="work")
async def die(n: int) -> None:
    note("start", n)
    os._exit(7)

@app.task(queue="work")
async def block(n: int) -> None:
    note("start", n)
    time.sleep(60)

@app.task(queue="work", timeout=0.5, retry=Fixed(1, delay=0))
def stuck(n: int) -> None:
    note("start", n)
    time.sleep(60)

@app.task(queue="work", messages=True)
def mail(recipient: str, subject: str, body: str) -> None:
    with open(here / "mails", "a") as file:
        file.write(f"{{recipient}}|{{subject}}|{{body}}\\n")

@app.task(queue="work")
async def family(n: int) -> None:
    note("started", n, subprocess.Popen(["sleep", "300"]).pid)
    await asyncio.sleep(300)

@app.task(queue="work", isolation="process")
def family_apart(n: int) -> None:
    note("started", n, subprocess.Popen(["sleep", "300"]).pid)
    time.sleep(300)

@app.task(queue="work", isolation="process")
def apart(n: int) -> None:
    note("apart", n)
    time.sleep(60)
'''

#: How `homing worker` begins: the command without its options.
RUN = (
    "import json, sys; from homing.worker.supervisor import WorkerOptions, run;"
    "sys.exit(run(WorkerOptions(**json.loads(sys.argv[1]))))"
)


@dataclass(slots=True)
class Worker:
    """A process tree."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def children(self) -> list[int]:
        """Pids of the processes right below the supervisor."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    def tree(self) -> list[int]:
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                tasks = Path(f"/proc/{pid}/task").iterdir()
                todo += [int(each) for task in tasks for each in (task / "children").read_text().split()]
        return found

    def signal_all(self, number: int) -> None:
        for pid in self.tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def code(self, deadline_s: float = 20.0) -> int:
        return self.process.wait(deadline_s)

    def said(self) -> str:
        return self.log.read_text()


@dataclass(slots=True)
class Site:
    """A folder with a tasks.py, its app, and the witness that handlers write to."""

    folder: Path
    app: App
    queue: Queue
    workers: list[Worker] = field(default_factory=list)

    def worker(self, *, program: str = RUN, **options: object) -> Worker:
        import json

        log = self.folder / f"worker-{len(self.workers)}.log"
        words = json.dumps({"app": "tasks:app", **options})
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", program, words], cwd=self.folder, stdout=output, stderr=output
            )
        worker = Worker(process, log)
        self.workers.append(worker)
        return worker

    def put(self, task: str, *arguments: object, delay: float | None = None) -> str:
        """Enqueue a job of this task; returns its id."""
        return self.app.tasks[task].options(delay=delay).enqueue(*arguments).id

    def seen(self, word: str) -> list[tuple[int, int, float]]:
        """(n, pid, monotonic time) of the lines with this word."""
        path = self.folder / "witness"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(n), int(pid), float(at)) for said, n, pid, at in lines if said == word]

    def wait_for(self, true: Callable[[], object], deadline_s: float = 20.0) -> None:
        try:
            wait_for(true, deadline_s)
        except AssertionError:
            raise AssertionError("\n".join(worker.said() for worker in self.workers)) from None

    def empty(self) -> bool:
        counts = self.queue.counts()
        return not (counts.waiting or counts.active or counts.scheduled)

    def attempts(self, job_id: str) -> int:
        record = self.app.job("work", job_id).record()
        assert record is not None
        return record.attempt

    def state(self, job_id: str) -> State:
        return self.app.job("work", job_id).state

    def touch(self, name: str) -> None:
        (self.folder / name).touch()


@pytest.fixture(params=["streams", "lists"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture
def site(valkey: Server, tmp_path: Path, engine: EngineName) -> Iterator[Site]:
    """A site on the Valkey of this test process."""
    with site_on(valkey, tmp_path, engine) as site:
        yield site


@contextlib.contextmanager
def site_on(server: Server, tmp_path: Path, engine: EngineName) -> Iterator[Site]:
    """Whatever a test leaves running is killed; a queue that does not verify is a failure."""
    prefix = f"tree-{os.getpid()}-{next(_numbers)}"
    code = TASKS.format(url=server.url, prefix=prefix, folder=str(tmp_path), engine=engine)
    (tmp_path / "tasks.py").write_text(code)
    names: dict[str, object] = {}
    exec(compile(code, "tasks.py", "exec"), names)
    app = names["app"]
    assert isinstance(app, App)
    site = Site(tmp_path, app, app.queue("work"))
    app.client.run(site.queue.engine(app.client).open({"lease_ms": 2000}))
    try:
        yield site
        assert site.queue.verify() == []
    finally:
        for worker in site.workers:
            worker.signal_all(signal.SIGKILL)
            worker.process.wait()
        app.close()
