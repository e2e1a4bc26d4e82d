"""How long to rest after a failure, and how often to tell of it."""

import random

#: The first rest and the longest, in seconds.
PAUSE_S, PAUSE_MAX_S = 0.05, 2.0


def backoff_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row, with jitter."""
    return min(PAUSE_MAX_S, PAUSE_S * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)


def now_and_then(failures: int) -> bool:
    """Whether the nth failure in a row is told: the 1st, 2nd, 4th, 8th …; an outage must not flood a log."""
    return failures & (failures - 1) == 0
