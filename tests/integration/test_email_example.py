"""examples/email as a user runs it: plain processes, a real SMTP server, and SIGKILL."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from homing import App, embedded
from homing.demo import account
from homing.demo.outbox import Mail, mails
from homing.engines.engine import EngineName
from tests.integration.cli_session import Shell
from tests.integration.waiting import wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "email"
#: Seconds for all mails to have an end, a lapsed lease included.
PATIENCE_S = 40.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example in a folder of its own, with an embedded server of its own."""
    shutil.copytree(EXAMPLE, tmp_path / "email")
    return tmp_path / "email"


@pytest.fixture
def smtp(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "homing.demo.smtp", "--port", "0", "--pause", "0.01", "--leash"]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        yield server.stdout.readline().split()[-1]
        server.stdin.close()


def start(folder: Path, script: str, *options: str, smtp: str = "") -> "subprocess.Popen[bytes]":
    environment = Shell(folder).environment({"SMTP_SERVER": smtp})
    return subprocess.Popen([sys.executable, script, *options], cwd=folder, env=environment)


def refused(letters: list[Mail]) -> set[str]:
    return {one.message_id for one in letters if "@gone.example" in one.recipient}


@pytest.mark.parametrize("engine", ["lists", "streams"])
def test_every_mail_is_sent_though_a_consumer_is_killed_midway(
    folder: Path, smtp: str, engine: EngineName
) -> None:
    letters = mails()
    assert start(folder, "producer.py", "--engine", engine).wait(PATIENCE_S) == 0
    ledger = folder / "accepted.jsonl"
    with App(folder=folder / ".homing") as app:
        outbox = app.queue("outbox" if engine == "lists" else "outbox-streams")
        # The lease of the killed consumer is what the test waits for.
        app.client.run(outbox.engine(app.client).open({"lease_ms": 1_000}))
        first = start(folder, "consumer.py", "--engine", engine, smtp=smtp)
        wait_for(lambda: len(account.read(ledger).accepted) > 50, PATIENCE_S)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert outbox.counts().waiting > 0
        second = start(folder, "consumer.py", "--engine", engine, "--burst", smtp=smtp)
        assert second.wait(PATIENCE_S) == 0
        seen = account.read(ledger)
        assert set(seen.accepted) == {one.message_id for one in letters} - refused(letters)
        assert seen.duplicates <= 1  # the one in flight when it was killed
        counts = outbox.counts()
        assert (counts.waiting, counts.scheduled, counts.active) == (0, 0, 0)
        assert counts.dead == len(refused(letters))
        assert all("550" in json.loads(job.error)["message"] for job in outbox.dead())
        assert outbox.verify() == []


def test_a_mail_in_a_lists_queue_is_a_hash_that_anybody_can_read(folder: Path) -> None:
    assert start(folder, "producer.py").wait(PATIENCE_S) == 0
    with App(folder=folder / ".homing") as app, embedded.join(folder / ".homing") as server:
        [job] = app.queue("outbox").peek(limit=1).jobs
        client = redis.Redis(unix_socket_path=server.address, decode_responses=True)
        stored = client.hgetall(f"homing:{{outbox}}:job:{job.id}")
        first = mails()[0]
        assert stored.keys() == {"state", "homing"}
        assert stored["state"] == "waiting new"
        assert json.loads(str(stored["homing"]).partition("\n")[2]) == {
            "recipient": first.recipient,
            "subject": first.subject,
            "body": first.body,
        }


def test_the_command_in_the_same_folder_sees_what_the_producer_put(folder: Path) -> None:
    assert start(folder, "producer.py").wait(PATIENCE_S) == 0
    said = Shell(folder).homing("queues", "--json")
    assert [(row["queue"], row["engine"], row["waiting"]) for row in said.json] == [
        ("outbox", "lists", len(mails()))
    ]


def test_the_task_of_the_example_sends_mails_from_the_command_line(folder: Path, smtp: str) -> None:
    shell = Shell(folder)
    arguments = ("--app", "tasks:app", "subject=Hi", 'body=Héllo, "you"')
    with App(folder=folder / ".homing") as app:
        for recipient in ("ada@example.com", "bob@busy.example", "eve@gone.example"):
            assert shell.homing("enqueue", "send_email", f"recipient={recipient}", *arguments).code == 0
        assert shell.homing("worker", "tasks:app", "--burst", more={"SMTP_SERVER": smtp}).code == 0
        seen = account.read(folder / "accepted.jsonl")
        assert (seen.accepted.total(), seen.deferred.total(), seen.refused.total()) == (2, 2, 1)
        [dead] = app.queue("emails").dead()
        assert "550 " in shell.homing("dead", "list", "emails").out.replace("(550, ", "550 ")
        assert dead.attempt == 1
