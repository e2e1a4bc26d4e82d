"""The checksum of a stored job: a bit that flipped in its payload or its task's name shows."""

from functools import lru_cache
from zlib import crc32


@lru_cache(maxsize=1_024)
def _seed(task: str) -> int:
    return crc32(task.encode("utf-8", "replace") + b"\n")


def checksum(task: str, payload: bytes) -> bytes:
    """The CRC-32 of the task's name, a line end and the payload, as 8 lowercase hex digits.

    A message's task is empty. Any 32 flipped bits in a row, and any odd number of them, change it.
    """
    return b"%08x" % crc32(payload, _seed(task))
