"""Each peer in a virtual environment of its own, so that no two have to agree on a version."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queue's programs are, what is installed there, or why it is not."""

    programs: Path
    versions: tuple[str, ...] = ()
    failed: str = ""


def place_for(name: str, pins: tuple[str, ...], folder: Path) -> Place:
    """The environment of these pins below `folder`, made when it is not there."""
    home = folder / name
    pip = (str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    done = home / "pins"
    if not done.exists() or done.read_text() != "\n".join(pins):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        said = subprocess.run(
            [*pip, "install", "--quiet", *pins], capture_output=True, text=True, check=False
        )
        if said.returncode:
            return Place(home / "bin", failed=_reason(said.stderr))
        done.write_text("\n".join(pins))
    listed = subprocess.run([*pip, "freeze"], capture_output=True, text=True, check=True)
    return Place(home / "bin", tuple(listed.stdout.split()))


def _reason(said: str) -> str:
    """pip's own sentence, the one about Python's version first: it is why a pin was "not found"."""
    lines = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    for line in lines:
        if "Requires-Python" in line:
            python = ".".join(map(str, sys.version_info[:2]))
            return f"needs another Python (Requires-Python {line.split()[-1]}) than this one's {python}"
    return lines[0] if lines else said.strip()[-200:]
