"""How fast one program hands over jobs of 200 bytes; the server must hold every one of them afterwards."""

from benchmarks.scenarios.scene import Figures, Run
from benchmarks.setups import Call

#: Expected jobs a second: how long a run takes follows from them, no figure does.
SINGLY, CONCURRENT, BULK = 8_000, 25_000, 90_000


def _enqueue(run: Run, mode: str, calls: Call, rate: float) -> Figures:
    jobs = run.jobs(min(rate, run.setup.rate * 5))
    with run.scene("nothing", jobs) as scene:
        before = scene.reading()
        told = scene.produce(mode, calls=calls, count=jobs, padded=True)
        spent = scene.reading() - before
        scene.check_stored(jobs)
    return {
        "jobs_per_s": jobs / told["seconds"],
        "jobs": jobs,
        "us_per_call": 1e6 * told["seconds"] / jobs,
        "server_us_per_job": spent.cpu_us / jobs,
        "flights_per_job": spent.flights / jobs,
    }


def singly_sync(run: Run) -> Figures:
    return _enqueue(run, "singly", "sync", SINGLY)


def singly_async(run: Run) -> Figures:
    return _enqueue(run, "singly", "async", SINGLY)


def concurrent(run: Run) -> Figures:
    return _enqueue(run, "concurrent", "async", CONCURRENT)


def bulk(run: Run) -> Figures:
    return _enqueue(run, "bulk", run.setup.calls[-1], BULK)
