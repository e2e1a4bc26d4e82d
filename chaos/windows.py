"""Times in which what a server acknowledged may be lost: around a failover."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from chaos.history import Account

#: How long before a fault begins and behind its end.
WINDOW_NS = 1_000_000_000


@dataclass(frozen=True)
class Windows:
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def around(cls, account: Account, names: Collection[str]) -> Self:
        """Around each fault of these names."""
        return cls(
            tuple(
                (fault.begin_ns - WINDOW_NS, (fault.end_ns or fault.begin_ns) + WINDOW_NS)
                for fault in account.faults
                if fault.name in names
            )
        )

    def hold(self, at_ns: int) -> bool:
        return any(begin <= at_ns <= end for begin, end in self.spans)
