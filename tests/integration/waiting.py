"""Waiting for what must come, with a deadline."""

import time
from collections.abc import Callable

#: Seconds between two looks.
LOOK_EVERY_S = 0.02


def wait_for(happened: Callable[[], object], patience_s: float) -> None:
    """Return when it happened; AssertionError when it did not within `patience_s` seconds."""
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end, f"not within {patience_s} s"
        time.sleep(LOOK_EVERY_S)
