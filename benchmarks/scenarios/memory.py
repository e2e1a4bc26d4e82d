"""What jobs cost the server in memory, waiting and finished, and what a worker has in memory over many of them."""

from collections import Counter

from benchmarks.readings import rss_bytes
from benchmarks.scenarios.scene import Figures, Run, Scene

#: Many enough that tables and nodes of the server are full, few enough for the slow to enqueue.
WAITING, WAITING_OF_SLOW, WAITING_OF_TRIAL = 100_000, 20_000, 10_000
SLOW = 10_000
#: Who would take longer to run them is only asked what they cost while they wait.
DRAIN_S = 30.0
#: Keys in one flight.
PAGE = 1_000
#: A soak fills and drains so many at a time.
CHUNK = 100_000
SOAK = 2_000_000


def waiting(run: Run) -> Figures:
    """Bytes for each waiting job of 200 bytes, and what is left of each when all have run."""
    jobs = WAITING_OF_TRIAL if run.trial else WAITING if run.setup.rate >= SLOW else WAITING_OF_SLOW
    with run.scene("nothing", jobs) as scene:
        before = scene.reading()
        scene.produce("fill", count=jobs, padded=True)
        full = scene.reading()
        scene.check_stored(jobs)
        figures = {"jobs": jobs, "bytes_per_waiting": (full.memory - before.memory) / jobs} | _by_type(
            scene, jobs
        )
        if jobs / run.rate > DRAIN_S:
            return figures
        scene.work()
        scene.watch(jobs, jobs / run.rate)
        scene.settle()
        rss = _worker(scene)
        scene.stage.stop(scene.workers[0])
        empty = scene.reading()
    return figures | {
        "bytes_per_finished": (empty.memory - before.memory) / jobs,
        "worker_rss": rss[0],
        "worker_rss_in_all": sum(rss),
    }


def _by_type(scene: Scene, jobs: int) -> Figures:
    """Bytes of each job in keys of each type, as MEMORY USAGE tells: without the table of all keys."""
    client, sizes = scene.stage.client, Counter[str]()
    names = list(client.scan_iter(count=1_000))
    for start in range(0, len(names), PAGE):
        pipe = client.pipeline(transaction=False)
        for name in names[start : start + PAGE]:
            pipe.type(name)
            pipe.memory_usage(name, samples=0)
        told = pipe.execute()
        for kind, size in zip(told[::2], told[1::2], strict=True):
            sizes[kind.decode()] += size or 0
    kinds = {f"bytes_in_{kind}": size / jobs for kind, size in sizes.items()}
    return kinds | {"bytes_of_keys": sizes.total() / jobs}


def _worker(scene: Scene) -> list[int]:
    return rss_bytes(set().union(*(scene.stage.tree(name) for name in scene.workers)))


def soak(run: Run) -> Figures:
    """One worker over two million jobs: its largest process, and the server, at several points."""
    rounds, chunk = (2, run.jobs(run.setup.rate / 2)) if run.trial else (SOAK // CHUNK, CHUNK)
    marks, figures = {1: "early", rounds // 2: "middle", rounds: "late"}, Figures()
    with run.scene("nothing", rounds * chunk) as scene:
        before = scene.reading()
        scene.work()
        for number in range(1, rounds + 1):
            scene.produce("fill", count=chunk, start=(number - 1) * chunk)
            done, limit_s = number * chunk, 60 + 20 * chunk / run.rate
            scene.stage.wait(lambda done=done: scene.stage.ran() >= done, "the jobs run", limit_s=limit_s)  # type: ignore[misc]
            if number in marks:
                scene.settle()
                figures[f"rss_{marks[number]}"] = _worker(scene)[0]
                figures[f"server_grew_{marks[number]}"] = (scene.reading() - before).memory
        scene.stage.stop(scene.workers[0])
        figures["server_grew_after"] = (scene.reading() - before).memory
    return figures | {"jobs": rounds * chunk}
