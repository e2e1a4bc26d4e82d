"""Who outlives whom: nobody outlives the process that started it."""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
#: Waits for the end of its standard input. A stop signal to the whole group is not for it.
_GUARD = "trap '' INT TERM HUP; read -r _; kill -9 0"
_SHELL = "/bin/sh"


def die_with(parent: int) -> None:
    """From now on this process dies with the one that started it, on Linux; exits at once if it has.

    To be called in the main thread, by a process whose parent forked it from its own main thread: the
    signal follows threads. Elsewhere the end of a pipe has to tell.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def guard_group(leash: int) -> None:
    """Have a small process of this group kill the group when the pipe `leash` ends.

    What dies with its parent is gone before it can end what it started itself; this one is not.
    Without a shell, as in a bare container image, what handlers started may live on.
    """
    os.set_inheritable(leash, False)
    if os.access(_SHELL, os.X_OK):
        files = [
            (os.POSIX_SPAWN_DUP2, leash, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        os.posix_spawn(_SHELL, [_SHELL, "-c", _GUARD], {}, file_actions=files)


def kill_own_group() -> None:
    """End this process and all that it started, now."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def reap_orphans(children: set[int]) -> None:
    """Let go of the dead that are none of `children`: the first process of a container inherits them."""
    if os.getpid() != 1:
        return
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None or dead.si_pid in children:
            return
        os.waitpid(dead.si_pid, 0)
