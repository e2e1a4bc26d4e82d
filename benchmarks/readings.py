"""What a server and a worker have used so far; the difference of two readings is what something cost."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

_UNITS = re.compile(r"VmRSS:\s+(\d+) kB")
#: What the benchmark itself sends.
_OURS = {"info", "scan", "type", "client|list", "memory|usage", "xinfo|groups"}


@dataclass(frozen=True, slots=True)
class Reading:
    """Counted since the server's start. `flights` are reads from sockets: what arrives together counts once."""

    cpu_us: float
    flights: int
    commands: Counter[str]
    memory: int

    def __add__(self, other: "Reading") -> "Reading":
        return Reading(
            self.cpu_us + other.cpu_us,
            self.flights + other.flights,
            self.commands + other.commands,
            self.memory + other.memory,
        )

    def __sub__(self, other: "Reading") -> "Reading":
        return Reading(
            self.cpu_us - other.cpu_us,
            self.flights - other.flights,
            self.commands - other.commands,
            self.memory - other.memory,
        )

    @property
    def sent(self) -> int:
        """Commands, those that scripts call with them."""
        return sum(self.commands.values())


def read(client: Any) -> Reading:
    told = client.info("everything")
    commands = {
        name.removeprefix("cmdstat_"): stats["calls"]
        for name, stats in told.items()
        if name.startswith("cmdstat_") and name.removeprefix("cmdstat_") not in _OURS
    }
    return Reading(
        1e6 * (told["used_cpu_user"] + told["used_cpu_sys"]),
        told["total_reads_processed"],
        Counter(commands),
        told["used_memory"],
    )


def left(client: Any, patterns: Iterable[str]) -> int:
    """How many jobs these keys still hold; of a stream's entries those count that no group has acknowledged."""
    return sum(_held(client, key) for pattern in patterns for key in _keys(client, pattern))


def _keys(client: Any, pattern: str) -> Iterator[bytes]:
    if "*" in pattern:
        return cast("Iterator[bytes]", client.scan_iter(match=pattern, count=5_000))
    return iter([pattern.encode()])


def _held(client: Any, key: bytes) -> int:
    match client.type(key):
        case b"list":
            return int(client.llen(key))
        case b"zset":
            return int(client.zcard(key))
        case b"set":
            return int(client.scard(key))
        case b"hash":
            return int(client.hlen(key))
        case b"string":
            return 1
        case b"stream":
            return _unacknowledged(client, key)
    return 0


def _unacknowledged(client: Any, key: bytes) -> int:
    length = int(client.xlen(key))
    groups = client.xinfo_groups(key) if length else []
    known = [group for group in groups if group.get("lag") is not None]
    if not groups or len(known) < len(groups):  # nobody reads yet, or entries were deleted in between
        return length
    return sum(int(group["pending"]) + int(group["lag"]) for group in known)


def rss_bytes(pids: Iterable[int]) -> list[int]:
    """What each of these processes has in memory, the largest first; one that is gone has nothing."""
    sizes = []
    for pid in pids:
        with suppress(OSError):
            found = _UNITS.search(Path(f"/proc/{pid}/status").read_text())
            sizes.append(int(found[1]) * 1_024 if found else 0)
    return sorted(sizes, reverse=True)
