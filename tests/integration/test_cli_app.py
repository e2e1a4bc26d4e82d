"""The commands that know the app, or the server as a whole: enqueue, check, doctor, config."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from homing import App, limits
from homing.cli import enqueue
from homing.ids import new_id
from tests.integration.cli_session import Shell
from tests.servers import Server

TASKS = """
from homing import App, Backoff

app = App()


@app.task(queue="emails", retry=Backoff(times=5), timeout=30)
async def send_email(recipient: str, subject: str = "Hi", copies: int = 1) -> None: ...


@app.task
def tidy() -> None: ...
"""


@pytest.fixture
def shell(tmp_path: Path, valkey: Server) -> Shell:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Shell(tmp_path, valkey.url)


@pytest.fixture
def app(valkey: Server) -> Iterator[App]:
    with App(valkey.url) as app:
        yield app


def test_enqueue_stores_text_and_json_arguments(shell: Shell, app: App) -> None:
    job_id = new_id()
    arguments = ("send_email", "recipient=zoë@example.com", "copies:=2", "--app", "tasks:app", "--id", job_id)
    assert shell.homing("enqueue", *arguments).out == f"Enqueued emails/{job_id}\n"
    [args, kwargs] = json.loads(app.job("emails", job_id).record().payload)
    assert [*args, *kwargs.values()].count(2) == 1
    assert "zoë@example.com" in [*args, *kwargs.values()]


def test_enqueue_reads_stdin_and_answers_in_json(shell: Shell, app: App) -> None:
    more = {"HOMING_APP": "tasks:app"}
    said = shell.homing(
        "enqueue", "send_email", "-", "--delay", "60", "--json", stdin='["a@b.c", "Hi"]', more=more
    )
    assert said.json["queue"] == "emails"
    assert app.job("emails", said.json["id"]).state == "scheduled"
    assert shell.homing("enqueue", "send_email", "-", stdin='{"recipient": "a@b.c"}', more=more).code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("send_email",), "recipient"),
        (("send_email", "recipient=a", "copies=many"), "copies"),
        (("send_email", "recipient=a", "colour=red"), "colour"),
        (("send_email", "recipient=a", "copies:={"), "copies"),
        (("send_email", "recipient"), "NAME=TEXT"),
        (("send_email", "recipient=a", "--delay", "-1"), "delay"),
        (("send_email", "recipient=a", "--delay", "nan"), "delay"),
        (("send_email", "recipient=a", "--priority", "101"), "priority"),
        (("send_email", "recipient=a", "--id", "a b"), "id"),
        (("send_mail", "recipient=a"), "did you mean send_email"),
    ],
)
def test_enqueue_refuses_bad_arguments_and_stores_nothing(
    shell: Shell, app: App, arguments: tuple[str, ...], complaint: str
) -> None:
    before = app.queue("emails").counts()
    said = shell.homing("enqueue", *arguments, "--app", "tasks:app")
    assert (said.code, said.out, "Traceback" in said.err) == (2, "", False)
    assert complaint in said.err
    assert app.queue("emails").counts() == before


def test_enqueue_may_ask_for_durability(shell: Shell, app: App) -> None:
    assert enqueue.DURABILITIES == limits.DURABILITIES
    arguments = ("enqueue", "tidy", "--app", "tasks:app", "--durability")
    said = shell.homing(*arguments, "fsynced")
    assert (said.code, "CONFIG SET appendonly yes, CONFIG SET appendfsync always" in said.err) == (69, True)
    assert shell.homing(*arguments, "memory").code == 0
    assert shell.homing(*arguments, "paper").code == 2


def test_enqueue_says_when_an_id_is_taken(shell: Shell) -> None:
    arguments = ("enqueue", "tidy", "--app", "tasks:app", "--id", new_id())
    assert shell.homing(*arguments).code == 0
    assert shell.homing(*arguments).code == 1


def test_check_lists_the_tasks_without_a_server(shell: Shell) -> None:
    nowhere = {"HOMING_URL": "redis://127.0.0.1:1", "HOMING_APP": "tasks:app"}
    tasks = {task["task"]: task for task in shell.homing("check", "--json", more=nowhere).json}
    assert (tasks["send_email"]["queue"], tasks["send_email"]["kind"]) == ("emails", "async")
    assert (tasks["send_email"]["timeout_s"], "times=5" in tasks["send_email"]["retry"]) == (30, True)
    assert shell.homing("check", more=nowhere).out.splitlines()[2].split() == ["tidy", "default", "thread"]


def test_check_takes_the_app_of_pyproject(shell: Shell) -> None:
    (shell.folder / "pyproject.toml").write_text('[tool.homing]\napp = "tasks:app"\n')
    assert "send_email" in shell.homing("check").out


@pytest.mark.parametrize(
    ("app_name", "complaint"),
    [("tasks:ap", "did you mean app"), ("task:app", "did you mean tasks"), ("tasks:tidy", "tasks:app")],
)
def test_an_app_that_cannot_be_found_is_a_usage_error_with_a_suggestion(
    shell: Shell, app_name: str, complaint: str
) -> None:
    said = shell.homing("check", app_name)
    assert (said.code, said.out, "Traceback" in said.err) == (2, "", False)
    assert complaint in said.err


def test_a_module_that_raises_shows_its_own_traceback_and_nothing_of_ours(shell: Shell) -> None:
    (shell.folder / "broken.py").write_text("import tasks\n1 / 0\n")
    said = shell.homing("check", "broken:app")
    assert (said.code, said.out) == (2, "")
    lines = said.err.splitlines()
    assert lines[-1] == "Error: broken:app cannot be imported: ZeroDivisionError: division by zero"
    assert [line.split('"')[1] for line in lines if line.startswith("  File")] == [
        str(shell.folder / "broken.py")
    ]


def test_no_app_at_all_says_where_to_name_it(shell: Shell) -> None:
    said = shell.homing("check")
    assert (said.code, "HOMING_APP" in said.err) == (2, True)


def test_doctor_looks_at_server_and_unknown_tasks(shell: Shell, app: App) -> None:
    levels = {one["about"]: one["level"] for one in shell.homing("doctor", "--json").json}
    assert levels["version"] == levels["eviction"] == levels["latency"] == levels["role"] == "good"
    assert "tasks" not in levels
    with_app = shell.homing("doctor", "--app", "tasks:app")
    assert "tasks" in with_app.out


def test_doctor_is_1_when_a_task_is_known_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "old.py").write_text(
        "from homing import App\napp = App()\n\n@app.task\ndef fax() -> None: ...\n"
    )
    shell = Shell(tmp_path)
    with App(folder=tmp_path / ".homing"):
        assert shell.homing("enqueue", "fax", "--app", "old:app").code == 0
        assert shell.homing("doctor", "--app", "old:app").code == 0
        said = shell.homing("doctor", "--app", "tasks:app")
    assert (said.code, "fax (1 jobs)" in said.out) == (1, True)


def test_config_shows_each_value_with_its_source_and_no_password(shell: Shell) -> None:
    (shell.folder / "pyproject.toml").write_text("[tool.homing]\nlease = 12.5\n")
    more = {"HOMING_URL": "redis://:secret@localhost", "HOMING_PREFIX": "mine"}
    config = shell.homing("config", "--json", more=more).json
    assert config["prefix"] == {"value": "mine", "source": "HOMING_PREFIX"}
    assert config["deadline"] == {"value": 5.0, "source": "default"}
    assert config["lease"]["source"].endswith("pyproject.toml")
    assert "secret" not in shell.homing("config", more=more).out + str(config)


def test_a_setting_that_breaks_its_rule_names_its_source(shell: Shell) -> None:
    said = shell.homing("config", more={"HOMING_DEADLINE": "soon"})
    assert (said.code, "HOMING_DEADLINE" in said.err) == (2, True)
