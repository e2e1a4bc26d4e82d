"""`homing verify` and `homing repair`, as a user runs them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homing import App
from homing.command import Command
from homing.ids import new_id
from homing.queue import Queue
from tests.integration.cli_session import Shell, filled
from tests.servers import Server


@pytest.fixture
def shell(tmp_path: Path, valkey: Server) -> Shell:
    return Shell(tmp_path, valkey.url)


@pytest.fixture
def app(valkey: Server) -> Iterator[App]:
    with App(valkey.url) as app:
        yield app


@pytest.fixture
def queue(app: App) -> Queue:
    return filled(app, f"verify-{new_id()}", "streams", waiting=3)


def test_verify_is_1_when_something_is_wrong_and_repair_mends_it(
    shell: Shell, app: App, queue: Queue
) -> None:
    said = shell.homing("verify", queue.name)
    assert (said.code, said.out) == (0, "1 queue, nothing is wrong.\n")
    app.client.run(Command(("HSET",), (queue.keys.job("stray"),), ("state", "scheduled"), int))
    said = shell.homing("verify", queue.name, "--rate", "100000")
    assert (said.code, "job stray says that it is scheduled" in said.out) == (1, True)
    assert f"homing repair {queue.name}" in said.out
    [told] = [one for one in shell.homing("verify", "--json").json if one["queue"] == queue.name]
    assert told["problems"] == ["job stray says that it is scheduled and is not there"]
    dry = shell.homing("repair", queue.name, "--dry-run")
    assert (dry.code, dry.out.startswith("would mend: job stray")) == (0, True)
    done = shell.homing("repair", queue.name, "--json").json
    assert (done["dry_run"], len(done["mended"]), done["left"]) == (False, 1, [])
    assert shell.homing("repair", queue.name).out == f"{queue.name}: nothing is wrong.\n"
    assert shell.homing("verify", queue.name).code == 0


def test_verify_and_repair_name_a_queue_that_is_not_there_and_a_wrong_rate(
    shell: Shell, queue: Queue
) -> None:
    said = shell.homing("repair", "typo")
    assert (said.code, "no queue 'typo'" in said.err) == (1, True)
    said = shell.homing("verify", queue.name, "--rate", "0")
    assert (said.code, "rate must be more than 0" in said.err) == (2, True)


def test_a_queue_that_cannot_be_read_does_not_hide_the_others(shell: Shell, app: App, queue: Queue) -> None:
    broken = filled(app, f"broken-{new_id()}", "lists", waiting=1)
    app.client.run(Command(("SET",), (broken.keys("scheduled"),), ("mine",), str))
    told = {
        one["queue"]: one["problems"]
        for one in shell.homing("verify", broken.name, queue.name, "--json").json
    }
    assert (len(told[broken.name]), told[queue.name]) == (1, [])
    assert broken.name in told[broken.name][0]
    app.client.run(Command(("DEL",), (broken.keys("scheduled"),), (), int))
