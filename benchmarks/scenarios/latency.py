"""How long after `enqueue` a job starts, and its result is there: on an idle worker, and at half of its full speed.

Each delay counts from before the call to the first line of the handler, or to when the caller has the result,
by CLOCK_MONOTONIC, which all processes of a machine share. Between two jobs the worker has time to be idle again.
"""

import json
import statistics

from benchmarks.peers.producer import WARM_UP
from benchmarks.scenarios.scene import Figures, Run, Scene, cores

#: A probe takes about so long, its pause with it.
PROBE_S = 0.03
#: The load goes on so much longer than the probes should take.
SPARE = 3.0
#: More would need more producers than there are cores beside the worker and the server.
LOAD_MAX = 20_000.0


def idle(run: Run) -> Figures:
    probes = _probes(run)
    with run.scene("stamp", probes + WARM_UP, results=run.setup.results) as scene:
        scene.work()
        figures = _probe(scene, probes)
        scene.settle()
    return figures


def half(run: Run) -> Figures:
    probes = _probes(run)
    rate = min(LOAD_MAX, run.rate / 2)
    seconds = max(3.0, run.seconds * SPARE)
    first, load = probes + WARM_UP, int(rate * seconds)
    with run.scene("stamp", first + load, results=run.setup.results) as scene:
        scene.work()
        pacer = scene.pacer(start=first, count=load, rate=rate, seconds=seconds)
        figures = _probe(scene, probes)
        still = pacer.poll() is None
        said, _ = pacer.communicate(timeout=seconds + 60)
        sent = json.loads(said.decode().splitlines()[-1])["count"]
        scene.stage.wait(lambda: scene.stage.ran() == first + sent, "the load has run", limit_s=seconds + 60)
        scene.settle()
    # Probes that outlast the load found an idle worker at the end: the reader should know.
    return figures | {"load_per_s": sent / seconds, "loaded_throughout": float(still), "cores": cores()}


def _probes(run: Run) -> int:
    return max(20, int(run.seconds / PROBE_S))


def _probe(scene: Scene, probes: int) -> Figures:
    told = scene.produce("probe", count=probes, results=scene.setup.results)
    return _cuts("start", told["start_ms"]) | _cuts("result", told["result_ms"])


def _cuts(name: str, values: list[float]) -> Figures:
    if not values:
        return {}
    cuts = statistics.quantiles(values, n=100)
    return {f"{name}_p50_ms": cuts[49], f"{name}_p95_ms": cuts[94], f"{name}_p99_ms": cuts[98]}
