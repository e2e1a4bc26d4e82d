"""What a power cut would leave of a file: its size at its last fsync, told by a library in the server."""

import shutil
import subprocess
from pathlib import Path

_TRACKER = Path(__file__).with_name("fsync_tracker.c")


def fsync_tracker(folder: Path) -> dict[str, str]:
    """Environment of a server that notes, for each file, its size at its last fsync.

    Raises RuntimeError when there is no compiler to build the tracker with.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("there is no C compiler for the fsync tracker")
    library, synced = folder / "fsync_tracker.so", folder / "synced"
    if not library.exists():
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, _TRACKER, "-ldl"], check=True)
    synced.mkdir(exist_ok=True)
    return {"LD_PRELOAD": str(library), "HOMING_SYNCED": str(synced)}
