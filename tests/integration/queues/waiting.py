"""Waiting for something to become true, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 10.0
_LOOK_S = 0.002


def eventually(true: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as it is true; fail when it never is."""
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(_LOOK_S)


async def aeventually(true: Callable[[], Awaitable[object]], deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not await true():
        assert time.monotonic() < end, "it never became true"
        await asyncio.sleep(_LOOK_S)
