"""What one idle worker says to the server: round trips (reads from its sockets), commands, and processor time."""

import time

from benchmarks.scenarios.scene import Figures, Run

#: The two INFO of the readings: the second counts the first's read and its own.
OUR_FLIGHTS = 1
#: What homing does once in a few seconds should be seen as often as it comes.
OURS_S = 10.0


def idle(run: Run) -> Figures:
    with run.scene("nothing", 10) as scene:
        scene.work()
        scene.stage.wait(lambda: scene.stage.connections() > 1, "the worker connects")
        scene.produce("fill", count=10)
        scene.stage.wait(lambda: scene.stage.ran() == 10, "the first jobs run")
        scene.stage.wait_for_rest(scene.workers[0])
        ours = run.setup.ours and not run.trial
        seconds = OURS_S if ours else max(2.0, run.seconds * 2)
        before, used, began = scene.reading(), scene.used_s(), time.perf_counter()
        time.sleep(seconds)
        said, spent = scene.reading() - before, time.perf_counter() - began
        used = scene.used_s() - used
    return {
        "flights_per_s": (said.flights - OUR_FLIGHTS) / spent,
        "commands_per_s": said.sent / spent,
        "worker_cpu_share": used / spent,
        "server_cpu_share": said.cpu_us / 1e6 / spent,
    }
