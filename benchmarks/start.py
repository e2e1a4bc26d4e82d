"""How long it takes to begin: `from homing import App`, and `homing --help` (medians of 10, wall time).

python benchmarks/start.py
"""

import statistics
import subprocess
import sys
import time

RUNS = 10
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "from homing import App": [sys.executable, "-c", "from homing import App"],
    "homing --help": [sys.executable, "-m", "homing.cli.main", "--help"],
}
LOADED = "import sys; from homing import App; print('redis' in sys.modules)"


def seconds(words: list[str]) -> float:
    before = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - before


def main() -> None:
    for name, words in COMMANDS.items():
        taken = [seconds(words) for _ in range(RUNS)]
        print(f"{name:24} {statistics.median(taken) * 1e3:6.0f} ms  (from {min(taken) * 1e3:.0f})")
    loaded = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    print(f"redis imported by App: {loaded.stdout.strip()}")


if __name__ == "__main__":
    main()
