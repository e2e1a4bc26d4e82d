"""A server on a loopback port that keeps its port, its folder and its settings over its deaths."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import KEEPER, binary

HOST = "127.0.0.1"
#: How long a server may take to answer.
START_S = 20.0
_SETTINGS = {
    "bind": HOST, "save": "", "appendonly": "no", "daemonize": "no", "dir": ".", "maxmemory-policy": "noeviction",
    "repl-diskless-sync-delay": "0", "enable-debug-command": "yes",
}  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago; low enough for a cluster's bus behind them."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            probe.bind((HOST, 0))
            found.append(probe.getsockname()[1])
        return found


@dataclass(slots=True)
class Node:
    folder: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()  # words of the command that come before the settings
    program: str = "valkey-9.1"
    pid: int = 0
    _keeper: "subprocess.Popen[bytes] | None" = None

    def launch(self, **more: str) -> None:
        """Start it; `more` are settings of this start only, with `_` for `-`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = {**_SETTINGS, "port": str(self.port), **self.settings}
        lines |= {key.replace("_", "-"): value for key, value in more.items()}
        words = [word for key, value in lines.items() for word in (f"--{key}", value)]
        self._run([str(binary(self.program)), *self.before, *words])

    def launch_with(self, *words: str) -> None:
        """Start it with these words in place of settings."""
        self._run([str(binary(self.program)), *words])

    def _run(self, words: list[str]) -> None:
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a server that ended by itself cannot be killed
            cwd=self.folder,
            env=os.environ | self.env,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline())

    def start(self, **more: str) -> None:
        """Start it and wait until it answers."""
        self.launch(**more)
        self.wait()

    def wait(self) -> None:
        """Until it answers; what it still has to load does not matter."""
        end_s = time.monotonic() + START_S
        with self.raw() as raw:
            while self.alive and time.monotonic() < end_s:
                try:
                    raw.ping()
                except redis.ConnectionError:
                    time.sleep(0.01)
                except redis.ResponseError:
                    return
                else:
                    return
        log = self.folder / "server.log"
        raise RuntimeError(f"the server on port {self.port} did not come up: {log.read_text()[-2000:]}")

    @property
    def alive(self) -> bool:
        if self.pid:
            with contextlib.suppress(OSError):
                return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; a second call does nothing."""
        if self._keeper is not None:
            self._keeper.communicate()  # its end of the pipe: the keeper kills at once
            self._keeper = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def raw(self, **options: Any) -> "redis.Redis":
        """A plain client of its own, without retries; the caller closes it."""
        settings: dict[str, Any] = {"host": HOST, "port": self.port, "retry": Retry(NoBackoff(), 0)}
        return redis.Redis(**(settings | {"socket_timeout": 5} | options))

    def tell(self, *words: object) -> Any:
        """One command on a connection of its own, its reply as text."""
        with self.raw(decode_responses=True) as raw:
            return raw.execute_command(*map(str, words))

    def info(self, section: str, patience_s: float = 1.0) -> dict[str, Any]:
        """A section of INFO; empty when it does not answer."""
        with contextlib.suppress(redis.RedisError), self.raw(socket_timeout=patience_s) as raw:
            found: dict[str, Any] = raw.info(section)
            return found
        return {}
