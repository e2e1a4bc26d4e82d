"""Which Python a peer's environment is made with."""

from pathlib import Path

import pytest

from benchmarks.venvs import _python


def interpreter(folder: Path, name: str, code: int) -> str:
    path = folder / name
    folder.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_a_newer_python_is_found_among_pyenvs_when_the_one_on_the_path_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter(tmp_path / "shims", "python3.98", 127)
    found = interpreter(tmp_path / "pyenv" / "versions" / "3.98.1" / "bin", "python3.98", 0)
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert _python((3, 98)) == found
    assert _python((3, 99)) is None
    assert _python((3, 10)), "this one is new enough"
