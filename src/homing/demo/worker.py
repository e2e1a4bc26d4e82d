"""The demo's worker: the supervisor of `homing worker homing.demo.tasks:app`, on a leash.

python -m homing.demo.worker QUEUE      works until its stdin ends, or it is told to stop
"""

import os
import signal
import sys
import threading

from homing.worker.supervisor import WorkerOptions, run


def main() -> int:
    threading.Thread(target=_stop_at_the_end_of_the_leash, daemon=True).start()
    return run(WorkerOptions(app="homing.demo.tasks:app", queues=sys.argv[1:]))


def _stop_at_the_end_of_the_leash() -> None:
    """However the demo ends, its end of our stdin is closed by then."""
    while os.read(sys.stdin.fileno(), 4096):  # unbuffered: a buffer's lock would be held at our end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
