"""How long it takes to begin: `from homing import App`, and `homing --help`, beside a Python that does nothing."""

import subprocess
import time

from benchmarks.scenarios.scene import Figures, Run

LOADED = "import sys; from homing import App; sys.exit('redis' in sys.modules)"


def start(run: Run) -> Figures:
    python = str(run.programs / "python")
    figures = {
        "python_ms": _ms([python, "-c", "pass"]),
        "import_ms": _ms([python, "-c", "from homing import App"]),
        "help_ms": _ms([python, "-m", "homing.cli.main", "--help"]),
    }
    loaded = subprocess.run([python, "-c", LOADED], check=False).returncode
    return figures | {"redis_loaded": float(loaded)}


def _ms(words: list[str]) -> float:
    before = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return 1e3 * (time.perf_counter() - before)
