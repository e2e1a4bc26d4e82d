"""I10: no job runs before it is due, by the server's clock, which may be wrong and may jump."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from chaos.history import Account

#: The server's clock is read in whole milliseconds.
PRECISION_NS = 2_000_000
FOREVER_NS = 1 << 63


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when the server's clock may have been wrong by so much."""

    begin_ns: int
    end_ns: int
    wrong_ns: int


def spans(account: Account) -> list[Span]:
    told = [(0, [0]), *account.clocks_ms, (FOREVER_NS, [0])]
    return [
        Span(begin_ns, end_ns, wrong_ms * 1_000_000)
        for (begin_ns, wrongs_ms), (end_ns, _) in pairwise(told)
        for wrong_ms in wrongs_ms
    ]


def early(account: Account) -> Iterator[tuple[int, float]]:
    """Jobs that ran before they can have been due, and by how many seconds at least."""
    known = spans(account)
    for n, delay_ms in account.delays_ms.items():
        if n in account.runs and n in account.tried_ns:
            start_ns = account.runs[n][0].start_ns
            stored_ns = min(account.ok_ns.get(n, start_ns), start_ns)
            missing_ns = delay_ms * 1_000_000 - _most_passed(known, account.tried_ns[n], stored_ns, start_ns)
            if missing_ns > PRECISION_NS:
                yield n, missing_ns / 1e9


def _most_passed(known: list[Span], tried_ns: int, stored_ns: int, start_ns: int) -> int:
    """The most that can have passed on the server's clock until a job's start, since it was stored.

    It was between the first try to enqueue it and the answer.
    """
    possible = [span for span in known if span.begin_ns <= start_ns and span.end_ns >= tried_ns]
    return max(
        last_ns + then.wrong_ns - first_ns - at.wrong_ns
        for number, at in enumerate(possible)
        for then in possible[number:]  # within a jump the old time comes before the new one
        if (first_ns := max(at.begin_ns, tried_ns)) <= min(at.end_ns, stored_ns)
        and first_ns <= (last_ns := min(then.end_ns, start_ns))
    )
