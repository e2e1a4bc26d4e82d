"""Each peer in an environment of its own, so that no two have to agree on a version."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.setups import PROJECT

#: What homing and the hand-written loops run with, in the benchmark's own environment.
OURS = ("homing", "redis", "hiredis", "msgspec", "uvloop")
ROOT = Path(__file__).parent.parent
_LISTED = (
    "import platform; from importlib.metadata import distributions as d; "
    "print(*sorted(f\"{x.metadata['Name']}=={x.version}\" for x in d()), 'CPython==' + platform.python_version())"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queue's programs are, what is installed there, or why it is not."""

    programs: Path
    versions: tuple[str, ...] = ()
    failed: str = ""


def here() -> Place:
    """The benchmark's own environment."""
    told = _versions(Path(sys.executable))
    return Place(
        Path(sys.executable).parent,
        tuple(pin for pin in told if pin.partition("==")[0] in (*OURS, "CPython")),
    )


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
    done, asked = home / "pins", _asked(pins)
    if not done.exists() or done.read_text() != "\n".join(asked):
        subprocess.run([interpreter, "-m", "venv", "--clear", str(home)], check=True)
        said = subprocess.run(
            [*pip, "install", "--quiet", *asked], capture_output=True, text=True, check=False
        )
        if said.returncode:
            return Place(home / "bin", failed=_reason(said.stderr))
        done.write_text("\n".join(asked))
    return Place(home / "bin", _versions(home / "bin" / "python"))


def _asked(pins: tuple[str, ...]) -> list[str]:
    """What pip is told. The project itself is linked to, not copied: its environment never goes stale."""
    if pins != (PROJECT,):
        return list(pins)
    return ["--editable", str(ROOT), *(f"{name}=={version(name)}" for name in OURS if name != "homing")]


def _versions(interpreter: Path) -> tuple[str, ...]:
    """What is installed there, and which Python that is. `pip freeze` would name the folder of a linked project."""
    said = subprocess.run([str(interpreter), "-c", _LISTED], capture_output=True, text=True, check=True)
    return tuple(said.stdout.split())


def _python(least: tuple[int, int]) -> str | None:
    """This one, or the oldest on the PATH, or among pyenv's, that is new enough and runs."""
    if sys.version_info[:2] >= least:
        return sys.executable
    for minor in range(least[1], least[1] + 4):
        name = f"python{least[0]}.{minor}"
        on_path = shutil.which(name)
        for found in (*([on_path] if on_path else []), *_of_pyenv(name)):
            # pyenv puts a name on the PATH also for a version that is not switched on: it runs nothing.
            if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
                return found
    return None


def _of_pyenv(name: str) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return sorted(map(str, root.glob(f"versions/*/bin/{name}")))


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
