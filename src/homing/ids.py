"""Ids that sort by time, made without asking anybody."""

import binascii
import os
import re
import threading
import time
from collections.abc import Callable

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#: In the order of ASCII, so that ids compare as the numbers they write down.
ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_IN_ORDER = bytes.maketrans(_STANDARD, ALPHABET.encode())

ID_LENGTH = 21
LANE_LENGTH = 16
WORKER_ID_MAX = 64
_RANDOM_BYTES = 10
_DRAWS_PER_READ = 256


class Ids:
    """Makes ids of 126 bits: 42 of milliseconds, 10 of a counter, 74 random.

    The ids of one process grow strictly: more than 1,024 in a millisecond run ahead of the clock,
    and a clock that goes back is not followed. The clock is in nanoseconds, as `time.time_ns`.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._last = 0
        self.forget()

    def forget(self) -> None:
        """Drop the random bytes drawn ahead: a forked child must not use its parent's."""
        self._lock = threading.Lock()
        self._drawn = b""
        self._used = 0

    def new(self) -> str:
        with self._lock:
            self._last = last = max(self._last + 1, self._clock_ns() // 1_000_000 << 10)
            used = self._used
            if used >= len(self._drawn):
                self._drawn, used = os.urandom(_RANDOM_BYTES * _DRAWS_PER_READ), 0
            self._used = end = used + _RANDOM_BYTES
            drawn = self._drawn
        # 52 bits of time and 4 random ones make 7 whole bytes; 9 more give the 70 bits that are left.
        head = (last << 4 | drawn[used] >> 4).to_bytes(7, "big")
        text = binascii.b2a_base64(head + drawn[used + 1 : end], newline=False)
        return text[:ID_LENGTH].translate(_IN_ORDER).decode("ascii")


_IDS = Ids()
os.register_at_fork(after_in_child=_IDS.forget)

#: A new job id of 21 characters; ids sort by the time at which they were made.
new_id: Callable[[], str] = _IDS.new


def new_worker_id(label: str) -> str:
    """A worker id that was never used before, beginning with the label as far as an id can hold it."""
    readable = re.sub(r"[^A-Za-z0-9_.:-]+", "-", label).strip("-") or "worker"
    return f"{readable[: WORKER_ID_MAX - ID_LENGTH - 1]}-{new_id()}"


def new_lane() -> str:
    """The name of a lane: 96 random bits."""
    drawn = os.urandom(LANE_LENGTH * 6 // 8)
    return binascii.b2a_base64(drawn, newline=False).translate(_IN_ORDER).decode("ascii")
