"""How fast workers empty a queue that is full before they start: no-op jobs, and what each cost on both sides."""

from collections.abc import Mapping, Sequence

from benchmarks.scenarios.scene import Figures, Run


def drain(
    run: Run,
    *,
    task: str = "nothing",
    processes: int = 1,
    workers: int = 1,
    jobs: int = 0,
    padded: bool = False,
    server_first: bool = False,
    words: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Figures:
    """`processes` of one worker, or so many `workers` started one by one; `words` are added to their command.

    `padded` jobs have 200 bytes, the others as few as can be. `server_first`: the server never waits for a core.
    """
    jobs = jobs or run.jobs(run.rate * processes)
    with run.scene(task, jobs, processes=processes, variables=variables) as scene:
        before = scene.reading()
        scene.produce("fill", count=jobs, padded=padded)
        enqueued = scene.reading() - before
        scene.check_stored(jobs)
        filled = scene.reading()
        if server_first:
            scene.stage.put_server_first()
        for _ in range(workers):
            scene.work(*words)
        window = scene.watch(jobs, run.seconds)
        twice = scene.settle()
        worked = scene.reading() - filled
    whole = enqueued + worked
    return {
        "jobs_per_s": window.rate,
        "jobs": jobs,
        "ran_twice": twice,
        "worker_us_per_job": window.cpu_us,
        "cores_busy": (window.cpu_s + worked.cpu_us / 1e6) / window.seconds,
        "server_us_per_job": whole.cpu_us / jobs,
        "server_us_enqueue": enqueued.cpu_us / jobs,
        "commands_per_job": whole.sent / jobs,
        "flights_per_job": whole.flights / jobs,
    }


MILLION = 1_000_000


def one(run: Run) -> Figures:
    return drain(run)


def two(run: Run) -> Figures:
    return drain(run, processes=2)


def two_behind_server(run: Run) -> Figures:
    return drain(run, processes=2, server_first=True)


def server(run: Run) -> Figures:
    return drain(run, padded=True)


def threads(run: Run) -> Figures:
    return drain(run, task="threaded")


def million(run: Run) -> Figures:
    return drain(run, jobs=run.jobs() if run.trial else MILLION)
