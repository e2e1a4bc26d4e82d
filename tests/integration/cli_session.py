"""Runs the real `homing` command as a user would, and prepares queues for it to look at."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homing import App
from homing.engines.engine import EngineName
from homing.ids import new_id
from homing.job import Dead, Settlement
from homing.queue import Queue

#: Seconds a command may take on a busy machine.
PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Shell:
    """A folder and an environment in which commands run."""

    folder: Path
    url: str | None = None

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HOMING_") and k != "REDIS_URL"}
        return clean | ({"HOMING_URL": self.url} if self.url else {}) | dict(more or {})

    def homing(
        self,
        *arguments: str,
        stdin: str = "",
        more: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "homing.cli.main", *arguments],
            cwd=self.folder,
            env=self.environment(more),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def on_a_terminal(self, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        """What the command prints when its stdout is a terminal."""
        reader, writer = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "homing.cli.main", *arguments],
            cwd=self.folder,
            env=self.environment({"COLUMNS": "160", **(more or {})}),
            stdin=subprocess.DEVNULL,
            stdout=writer,
        ):
            os.close(writer)
            printed = b""
            with (
                contextlib.suppress(OSError),
                os.fdopen(reader, "rb", buffering=0) as terminal,
            ):  # EIO ends it
                while chunk := terminal.read(65_536):
                    printed += chunk
        return printed.decode()

    def piped(self, *arguments: str, into: str) -> Said:
        """The command's exit code and errors, and what the program it is piped into prints."""
        command = [sys.executable, "-m", "homing.cli.main", *arguments]
        with (
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as homing,
            subprocess.Popen(into.split(), stdin=homing.stdout, stdout=subprocess.PIPE) as reader,
        ):
            assert homing.stdout
            homing.stdout.close()
            out, _ = reader.communicate(timeout=PATIENCE_S)
            _, err = homing.communicate(timeout=PATIENCE_S)
        return Said(homing.returncode, out.decode(), err.decode())


def bury(app: App, queue: Queue, *, type_: str, message: str, attempt: int = 3) -> str:
    """Claim the queue's next job as a worker would and send it to the dead letters; returns its id."""
    engine, worker = queue.engine(app.client), new_id()
    app.client.run(engine.register(worker, info=b'{"host":"here","pid":1}'))
    [job] = app.client.run(engine.claim(worker, limit=1, number=1)).jobs
    error = json.dumps({"type": type_, "message": message, "traceback": "Traceback …", "reason": ""}).encode()
    app.client.run(engine.settle(worker, [Settlement(job.id, job.ref, Dead(error, attempt))]))
    app.client.run(engine.reclaim(worker, reason="left"))
    return job.id


def filled(app: App, name: str, engine: EngineName, *, waiting: int) -> Queue:
    """A queue with messages 0, 1, … that wait."""
    queue = app.queue(name, engine=engine)
    queue.put_many({"number": number} for number in range(waiting))
    return queue
