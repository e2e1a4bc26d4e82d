"""A folder for an embedded server, and processes that use it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from homing import keeper
from tests.integration.embedded.processes import GONE_S, USER, Users, ends, servers_of


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if sys.platform != "linux" and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip("reads /proc and waits with pidfds"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path; whatever server it has is gone before the folder is."""
    with tempfile.TemporaryDirectory(prefix="homing-", dir="/tmp") as place:
        home = Path(place) / ".homing"
        yield home
        left = [server for server in servers_of(home) if not ends(server, keeper.STOP_S + GONE_S)]
        for server in left:
            os.kill(server, signal.SIGKILL)
        assert not left, "a test left a user behind"


@pytest.fixture
def users(folder: Path) -> Iterator[Users]:
    """Starts processes that use the folder: `users()`, and kills those that are left at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str = USER, *arguments: object, **options: object) -> subprocess.Popen[str]:
        user: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-c", program, str(folder), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        started.append(user)
        return user

    yield start
    for user in started:
        user.kill()
        user.communicate()
