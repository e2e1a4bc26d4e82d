"""The checksum of a stored job: a bit that flipped in its payload or its task's name shows."""

from functools import lru_cache
from zlib import crc32


@lru_cache(maxsize=1_024)
def _seed(task: str) -> int:
    return crc32(task.encode("utf-8", "replace") + b"\n")


@lru_cache(maxsize=1_024)
def _beginning(task: str) -> tuple[int, bytes]:
    """The sum so far, and the name as it is stored. Raises ValueError of one that cannot be told from a payload."""
    if "\n" in task:
        raise ValueError(f"task {task!r} has a line end in its name: use another")
    return _seed(task), task.encode()


def checksum(task: str, payload: bytes) -> bytes:
    """The CRC-32 of the task's name, a line end and the payload, as 8 lowercase hex digits.

    A message's task is empty. Any 32 flipped bits in a row, and any odd number of them, change it.
    """
    return b"%08x" % crc32(payload, _seed(task))


def summed(task: str, payload: bytes) -> bytes:
    """What is summed up, behind its sum: `<sum> <task>`, a line end and the payload. Raises ValueError."""
    seed, name = _beginning(task)
    return b"%08x %b\n%b" % (crc32(payload, seed), name, payload)
