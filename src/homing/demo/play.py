"""The demo: deliver the outbox on both engines, kill workers on the way, and count what arrived."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from homing.demo import account, stage
from homing.demo.outbox import Mail, mails
from homing.demo.result import Progress, Result, measure
from homing.demo.screen import Screen
from homing.errors import HomingError
from homing.job import JobRecord

if TYPE_CHECKING:
    from subprocess import Popen

    from homing.queue import Queue

ENGINES = ("lists", "streams")
#: A worker process is killed when this share of the mails has an end.
KILL_AT = (0.2, 0.6)
LOOK_EVERY_S = 0.1
#: Seconds after which a delivery is given up.
PATIENCE_S = 25.0


@dataclass(slots=True)
class Delivery:
    """One engine's delivery while it goes on."""

    queue: "Queue"
    letters: Sequence[Mail]
    account: Path
    screen: Screen
    killed: list[int] = field(default_factory=list)

    def look(self) -> Progress:
        """What the mail server and the queue say now."""
        counts, seen = self.queue.counts(), account.read(self.account)
        return Progress(
            sent=len(seen.accepted),
            retried=seen.deferred.total(),
            dead=counts.dead,
            waiting=counts.waiting + counts.scheduled,
            running=counts.active,
        )

    def follow(self, worker: "Popen[bytes]", *, by: float) -> None:
        """Look on, and kill, until every mail has an end, the worker has ended, or it is `by`."""
        while time.monotonic() < by and worker.poll() is None:
            progress = self.look()
            self.screen.show(progress)
            if progress.waiting == progress.running == 0:
                return
            self.kill_when_due(progress)
            time.sleep(LOOK_EVERY_S)

    def kill_when_due(self, progress: Progress) -> None:
        """Kill the process that runs the most jobs, once at each share of KILL_AT."""
        if len(self.killed) == len(KILL_AT):
            return
        if progress.sent + progress.dead < KILL_AT[len(self.killed)] * len(self.letters):
            return
        workers = {worker_pid(one.info): one for one in self.queue.workers() if one.holding > 0}
        fresh = [pid for pid in workers if pid not in self.killed]
        if not fresh:
            return
        pid = max(fresh, key=lambda one: workers[one].holding)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        self.killed.append(pid)
        self.screen.say(f"killed worker process {pid} with SIGKILL; it held {workers[pid].holding} mails")


def worker_pid(info: bytes) -> int:
    """The process of a worker, from what it said when it registered."""
    return int(json.loads(info)["pid"])


def wait_until_gone(pid: int, patience_s: float = 5.0) -> None:
    """Wait until no such process is left (its supervisor saw it die); HomingError if it stays."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise HomingError(f"worker process {pid} was killed and its supervisor did not notice")


def server_name() -> str:
    """The server that carries the demo, as it names itself."""
    from homing.demo.tasks import app

    with app:
        info = app.client.info()
    return (
        f"{info.get('server_name', 'redis').capitalize()} {info.get('valkey_version', info['redis_version'])}"
    )


def deliver(engine: str, screen: Screen, folder: Path) -> tuple[Result, list[JobRecord]]:
    """Deliver the whole outbox on one engine; gives what was measured and the dead letters."""
    from homing.demo.tasks import app, send_email

    letters = mails()
    queue = app.queue(f"outbox-{engine}")
    to_queue = send_email.options(queue=queue.name)
    delivery = Delivery(queue, letters, folder / f"{engine}.jsonl", screen)
    start = time.monotonic()
    with app:
        send_email.enqueue_many(to_queue.call(one.recipient, one.subject, one.body) for one in letters)
        try:
            screen.begin(engine, len(letters))
            with (
                stage.mail_server(delivery.account) as smtp,
                stage.worker(queue.name, smtp, folder / f"{engine}.log") as process,
            ):
                delivery.follow(process, by=start + PATIENCE_S)
        finally:
            screen.end()
        seconds = time.monotonic() - start
        dead = queue.dead(limit=len(letters))
        if problems := queue.verify():
            raise HomingError(f"queue {queue.name} does not add up: {problems[0]}")
    seen = account.read(delivery.account)
    return measure(engine, letters, seen, dead, killed=len(delivery.killed), seconds=seconds), dead


@contextmanager
def own_server() -> Iterator[Path]:
    """An embedded server in a folder of its own, which HOMING_URL names and which goes in the end.

    What the user's settings name stays untouched: no other HOMING_* variable, and no pyproject.toml, is read.
    """
    from homing import embedded

    folder = Path(tempfile.mkdtemp(prefix="homing-demo-"))
    before = dict(os.environ)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        membership = embedded.join(folder / ".homing")
        try:
            for name in [one for one in os.environ if one.startswith("HOMING_")]:
                del os.environ[name]
            os.environ["HOMING_URL"] = membership.url
            with chdir(folder):
                yield folder
        finally:
            membership.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)
