"""Processes that use an embedded server, and what the kernel knows about them."""

import os
import select
import subprocess
from collections.abc import Callable
from pathlib import Path

import redis

from homing import embedded

#: Users killed, server gone: the promise, with room for a busy machine.
GONE_S = 2.0
DEADLINE_S = 30.0

Users = Callable[..., subprocess.Popen[str]]

#: Joins, says so, and stays until its standard input ends.
USER = """
import sys
from pathlib import Path
from homing import embedded
with embedded.join(Path(sys.argv[1]), deadline=30) as member:
    print(member.url, flush=True)
    sys.stdin.read()
"""


def line(user: subprocess.Popen[str]) -> str:
    """The next line that it prints; it starts with what it joined."""
    assert user.stdout is not None
    ready, _, _ = select.select([user.stdout], [], [], DEADLINE_S)
    assert ready, "the user said nothing in time"
    said = user.stdout.readline().strip()
    assert said, "the user ended"
    return said


def ends(pid: int, within_s: float) -> bool:
    """Whether the process, whosever child it is, has ended within this time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


def kept(folder: Path) -> tuple[int, int]:
    """The process ids of the folder's keeper and server."""
    its_keeper, server = (folder / "pid").read_text().split()
    return int(its_keeper), int(server)


def servers_of(folder: Path) -> list[int]:
    """The servers that run in this folder, as the kernel sees them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_server = (process / "exe").readlink().name == "valkey-server"
            if is_server and (process / "cwd").readlink() == folder:
                found.append(int(process.name))
        except OSError:
            continue  # ended, or not ours
    return found


def client(member: embedded.Membership) -> redis.Redis:
    return redis.Redis.from_url(member.url)
