"""What a job costs when its like are spread: over queues of one worker, over priorities, and over workers."""

from benchmarks.scenarios.drain import drain
from benchmarks.scenarios.scene import Figures, Run

QUEUES = (1, 10, 100)
PRIORITIES = (1, 3, 10)
WORKERS = (1, 2, 4, 8)


def queues(run: Run) -> Figures:
    figures = Figures()
    for count in QUEUES:
        names = [word for n in range(count) for word in ("--queue", "work" if n == 0 else f"work-{n}")]
        found = drain(run, words=names, variables={"BENCH_QUEUES": str(count)})
        figures |= _kept(found, "queues", count)
    return figures | _ratio(figures, "queues", QUEUES)


def priorities(run: Run) -> Figures:
    figures = Figures()
    for count in PRIORITIES:
        figures |= _kept(drain(run, variables={"BENCH_PRIORITIES": str(count)}), "priorities", count)
    return figures | _ratio(figures, "priorities", PRIORITIES)


def workers(run: Run) -> Figures:
    """One child process each: with more of them than cores only what a job costs the server says something."""
    figures = Figures()
    for count in WORKERS:
        figures |= _kept(drain(run, workers=count), "workers", count)
    return figures | _ratio(figures, "workers", WORKERS)


def _kept(found: Figures, what: str, count: int) -> Figures:
    return {
        f"jobs_per_s_{what}_{count}": found["jobs_per_s"],
        f"server_us_{what}_{count}": found["server_us_per_job"],
    }


def _ratio(figures: Figures, what: str, counts: tuple[int, ...]) -> Figures:
    """How much more one job costs with the most of them: of all time, and of the server's."""
    few, many = counts[0], counts[-1]
    return {
        "ratio": figures[f"jobs_per_s_{what}_{few}"] / figures[f"jobs_per_s_{what}_{many}"],
        "server_ratio": figures[f"server_us_{what}_{many}"] / figures[f"server_us_{what}_{few}"],
    }
