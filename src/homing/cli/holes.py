"""Known holes of servers in what homing makes them do: scripts, blocking reads, streams. No I/O.

Each hole lets somebody who may send commands run code on the server's host. Versions are those in
which each release line was mended, as its project announced; a distribution may have mended older ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Line = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hole:
    """What is wrong, and per release line the patch that mended it; a line between two of them never was."""

    name: str
    what: str
    redis: Mapping[Line, int]
    valkey: Mapping[Line, int]
    #: The first release line that has it.
    since: Line = (0, 0)

    def is_in(self, *, valkey: bool, version: tuple[int, int, int]) -> bool:
        mended = self.valkey if valkey else self.redis
        line, patch = version[:2], version[2]
        if line in mended:
            return patch < mended[line]
        return self.since <= line < max(mended, default=self.since)


HOLES = (
    Hole(
        "CVE-2024-31449",
        "a script can overflow the stack",
        redis={(6, 2): 16, (7, 2): 6, (7, 4): 1},
        valkey={(7, 2): 7, (8, 0): 1},
    ),
    Hole(
        "CVE-2025-49844",
        "a script can use freed memory",
        redis={(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
        valkey={(7, 2): 11, (8, 0): 6, (8, 1): 4},
    ),
    Hole(
        "CVE-2026-23479",
        "the end of a blocking read can use freed memory",
        redis={(7, 2): 14, (7, 4): 9, (8, 2): 6, (8, 4): 3, (8, 6): 3},
        valkey={(7, 2): 13, (8, 0): 9, (8, 1): 7, (9, 0): 4},
        since=(7, 2),
    ),
    Hole(
        "the security releases of July 2026",
        "a client that is let in can run code",
        redis={(6, 2): 23, (7, 2): 15, (7, 4): 10, (8, 2): 8, (8, 4): 5, (8, 6): 5, (8, 8): 1},
        valkey={(7, 2): 14, (8, 0): 10, (8, 1): 9, (9, 0): 5, (9, 1): 1},
    ),
)


def known(*, valkey: bool, version: tuple[int, int, int]) -> list[Hole]:
    """The holes of a server of this version, oldest first."""
    return [hole for hole in HOLES if hole.is_in(valkey=valkey, version=version)]


def mended(*, valkey: bool, version: tuple[int, int, int]) -> str:
    """The nearest version, of its own line or a later one, without any of them."""
    lines: dict[Line, int] = {}
    for hole in HOLES:
        for line, patch in (hole.valkey if valkey else hole.redis).items():
            lines[line] = max(patch, lines.get(line, 0))
    near = sorted(line for line in lines if line >= version[:2])
    whole = [(*line, lines[line]) for line in near if not known(valkey=valkey, version=(*line, lines[line]))]
    return ".".join(map(str, whole[0])) if whole else "the newest release"
