"""What the package promises to who installs it."""

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_the_extras_are_those_that_are_promised() -> None:
    assert {"embedded", "demo", "cli", "web", "metrics", "dev"} == set(PROJECT["optional-dependencies"])


def test_the_core_stands_on_five_packages() -> None:
    names = [requirement.partition(">")[0] for requirement in PROJECT["dependencies"]]
    assert names == ["redis", "hiredis", "msgspec", "click", "uvloop"]
