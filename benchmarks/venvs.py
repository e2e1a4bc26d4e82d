"""Each peer in an environment of its own, so that no two have to agree on a version."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

#: What homing and the hand-written loops run with, in the benchmark's own environment.
OURS = ("homing", "redis", "hiredis", "msgspec", "uvloop")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queue's programs are, what is installed there, or why it is not."""

    programs: Path
    versions: tuple[str, ...] = ()
    failed: str = ""


def here() -> Place:
    """The benchmark's own environment."""
    return Place(Path(sys.executable).parent, tuple(f"{name}=={version(name)}" for name in OURS))


def place_for(name: str, pins: tuple[str, ...], folder: Path, python: tuple[int, int] = (3, 11)) -> Place:
    """The environment of these pins below `folder`, made when it is not there, by a Python that is new enough."""
    home = folder / name
    if pins and pins[0].startswith("npm:"):
        return _node(home, tuple(pin.removeprefix("npm:") for pin in pins))
    interpreter = _python(python)
    if interpreter is None:
        return Place(
            home / "bin", failed=f"its wheels need Python {python[0]}.{python[1]}, and there is none here"
        )
    pip = (str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    done = home / "pins"
    if not done.exists() or done.read_text() != "\n".join(pins):
        subprocess.run([interpreter, "-m", "venv", "--clear", str(home)], check=True)
        said = subprocess.run(
            [*pip, "install", "--quiet", *pins], capture_output=True, text=True, check=False
        )
        if said.returncode:
            return Place(home / "bin", failed=_reason(said.stderr))
        done.write_text("\n".join(pins))
    listed = subprocess.run([*pip, "freeze"], capture_output=True, text=True, check=True)
    return Place(home / "bin", tuple(listed.stdout.split()))


def _python(least: tuple[int, int]) -> str | None:
    """This one, or the oldest on the PATH that is new enough."""
    if sys.version_info[:2] >= least:
        return sys.executable
    names = (f"python{least[0]}.{minor}" for minor in range(least[1], least[1] + 4))
    return next((found for name in names if (found := shutil.which(name))), None)


def _node(home: Path, pins: tuple[str, ...]) -> Place:
    """npm's packages below `home`, and in its `bin` a link to the node that is here."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return Place(home, failed="it needs Node and npm, and they are not here")
    done = home / "pins"
    if not done.exists() or done.read_text() != "\n".join(pins):
        home.mkdir(parents=True, exist_ok=True)
        said = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(home), *pins],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if said.returncode:
            return Place(home, failed=said.stderr.strip()[-200:])
        (home / "bin").mkdir(exist_ok=True)
        (home / "bin" / "node").unlink(missing_ok=True)
        (home / "bin" / "node").symlink_to(node)
        done.write_text("\n".join(pins))
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return Place(home / "bin", (*pins, f"node {told}"))


def _reason(said: str) -> str:
    """pip's own sentence, the one about Python's version first: it is why a pin was "not found"."""
    lines = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    for line in lines:
        if "Requires-Python" in line:
            python = ".".join(map(str, sys.version_info[:2]))
            return f"needs another Python (Requires-Python {line.split()[-1]}) than this one's {python}"
    return lines[0] if lines else said.strip()[-200:]
