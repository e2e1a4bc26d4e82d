"""`homing worker` as a process: what it runs, how it stops, and its exit codes."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homing import App
from homing.ids import new_id
from homing.queue import Queue
from tests.integration.cli_session import Shell
from tests.integration.waiting import wait_for
from tests.servers import Server

#: Seconds for a worker to start, or to stop.
PATIENCE_S = 20.0

TASKS = """
import asyncio
from pathlib import Path

from homing import App

app = App()


@app.task(queue="{queue}", messages=True)
async def note(text: str) -> None:
    with Path("notes").open("a") as file:
        file.write(text + "\\n")


@app.task(queue="{queue}")
async def sleep(seconds: float) -> None:
    Path("asleep").touch()
    await asyncio.sleep(seconds)
"""


@pytest.fixture
def app(valkey: Server) -> Iterator[App]:
    with App(valkey.url) as app:
        yield app


@pytest.fixture(params=["lists", "streams"])
def queue(app: App, request: pytest.FixtureRequest) -> Queue:
    """A queue that its engine has already made its own."""
    queue = app.queue(f"cli-{new_id()}", engine=request.param)
    queue.engine(app.client)
    return queue


@pytest.fixture
def shell(tmp_path: Path, valkey: Server, queue: Queue) -> Shell:
    (tmp_path / "tasks.py").write_text(TASKS.format(queue=queue.name))
    return Shell(tmp_path, valkey.url)


@contextmanager
def worker(shell: Shell, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "homing.cli.main", "worker", "tasks:app", *options]
    with (
        (shell.folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=shell.folder, env=shell.environment(), stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_a_worker_in_burst_ends_when_nothing_is_left(shell: Shell, queue: Queue) -> None:
    queue.put_many({"text": f"note {number}"} for number in range(100))
    said = shell.homing("worker", "tasks:app", "--burst")
    assert said.code == 0
    assert sorted((shell.folder / "notes").read_text().split("\n"))[1:] == sorted(
        f"note {n}" for n in range(100)
    )
    assert (queue.counts().waiting, queue.counts().active, queue.counts().workers) == (0, 0, 0)


def test_the_app_may_be_named_by_the_environment(shell: Shell, queue: Queue) -> None:
    queue.put("only this")
    assert shell.homing("worker", "--burst", more={"HOMING_APP": "tasks:app"}).code == 0
    assert (shell.folder / "notes").read_text() == "only this\n"


def test_sigterm_lets_the_worker_go_home(shell: Shell, queue: Queue) -> None:
    with worker(shell) as process:
        wait_for(lambda: queue.counts().workers == 1, PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert queue.counts().workers == 0


def test_a_second_signal_hands_running_jobs_back_and_is_75(shell: Shell, queue: Queue) -> None:
    assert shell.homing("enqueue", "sleep", "seconds:=60", "--app", "tasks:app").code == 0
    with worker(shell) as process:
        # A job that has not started would be handed back at the first signal, and the worker be gone.
        wait_for((shell.folder / "asleep").exists, PATIENCE_S)
        process.send_signal(signal.SIGINT)
        wait_for(lambda: b"drain" in (shell.folder / "log").read_bytes(), PATIENCE_S)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 75
    [job] = queue.peek().jobs
    assert (queue.counts().waiting, queue.counts().active, job.attempt) == (1, 0, 0)


def test_an_app_that_is_not_there_is_a_usage_error(shell: Shell) -> None:
    for name in ("nosuch:app", "tasks:nosuch"):
        said = shell.homing("worker", name)
        assert (said.code, "nosuch" in said.err, "Traceback" in said.err) == (2, True, False)
    assert shell.homing("worker").code == 2


def test_what_makes_an_app_is_none_and_the_error_says_what_to_write(shell: Shell) -> None:
    (shell.folder / "factory.py").write_text("from homing import App\ndef make(): return App()\n")
    said = shell.homing("worker", "factory:make")
    assert said.code == 2
    assert "Error: factory:make is of type function, not an App; make one: app = make()\n" in said.err


def test_without_a_server_the_worker_says_so_and_is_69(shell: Shell) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{probe.getsockname()[1]}"
    said = shell.homing("worker", "tasks:app", "--burst", more={"HOMING_URL": url, "HOMING_DEADLINE": "0.3"})
    assert (said.code, "Traceback" in said.err) == (69, False)


@pytest.mark.parametrize(
    "option",
    [("--processes", "0"), ("--concurrency", "0"), ("--threads", "x"), ("--grace", "-1"), ("--queue", "a b"),
     ("--stall", "nan"), ("--log-level", "loud")],
)  # fmt: skip
def test_an_option_that_breaks_its_rule_is_a_usage_error(shell: Shell, option: tuple[str, str]) -> None:
    said = shell.homing("worker", "tasks:app", *option)
    assert (said.code, option[0].strip("-") in said.err, "Traceback" in said.err) == (2, True, False)
