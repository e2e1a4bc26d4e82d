"""Where one run takes place: a server, a worker and producers of one queue, in a folder that is deleted after it."""

import json
import mmap
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.processes import MARK, cpu_s, kill, tree_of
from tests.servers import Server, free_ports, start

ROOT = Path(__file__).parent.parent
#: Until a worker is up, or a producer has ended that has little to do.
START_S = 90.0
LOOK_S = 0.005
#: A worker that has had less processor time than this share of a second is at rest: it waits for work.
REST_SHARE = 0.15
REST_AFTER_S = 3.0
#: What a worker gets to end by itself before its processes are killed.
STOP_S = 10.0


class Silent(Exception):
    """What was waited for did not come; the message says what, and the worker's last words."""


@dataclass(slots=True)
class Stage:
    """`programs` is the `bin` of the queue's environment; `variables` tell its module what the cell asks for."""

    programs: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    #: How many jobs may be numbered.
    jobs: int = 0
    folder: Path = field(init=False)
    url: str = field(init=False)
    server: Server = field(init=False)
    runs: Any = field(init=False, default=None)
    client: Any = field(init=False, default=None)
    marks: dict[str, str] = field(default_factory=dict)
    roots: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            port, _ = free_ports()
            address = {"port": str(port), "bind": "127.0.0.1"}
            self.server = stack.enter_context(start("valkey-9.1", self.folder / "server", **address))
            self.url = f"redis://127.0.0.1:{port}/0"
            self.client = stack.enter_context(self.server.redis())
            if self.jobs:
                (self.folder / "stamps").write_bytes(bytes(8 * self.jobs))
                (self.folder / "witness").write_bytes(bytes(self.jobs))
                with (self.folder / "witness").open("r+b") as file:
                    self.runs = stack.enter_context(mmap.mmap(file.fileno(), 0))
            stack.callback(self.end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def put_server_first(self) -> None:
        """Never let the server wait for a core while others run, as on a machine of its own."""
        try:
            for thread in Path(f"/proc/{self.server.pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(1))
        except OSError as error:
            raise Silent(f"the server gets no real-time priority here: {error.strerror}") from error

    # -- processes

    def begin(self, name: str, command: tuple[str, ...], **words: object) -> None:
        """Start a worker, or anything else that runs until it is told to end."""
        self.marks[name] = f"{self.folder.name}-{name}"
        with (self.folder / f"{name}.log").open("ab") as log:
            self.roots[name] = subprocess.Popen(
                self._command(command, name=name, **words),
                cwd=self.folder,
                env=self._environment() | {MARK: self.marks[name]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ask(self, command: tuple[str, ...], *arguments: str, timeout_s: float = START_S) -> str:
        """Run a program to its end; returns the last line of what it printed."""
        process = self.asked(command, *arguments)
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Silent(f"{command[-1]} did not end in {timeout_s:.0f} s; {self.last_words()}") from None
        if process.returncode:
            raise Silent(f"{command[-1]} ended with {process.returncode}; {self.last_words()}")
        return said.decode().strip().rpartition("\n")[2]

    def asked(self, command: tuple[str, ...], *arguments: str) -> "subprocess.Popen[bytes]":
        """As `ask`, but only begun."""
        with (self.folder / "producer.log").open("ab") as log:
            return subprocess.Popen(
                [*self._command(command), *arguments],
                cwd=self.folder,
                env=self._environment() | {MARK: f"{self.folder.name}-producer"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def enough(self) -> None:
        """Tell a producer at a steady rate to end."""
        (self.folder / "stop").touch()

    def _command(self, words: tuple[str, ...], **known: object) -> list[str]:
        return [word.format(bin=self.programs, url=self.url, root=ROOT, **known) for word in words]

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "TMPDIR"}}
        kept |= {
            "PYTHONPATH": str(ROOT),
            "BENCH_URL": self.url,
            "BENCH_STARTS": str(self.folder / "starts"),
            "BENCH_HOME": str(self.programs.parent),
            "BENCH_STOP": str(self.folder / "stop"),
        }
        if self.jobs:
            kept |= {name: str(self.folder / name[6:].lower()) for name in FILES}
        return kept | dict(self.variables)

    def tree(self, name: str) -> set[int]:
        """The living processes of what was begun under this name."""
        root = self.roots[name]
        return tree_of(self.marks[name], root.pid if root.poll() is None else 0)

    def stop(self, name: str) -> None:
        """Ask it to end, and kill what is left of it after a while."""
        root = self.roots[name]
        root.terminate()
        try:
            root.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        self._kill(name)

    def _kill(self, name: str) -> None:
        while rest := self.tree(name):
            kill(rest)
        self.roots[name].wait()

    def end(self) -> None:
        for name in self.roots:
            self._kill(name)
        while rest := tree_of(f"{self.folder.name}-producer"):
            kill(rest)

    # -- what can be seen

    def ran(self) -> int:
        """How many of the jobs have run."""
        seen: bytes = self.runs[:]
        return self.jobs - seen.count(0)

    def repeated(self) -> int:
        """How many have run more than once."""
        seen: bytes = self.runs[:]
        return self.jobs - seen.count(0) - seen.count(1)

    def connections(self) -> int:
        return len(self.client.client_list())

    def wait(
        self, true: Callable[[], bool], what: str, *, limit_s: float = START_S, look_s: float = LOOK_S
    ) -> None:
        end = time.monotonic() + limit_s
        while not true():
            ended = [name for name, process in self.roots.items() if process.poll() is not None]
            if ended:
                raise Silent(f"{what}: {ended[0]} ended by itself; {self.last_words()}")
            if time.monotonic() > end:
                raise Silent(f"{what}: not within {limit_s:.0f} s; {self.last_words()}")
            time.sleep(look_s)

    def wait_for_rest(self, name: str) -> None:
        """Until it has its imports behind it and waits for work."""
        threading.Event().wait(REST_AFTER_S)
        before = -1.0

        def rests() -> bool:
            nonlocal before
            threading.Event().wait(1.0)
            last, before = before, cpu_s(self.tree(name))
            return 0 <= before - last < REST_SHARE

        self.wait(rests, f"{name} rests")

    def last_words(self) -> str:
        lines = [line for path in sorted(self.folder.glob("*.log")) for line in path.read_text().splitlines()]
        return " | ".join(lines[-6:])[-600:]


#: What the jobs write to; see peers/witness.py.
FILES = ("BENCH_WITNESS", "BENCH_STAMPS")


def asked_for(**options: object) -> str:
    """The options of a producer, as its command line takes them."""
    return json.dumps(options)
