"""I4, by tokens: who was reclaimed takes no more jobs."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

from chaos.history import Account, Run


def reclaimed_workers(account: Account, violate: Callable[[str, str], None]) -> None:
    """A worker whose job was given to another was reclaimed, and its id is never used again.

    Tokens grow with every delivery of a queue, whoever gets it: so the token under which another got the
    job says when, without a clock.
    """
    gone = dict[str, int]()  # worker -> token at which it was no member any more
    runs_of = defaultdict[str, list[Run]](list)
    taken_of = defaultdict[str, list[Run]](list)
    for runs in account.runs.values():
        for run in runs:
            runs_of[run.id].append(run)
            taken_of[run.worker].append(run)
    for runs in runs_of.values():
        for before, after in pairwise(sorted(runs, key=lambda run: run.token)):
            handed_back = after.attempt > before.attempt or before.how == "interrupted"
            if before.worker != after.worker and not handed_back:
                gone[before.worker] = min(gone.get(before.worker, after.token), after.token)
    for worker, token in gone.items():
        for run in taken_of[worker]:
            if run.token > token:
                violate(
                    "I4",
                    f"worker {worker} got job {run.id} by delivery {run.token}, and was reclaimed before {token}",
                )
