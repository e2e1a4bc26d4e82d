"""How long after `enqueue` a job starts, and its result is there: on an idle worker, and at half of its full speed.

Each delay counts from before the call to the first line of the handler, or to when the caller has the result,
by CLOCK_MONOTONIC, which all processes of a machine share. Between two jobs the worker has time to be idle again. A queue
with calls for plain programs and for coroutines is asked by the former.
"""

import json
import statistics

from benchmarks.peers.producer import WARM_UP
from benchmarks.scenarios.scene import Figures, Run, Scene, cores
from benchmarks.stage import Silent

OURS = 100
#: A probe takes about so long, its pause with it.
PROBE_S = 0.03
#: The load goes on until the probes have ended, at most so long.
LOAD_S = 30.0
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
    first, load = probes + WARM_UP, int(rate * LOAD_S)
    with run.scene("stamp", first + load, results=run.setup.results) as scene:
        scene.work()
        pacer = scene.pacer(start=first, count=load, rate=rate, seconds=LOAD_S)
        figures = _probe(scene, probes)
        if pacer.poll() is not None:
            raise Silent("the load ended before the probes: some of them found an idle worker")
        scene.stage.enough()
        said, _ = pacer.communicate(timeout=LOAD_S)
        told = json.loads(said.decode().splitlines()[-1])
        sent = WARM_UP + int(figures["probes"]) + told["count"]
        scene.stage.wait(lambda: scene.stage.ran() == sent, "the load has run", limit_s=2 * LOAD_S)
        scene.settle()
    return figures | {"load_per_s": told["count"] / told["seconds"], "cores": cores()}


def _probes(run: Run) -> int:
    """A 99th percentile of few is the slowest of them: homing and the loops are asked a hundred times."""
    wanted = max(20, int(run.seconds / PROBE_S))
    return wanted if run.trial or not (run.setup.ours or run.setup.loop) else max(OURS, wanted)


def _probe(scene: Scene, probes: int) -> Figures:
    told = scene.produce("probe", calls=scene.setup.calls[0], count=probes, results=scene.setup.results)
    counted: Figures = {"probes": len(told["start_ms"])}
    return counted | _cuts("start", told["start_ms"]) | _cuts("result", told["result_ms"])


def _cuts(name: str, values: list[float]) -> Figures:
    if not values:
        return {}
    cuts = statistics.quantiles(values, n=100, method="inclusive")  # never beyond the slowest that was seen
    return {f"{name}_p50_ms": cuts[49], f"{name}_p95_ms": cuts[94], f"{name}_p99_ms": cuts[98]}
