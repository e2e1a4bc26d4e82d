"""Jobs that do something: wait for 50 ms, many at once, or burn 10 ms of a core; the share of what would be ideal."""

import math

from benchmarks.peers.witness import NAP_S, SPIN_S
from benchmarks.scenarios.scene import Figures, Run, cores
from benchmarks.stage import Silent

#: More than this of the ideal can only be had with more jobs at once than the cell asks for.
SHARE_MAX = 1.1
#: A run that is shorter says more about its first and last jobs than about the others.
LEAST_S, TRY_OUT_S = 1.5, 0.5
#: All of a wave end at once: a look that comes late costs a hundredth of a short run.
LOOK_S = 0.002


def naps(run: Run, concurrency: int) -> Figures:
    """Who cannot run so many in one process gets more processes, as many as make up for it."""
    ideal = concurrency / NAP_S
    stretch = max(1.0, LEAST_S / run.seconds) if run.seconds > TRY_OUT_S else 1.0
    jobs = run.jobs(stretch * min(ideal, run.rate), least=3 * concurrency)
    processes = math.ceil(concurrency / run.setup.concurrency_max)
    with run.scene("nap", jobs, processes=processes, concurrency=concurrency // processes) as scene:
        scene.produce("fill", count=jobs)
        scene.work(*run.setup.naps)
        # From the end of the first wave: what ends with its first job has not been waited for.
        expected_s = jobs / min(ideal, run.rate)
        window = scene.watch(jobs, expected_s, first=concurrency, look_s=LOOK_S)
        scene.settle()
    share = window.rate / ideal
    if share > SHARE_MAX:
        raise Silent(f"{100 * share:.0f} % of the ideal: it ran more than {concurrency} jobs at once")
    return {
        "jobs_per_s": window.rate,
        "share": share,
        "jobs": jobs,
        "processes": processes,
        "worker_us_per_job": window.cpu_us,
    }


def hundred(run: Run) -> Figures:
    return naps(run, 100)


def thousand(run: Run) -> Figures:
    return naps(run, 1_000)


def burning(run: Run) -> Figures:
    ideal = cores() / SPIN_S
    jobs = run.jobs(2 * min(ideal, run.rate))  # until all processes are up, some cores are idle
    with run.scene("spin", jobs, processes=cores()) as scene:
        scene.produce("fill", count=jobs)
        scene.work()
        window = scene.watch(jobs, jobs / ideal)
        scene.settle()
    return {"jobs_per_s": window.rate, "share": window.rate / ideal, "jobs": jobs, "cores": cores()}
