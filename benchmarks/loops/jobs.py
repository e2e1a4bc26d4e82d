"""What the hand-written loops share: where their jobs are, how one is written, read and run.

They keep no promise but one: a job that was claimed and not acknowledged is still on the server. No lease, no fence,
no retry, no limits: what they reach is what Python and the server allow, and the measure of what all of that costs.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from benchmarks.peers.witness import ASYNC, SYNC

STREAM, GROUP, CONSUMER = "loop:stream", "workers", "one"
WAITING, ACTIVE = "loop:waiting", "loop:active"
#: Jobs in one read.
BATCH = 500
BLOCK_MS = 1_000

encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
decode: Callable[[bytes], tuple[str, int, str]] = msgspec.json.Decoder(tuple[str, int, str]).decode


def body(task: str, n: int, padding: str) -> bytes:
    return encode((task, n, padding))


def start(text: bytes) -> Coroutine[Any, Any, Any]:
    task, n, padding = decode(text)
    return ASYNC[task](n, padding)


def run(text: bytes) -> None:
    task, n, padding = decode(text)
    SYNC[task](n, padding)


def entries(answer: Any) -> list[tuple[bytes, list[bytes]]]:
    """Those of the one stream that was read, whichever protocol the client speaks; none of a read that gave nothing."""
    if not answer:
        return []
    found: list[tuple[bytes, list[bytes]]] = (
        next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
    )
    return found
