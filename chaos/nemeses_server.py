"""Faults of the server itself: full, wiped, cut off from its power."""

import contextlib
import os
import shutil
import signal

import redis

from chaos.arena import Arena, wait_until
from chaos.plan import QUEUE

FILL_S, DRAIN_S = 20.0, 30.0
FULL = 0.8


def fill_server(arena: Arena) -> None:
    """No memory is left: producers are refused. What waits drains all the same, with nobody's help."""
    queue = arena.queue
    with arena.raw() as raw, arena.fault("fill server", []):
        queue.pause()
        wait_until(lambda: queue.counts().waiting > 500, FILL_S, "no jobs came")
        # Well below what is used: what connections hold for a moment and let go must not make room.
        raw.config_set("maxmemory", int(raw.info("memory")["used_memory"] * FULL))
        try:
            refused = arena.refusals()
            wait_until(lambda: arena.refusals() > refused, FILL_S, "nobody was refused")
            wait_until(lambda: _resumed(arena), FILL_S, "the full queue could not be resumed")
            wait_until(lambda: _left(arena) < 50, DRAIN_S, "the full queue did not drain")
        finally:
            raw.config_set("maxmemory", 0)
    arena.rest(0.5, 1.0)


def _left(arena: Arena) -> int:
    """Jobs that have not ended: what is claimed has not drained, while nobody can say how it ended."""
    counts = arena.queue.counts()
    return int(counts.waiting + counts.active)


def _resumed(arena: Arena) -> bool:
    from homing.errors import HomingError

    with contextlib.suppress(HomingError):
        arena.queue.resume()
        return True
    return False


def wipe(arena: Arena) -> None:
    """FLUSHALL, a group that is destroyed, or a job's hash that is deleted, under everybody's feet."""
    base = f"homing:{{{QUEUE}}}"
    with arena.raw(decode_responses=True) as raw, arena.fault("wipe", None):
        what = arena.dice.choice(["all", "group", "bodies"])
        if what == "all":
            raw.flushall()
            arena.open_queue()
        elif what == "group":
            for stream in raw.keys(f"{base}:stream:*"):
                with contextlib.suppress(redis.ResponseError):
                    raw.xgroup_destroy(stream, "workers")
        else:
            for key in raw.keys(f"{base}:job:*")[:20]:
                raw.delete(key)
            for stream in raw.keys(f"{base}:stream:*"):
                for entry, _ in raw.xrange(stream, count=20):
                    raw.xdel(stream, entry)
    arena.rest(1.0, 2.0)


def cut_power(arena: Arena) -> None:
    """SIGKILL, and of the AOF only what had reached the disk: each file is cut to its last fsync."""
    assert arena.server is not None
    with arena.fault("cut power", None):
        os.kill(arena.server.pid, signal.SIGKILL)
        arena.server.stop()
        for synced in (arena.folder / "synced").glob("*"):
            size = int(synced.read_text() or 0)
            path = next((arena.folder / "server").rglob(synced.name), None)
            if path is not None and path.stat().st_size > size:
                arena.cut_bytes += path.stat().st_size - size
                os.truncate(path, size)
        shutil.rmtree(arena.folder / "synced")
        arena.start_server()
    arena.rest(1.0, 2.0)
