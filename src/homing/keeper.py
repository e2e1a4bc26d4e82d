"""Keeps the embedded server of one folder: starts it, and stops it when its last user is gone.

A program of its own, run by `homing.embedded` as `python -I -S keeper.py FOLDER BINARY SECONDS`: it
starts in milliseconds, imports nothing of homing, and nothing that lies about in the user's folder.
In the folder:

    lock         the keeper holds it for life, and so does the server, through it: never two on one folder
    users        every user holds it shared; the keeper gets it alone when the last one is gone
    starting     held by a process while it starts a keeper, so that a crowd does not start one each
    valkey.sock  where the server listens
    valkey.conf, valkey.log, appendonlydir, and pid: the keeper's and the server's
"""

# pathlib would double the time this program takes to start.
# ruff: noqa: PTH108, PTH116, PTH123

import fcntl
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

SOCKET, LOG = "valkey.sock", "valkey.log"
#: What the keeper says to the user that started it when a server of the folder answers.
UP = b"up\n"

#: How long a server without users is kept, for a shell script that calls one command after the other.
LINGER_S = 0.5
#: How long a server may take to write its last data before it is killed.
STOP_S = 5.0
#: A longer log begins anew with the next server.
LOG_BYTES = 1 << 20
#: Between two looks at a server that is coming up.
LOOK_S = 0.003

CONFIG = f"""\
# Written by homing at every start of the embedded server; changes do not last.
port 0
unixsocket {SOCKET}
unixsocketperm 700
dir ./
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
shutdown-on-sigterm nosave now force
loglevel warning
logfile ""
daemonize no
"""

PR_SET_PDEATHSIG = 1
WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StartFailed(Exception):
    """The server did not come up; the message says why."""


def answer(address: str, timeout_s: float = 1.0) -> bytes:
    """What the server at this socket says to a PING; empty when nobody answers.

    Also an error is an answer: `-LOADING` while it reads its data, `-MISCONF` when its disk is full.
    """
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(timeout_s)
        try:
            line.connect(address)
            line.sendall(b"PING\r\n")
            return line.recv(512)
        except (FileNotFoundError, ConnectionError, BlockingIOError, TimeoutError):
            return b""


def is_at(path: str | os.PathLike[str], descriptor: int) -> bool:
    """Whether the open file still stands at this path: not so when the folder was deleted meanwhile."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def main() -> None:
    folder, binary, within_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    if os.fork():
        os._exit(0)  # or the user would have a child that it must wait for
    until = time.monotonic() + within_s
    log = 0  # /dev/null, until we know that the log is ours
    try:
        # From here on names are relative: a folder that is moved takes its keeper along.
        os.chdir(folder)
        os.umask(0o077)
        lock = take_lock(until)
        if lock is None:
            report(UP, log)
            return
        log = open_log()
        server = bring_up(binary, lock, log, until)
    except (OSError, StartFailed) as error:
        report(str(error).encode(errors="replace"), log)
        os._exit(1)
    report(UP, log)
    try:
        watch(server)
        os.unlink("pid")
    finally:
        os._exit(0)  # lets go of both locks, and does not wait for the thread


def open_file(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def open_log() -> int:
    log = os.open(LOG, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if os.fstat(log).st_size > LOG_BYTES:
        os.ftruncate(log, 0)
    return log


def take_lock(until: float) -> int | None:
    """The folder's lock, or None when another keeper's server answers."""
    while True:
        lock = open_file("lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if answer(SOCKET):
                return None
        else:
            if is_at("lock", lock):
                return lock
        os.close(lock)
        if time.monotonic() > until:
            raise StartFailed("a server that does not answer holds the folder")
        time.sleep(LOOK_S)


def report(words: bytes, log: int) -> None:
    """Tell the user that started us how it went; from then on we speak to the log alone."""
    try:
        os.write(1, words)
    except BrokenPipeError:
        return  # it did not wait; its going is noticed by the lock it held
    finally:
        os.dup2(log, 1)
        os.dup2(log, 2)


def bring_up(binary: str, lock: int, log: int, until: float) -> int:
    """Start the server and return its process id when it answers, be it that it loads its data."""
    with open("valkey.conf", "w", encoding="ascii") as config:
        config.write(CONFIG)
    since = os.fstat(log).st_size
    signal.signal(signal.SIGCHLD, lambda *_: None)  # where it is ignored, macOS would drop a pending one
    signal.pthread_sigmask(signal.SIG_SETMASK, WATCHED)
    users = open_file("users")
    pids = open_file("pid")
    os.ftruncate(pids, 0)  # of a keeper that was killed
    dies_with_us = death_signal()
    server = start(binary, lock, log, pids, dies_with_us)
    os.close(pids)
    if dies_with_us is None:
        guard(server, [lock, users])
    threading.Thread(target=stop_when_alone, args=(users, server), daemon=True).start()
    while not answer(SOCKET):
        ended, status = os.waitpid(server, os.WNOHANG)
        if ended and os.WIFSIGNALED(status):
            raise StartFailed(f"the server was ended by {signal.Signals(os.WTERMSIG(status)).name}")
        if ended:
            raise StartFailed(last_line(log, since))
        if time.monotonic() > until:
            os.kill(server, signal.SIGKILL)
            raise StartFailed("the server started but does not answer")
        time.sleep(LOOK_S)
    return server


def start(binary: str, lock: int, log: int, pids: int, dies_with_us: Callable[[], None] | None) -> int:
    """Fork and exec the server; it inherits the lock, which nobody gets before it is gone too.

    `pid` is written before the server is there: whoever it answers, while we wait for our turn on a
    busy machine, finds it.
    """
    keeper = os.getpid()
    if server := os.fork():
        return server
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.set_inheritable(lock, True)
        if dies_with_us is not None:
            dies_with_us()
        if os.getppid() == keeper:  # else it died before the line above
            os.write(pids, f"{keeper} {os.getpid()}\n".encode())
            os.execv(binary, ["valkey-server", "valkey.conf"])  # noqa: S606
    except OSError as error:
        os.write(2, f"cannot run {binary}: {error.strerror}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def death_signal() -> Callable[[], None] | None:
    """What a child calls to be killed when its parent dies; None where the kernel has no such thing.

    It follows the *thread* that forked: the keeper forks in its main thread, which lives as long as it.
    SIGKILL and not SIGTERM: it also ends a server that is stuck in a script or stopped.
    """
    if sys.platform != "linux":
        return None
    try:
        import ctypes
    except ImportError:  # Python was built without libffi
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def die_with_parent() -> None:
        if prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")

    return die_with_parent


def guard(server: int, not_ours: list[int]) -> None:
    """Fork a process that kills the server when this one dies: the end of its pipe says so.

    For macOS, where nobody has tested it; its mechanism is tested on Linux.
    """
    ear, mouth = os.pipe()
    if os.fork():
        os.close(ear)  # the mouth stays open as long as the keeper lives
        return
    for descriptor in (mouth, *not_ours):
        os.close(descriptor)
    os.dup2(0, 1)  # 0 is /dev/null: the user that waits for our report must see its end
    os.dup2(0, 2)
    try:
        os.read(ear, 1)
        os.kill(server, signal.SIGKILL)  # gone already when all went well; no pid is used again so soon
    finally:
        os._exit(0)


def stop_when_alone(users: int, server: int) -> None:
    """Wait until the last user is gone, however it died, and end the server (in a thread of its own).

    The lock is kept to the end of this process: who comes now waits, and then starts a new server.
    """
    try:
        while True:
            fcntl.flock(users, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            time.sleep(LINGER_S)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # somebody came in the meantime
            return
    finally:  # also when locking fails: better no server than one that nobody stops
        try:
            os.kill(server, signal.SIGTERM)
            time.sleep(STOP_S)  # the main thread sees the server end, and ends us
            os.kill(server, signal.SIGKILL)
        finally:
            os._exit(1)


def watch(server: int) -> None:
    """Wait for the server's end; pass a request to end on to it."""
    while True:
        if signal.sigwait(WATCHED) != signal.SIGCHLD:
            os.kill(server, signal.SIGTERM)
            continue
        if os.waitpid(server, os.WNOHANG) != (0, 0):
            return


def last_line(log: int, since: int) -> str:
    """The last thing that was logged after this position."""
    start = max(since, os.fstat(log).st_size - 4096)
    lines = os.pread(log, 4096, start).decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "the server ended without a word")


if __name__ == "__main__":
    main()
