"""A server on a small disk of its own: it fills up, it is slow, it fails."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from chaos.arena import wait_until
from chaos.row import NotPlayed
from chaos.topology.arena import NodesArena
from chaos.topology.node import HOST, Node, free_ports

SIZE = "16m"
#: Bytes that the ballast leaves free.
ROOM = 64 << 10
#: How long the server may take to notice, and to recover.
NOTICE_S, HEAL_S = 30.0, 30.0
SLOW_S = 3.0


class DiskArena(NodesArena):
    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.primary.port}"

    @property
    def primary(self) -> Node:
        return self.nodes[0]

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    def start_server(self) -> None:
        if shutil.which("strace") is None:
            raise NotPlayed("there is no strace here: apt-get install strace")
        self.disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "homing-chaos", self.disk],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            raise NotPlayed(f"no small disk could be mounted here (are you root?): {mounted.stderr.strip()}")
        [port] = free_ports(1)
        settings = {"dir": str(self.disk), "auto-aof-rewrite-min-size": "1mb", **self.site.options}
        self.nodes.append(Node(self.folder / "server", port, settings))
        self.primary.start()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self.disk.is_mount():
            subprocess.run(["umount", self.disk], check=True)

    def refuses(self) -> bool:
        """It takes no writes."""
        try:
            with self.primary.raw(socket_timeout=1) as raw:
                raw.set("homing:probe", "1")
        except redis.RedisError:
            return True
        return False

    def heal(self) -> None:
        """Start it again if it is gone; new files are made in place of those with which something went wrong.

        A server whose fsync failed once in the background takes no writes before that.
        """
        if not self.primary.alive:
            self.primary.kill()
            self.primary.start()
        with self.primary.raw() as raw:
            wait_until(lambda: not raw.info("persistence")["loading"], HEAL_S, "the server does not load")
            with contextlib.suppress(redis.ResponseError):  # one is already going on
                raw.execute_command("BGREWRITEAOF")
            wait_until(lambda: not self.refuses(), HEAL_S, "the server takes no writes")
            raw.delete("homing:probe")


def fill_disk(arena: DiskArena) -> None:
    """The disk is full until the server has noticed, and a while longer; then there is space again."""
    ballast = arena.disk / "ballast"
    with arena.fault("fill disk", None):
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # the server was quicker
            while shutil.disk_usage(arena.disk).free > ROOM:
                file.write(bytes(ROOM))
        wait_until(arena.refuses, NOTICE_S, "the server did not notice that its disk is full")
        time.sleep(arena.dice.uniform(0.5, 3.0))
        ballast.unlink()
        arena.heal()
    arena.rest(1.0, 2.0)


@contextmanager
def traced(arena: DiskArena, inject: str) -> Iterator[None]:
    """What strace injects into the server's calls on its own files, for as long as the block lasts."""
    files = [word for path in arena.disk.rglob("*.aof") for word in ("-P", str(path))]
    log = (arena.folder / "strace.log").open("ab")
    words = ["strace", "-qq", "-f", "-p", str(arena.primary.pid), *files, "-e", f"inject={inject}"]
    tracer = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
        log.close()


def slow_disk(arena: DiskArena) -> None:
    """Each fsync takes three seconds, for three of them."""
    with arena.fault("slow disk", None):
        with traced(arena, f"fdatasync,fsync:delay_enter={int(SLOW_S * 1e6)}"):
            time.sleep(3 * SLOW_S)
        wait_until(lambda: not arena.refuses(), HEAL_S, "the server takes no writes")
    arena.rest(1.0, 2.0)


def fail_disk(arena: DiskArena) -> None:
    """Writes to the AOF, or fsyncs of it, fail with EIO until the server has noticed."""
    what = arena.dice.choice(["write", "fdatasync,fsync"])
    with arena.fault("fail disk", None):
        with traced(arena, f"{what}:error=EIO"):
            wait_until(arena.refuses, NOTICE_S, "the server did not notice that its disk fails")
            time.sleep(arena.dice.uniform(0.5, 2.0))
        arena.heal()
    arena.rest(1.0, 2.0)
