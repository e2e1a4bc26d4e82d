"""Who outlives whom: nobody outlives the process that started it."""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


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


def kill_own_group() -> None:
    """End this process and all that it started, now."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
