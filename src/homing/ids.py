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
#: Letters of an id that say its millisecond, and those at its end that are random: whole bytes make each.
_HEAD_LETTERS, _TAIL_LETTERS, _TAIL_BYTES = 7, 12, 9
_LETTERS = frozenset(ALPHABET)
#: No id is older than 2020.
_FIRST_MS = 1_577_836_800_000


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
        """Drop the random bits drawn ahead, and what was half done: a forked child must not use its parent's."""
        self._lock = threading.Lock()
        self._tails: list[str] = []
        self._spare = b""
        #: The letters that ids share for four seconds, and for a millisecond, each with what it says.
        self._age, self._first = -1, ""
        self._ms, self._head = -1, ""

    def new(self) -> str:
        with self._lock:
            now = self._clock_ns() // 1_000_000 << 10
            self._last = last = now if now > self._last else self._last + 1
            if last >> 10 != self._ms:
                self._head, self._ms = self._head_of(last >> 10), last >> 10
            if not self._tails:
                self._draw()
            head, tail = self._head, self._tails.pop()
            # 10 bits of the counter and 2 random ones make the two letters between.
            between = (last & 0x3FF) << 2 | self._spare[len(self._tails)] & 3
        return f"{head}{ALPHABET[between >> 6]}{ALPHABET[between & 63]}{tail}"

    def _head_of(self, ms: int) -> str:
        """Whoever is interrupted here, by a signal's handler, leaves nothing half done."""
        if ms >> 12 != self._age:
            self._first, self._age = _text((ms << 6).to_bytes(6, "big"))[: _HEAD_LETTERS - 2], ms >> 12
        return f"{self._first}{ALPHABET[ms >> 6 & 63]}{ALPHABET[ms & 63]}"

    def _draw(self) -> None:
        """Random bits for the next ids: spelt out together, each costs a third of what it costs alone."""
        drawn = os.urandom(_RANDOM_BYTES * _DRAWS_PER_READ)
        text = _text(drawn[: _TAIL_BYTES * _DRAWS_PER_READ])
        self._tails = [text[at : at + _TAIL_LETTERS] for at in range(0, len(text), _TAIL_LETTERS)]
        self._spare = drawn[_TAIL_BYTES * _DRAWS_PER_READ :]


def _text(number: bytes) -> str:
    """Bytes as letters of the alphabet, 6 bits each."""
    return binascii.b2a_base64(number, newline=False).translate(_IN_ORDER).decode("ascii")


def made_ms(job_id: str) -> int | None:
    """The millisecond at which an id of ours was made; None of one that cannot be."""
    if len(job_id) != ID_LENGTH or not set(job_id) <= _LETTERS:
        return None
    ms = 0
    for letter in job_id[:_HEAD_LETTERS]:
        ms = ms << 6 | ALPHABET.index(letter)
    return ms if ms >= _FIRST_MS else None


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
    return _text(os.urandom(LANE_LENGTH * 6 // 8))
