"""Waiting for what must come, with a deadline, without holding the loop."""

import asyncio
import time
from collections.abc import Callable


async def until(happened: Callable[[], object], patience_s: float = 10.0) -> None:
    """Return when it happened; AssertionError when it did not in time."""
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end, f"not within {patience_s} s"
        await asyncio.sleep(0.005)
