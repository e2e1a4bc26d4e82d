"""Where a process of homing spends its processor time: its main thread is looked at a thousand times a second.

Each look charges what the thread has used of the processor since the last one to the function of homing, or of the
benchmark, that runs now. Waiting costs nothing; on a busy machine all is dearer by up to a half, since caches are
shared, and the shares stay. A look costs about 2 µs.

A process begins when a module that it imports says so (`BENCH_SAMPLES`). A producer counts what it does inside of
the modes of producer.py, a worker from its first job to its last, and both leave a file beside the witness.
"""

import atexit
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import homing
from benchmarks.peers.witness import RUNS

EVERY_S = 0.001
#: The producer's functions in which it hands jobs over.
MODES = frozenset({"_fill", "_singly"})
_FOLDERS = tuple(f"{Path(file).parent}{os.sep}" for file in (homing.__file__, __file__))
_counts: Counter[str] = Counter()
_last = 0
_done = False


def begin() -> None:
    """Only in a main thread, which signals come to."""
    signal.signal(signal.SIGALRM, _look)
    signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
    atexit.register(_end)


def _end() -> None:
    """Python gives signals back before it ends, and the next one would kill it."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    if not _done:
        _write()


def _look(_: int, frame: FrameType | None) -> None:
    global _last, _done  # noqa: PLW0603 - a signal handler has no other place
    now = time.thread_time_ns()
    spent, _last = now - _last, now
    ended = RUNS[-1] != 0
    where, counted = _where(frame)
    if (counted or RUNS[0]) and not _done:
        _counts[where] += spent
    if ended and not _done:
        _done = True
        _write()


def _where(frame: FrameType | None) -> tuple[str, bool]:
    """The innermost function of homing or the benchmark as `engines/answers.py:claim`, and whether a mode runs."""
    found, counted = "", False
    while frame is not None:
        code = frame.f_code
        if not found and (name := _name(code.co_filename)) and name != "sampling.py":
            found = f"{name}:{code.co_name}"
        counted = counted or code.co_name in MODES
        frame = frame.f_back
    return found or "loop", counted


def _name(path: str) -> str:
    """Below homing's package or the benchmark's; "" when it is in neither."""
    folder = next((each for each in _FOLDERS if path.startswith(each)), "")
    return path[len(folder) :] if folder else ""


def _write() -> None:
    if _counts:
        path = Path(os.environ["BENCH_WITNESS"]).parent / f"samples-{os.getpid()}.json"
        path.write_text(json.dumps(_counts))
