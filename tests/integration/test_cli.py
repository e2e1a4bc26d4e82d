"""The real command as a subprocess: each sub-command, with bad input and exit codes."""

import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
import redis

from homing import App
from homing.ids import new_id
from homing.queue import Queue
from tests.integration.cli_session import Shell, bury, filled
from tests.servers import Server, as_anybody


@pytest.fixture
def shell(tmp_path: Path, valkey: Server) -> Shell:
    return Shell(tmp_path, valkey.url)


@pytest.fixture
def app(valkey: Server) -> Iterator[App]:
    with App(valkey.url) as app:
        yield app


@pytest.fixture(params=["lists", "streams"])
def queue(app: App, request: pytest.FixtureRequest) -> Queue:
    """Three waiting messages, in a queue of either engine."""
    return filled(app, f"cli-{new_id()}", request.param, waiting=3)


# --- the command itself


def test_help_names_every_command_with_a_sentence(shell: Shell) -> None:
    said = shell.homing("--help")
    assert (said.code, said.err) == (0, "")
    for name in (
        "demo",
        "worker",
        "enqueue",
        "queues",
        "jobs",
        "dead",
        "workers",
        "check",
        "doctor",
        "verify",
        "repair",
        "config",
    ):
        assert f"\n  {name} " in said.out


@pytest.mark.parametrize(
    "command",
    ["demo", "worker", "enqueue", "queues", "queue pause", "queue resume", "queue purge", "jobs", "job show",
     "job cancel", "job retry", "job remove", "dead list", "dead replay", "dead purge", "workers", "check",
     "doctor", "verify", "repair", "config"],
)  # fmt: skip
def test_each_help_has_an_example_that_begins_like_the_command(shell: Shell, command: str) -> None:
    said = shell.homing(*command.split(), "--help")
    assert said.code == 0
    assert f"homing {command}" in said.out.split("Example:")[1]


def test_help_costs_less_than_a_fifth_of_a_second_and_loads_no_client(shell: Shell) -> None:
    times = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = shell.homing("--help", more={"PYTHONPROFILEIMPORTTIME": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The processor's time: other tests on the machine do not count.
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert "click" in said.err
        assert not any(heavy in said.err for heavy in ("redis", "asyncio", "msgspec"))
    assert median(times) < 0.2


def test_the_version_is_the_packages(shell: Shell) -> None:
    from importlib.metadata import version

    assert shell.homing("--version").out == f"homing {version('homing')}\n"


def test_an_unknown_command_is_a_usage_error(shell: Shell) -> None:
    said = shell.homing("quues")
    assert (said.code, "Traceback" in said.err) == (2, False)
    assert "quues" in said.err


# --- the server


def test_a_server_that_is_not_there_is_one_sentence_and_69(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = Shell(tmp_path, f"redis://:secret@127.0.0.1:{port}").homing(
        "queues", more={"HOMING_DEADLINE": "0.3"}
    )
    assert (said.code, said.out) == (69, "")
    assert said.err.startswith("Error: ")
    assert "Traceback" not in said.err
    assert "secret" not in said.err


def test_without_a_server_an_administration_command_makes_none(tmp_path: Path) -> None:
    said = Shell(tmp_path).homing("queues")
    assert (said.code, "HOMING_URL" in said.err) == (69, True)
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_server_of_the_folder_is_found(tmp_path: Path) -> None:
    with App(folder=tmp_path / ".homing") as app:
        filled(app, "emails", "lists", waiting=2)
        [row] = Shell(tmp_path).homing("queues", "--json").json
    assert (row["queue"], row["engine"], row["waiting"]) == ("emails", "lists", 2)


def test_a_bad_url_is_a_usage_error(shell: Shell) -> None:
    said = shell.homing("queues", "--url", "http://example.com")
    assert (said.code, "Traceback" in said.err) == (2, False)


def test_an_option_comes_before_the_environment(shell: Shell, queue: Queue, tmp_path: Path) -> None:
    url, elsewhere = shell.url or "", Shell(tmp_path, "redis://127.0.0.1:1")
    assert queue.name in elsewhere.homing("queues", "--url", url).out


# --- queues, jobs, workers


def test_queues_shows_each_queue_with_its_counts(shell: Shell, queue: Queue) -> None:
    [row] = [row for row in shell.homing("queues", "--json").json if row["queue"] == queue.name]
    assert (row["waiting"], row["active"], row["dead"], row["paused"]) == (3, 0, 0, False)
    [line] = [line for line in shell.homing("queues").out.splitlines() if line.startswith(queue.name)]
    assert line.split()[2:] == ["3", "0", "0", "0", "0"]


def test_jobs_lists_those_of_a_state_the_next_one_first(shell: Shell, queue: Queue) -> None:
    jobs = shell.homing("jobs", queue.name, "--limit", "2", "--json").json
    assert [job["payload"] for job in jobs] == [{"number": 0}, {"number": 1}]
    assert [job["state"] for job in jobs] == ["waiting", "waiting"]
    table = shell.homing("jobs", queue.name).out.splitlines()
    assert [line.rsplit("  ", 1)[1] for line in table[1:]] == ['{"number":0}', '{"number":1}', '{"number":2}']
    assert (
        shell.homing("jobs", queue.name, "--state", "scheduled").out
        == f"No job of queue {queue.name} is scheduled.\n"
    )


def test_of_an_ended_job_only_what_is_known_is_shown(shell: Shell, queue: Queue) -> None:
    """Its task and its attempts are not kept: nothing is said of them, and not that it was a message."""
    [job, *_] = queue.peek().jobs
    job_id, address = job.id, f"{queue.name}/{job.id}"
    shell.homing("job", "cancel", address)
    _, line = shell.homing("jobs", queue.name, "--state", "cancelled").out.splitlines()
    assert line.split()[0] == job_id
    assert len(line.split()) == 3, "the id, a date and a time"
    shown = shell.homing("job", "show", address).out
    assert [row.split()[0] for row in shown.splitlines()] == ["job", "state", "created", "ended"]


def test_a_queue_that_does_not_exist_is_named_and_not_made(shell: Shell, queue: Queue) -> None:
    said = shell.homing("jobs", "nosuch-queue")
    assert (said.code, said.out) == (1, "")
    assert "nosuch-queue" in said.err
    assert all(row["queue"] != "nosuch-queue" for row in shell.homing("queues", "--json").json)


@pytest.mark.parametrize("arguments", [("--state", "lost"), ("--limit", "0"), ("--limit", "x")])
def test_jobs_refuses_what_is_no_state_or_number(
    shell: Shell, queue: Queue, arguments: tuple[str, str]
) -> None:
    assert shell.homing("jobs", queue.name, *arguments).code == 2


def test_a_queues_name_outside_the_alphabet_is_refused_with_the_rule(shell: Shell) -> None:
    said = shell.homing("jobs", "a b{c}")
    assert (said.code, "A-Z" in said.err) == (2, True)


def test_job_show_tells_all_of_one_job(shell: Shell, queue: Queue) -> None:
    job = queue.put({"body": "\x1b[2J Zoë"}, id=f"welcome-{new_id()}")
    shown = shell.homing("job", "show", job.address, "--json").json
    assert (shown["id"], shown["state"], shown["payload"]) == (job.id, "waiting", {"body": "\x1b[2J Zoë"})
    said = shell.homing("job", "show", job.address)
    assert said.out.splitlines()[0].split() == ["job", job.address]
    assert "\x1b" not in said.out


def test_a_job_that_is_not_there_says_so(shell: Shell, queue: Queue) -> None:
    for verb in ("show", "cancel", "retry", "remove"):
        said = shell.homing("job", verb, f"{queue.name}/nosuch")
        assert (said.code, "nosuch" in said.err, "Traceback" in said.err) == (1, True, False)


def test_an_address_without_a_slash_is_a_usage_error(shell: Shell) -> None:
    said = shell.homing("job", "show", "welcome-42")
    assert (said.code, "QUEUE/ID" in said.err) == (2, True)


def test_job_cancel_ends_a_waiting_job_once(shell: Shell, queue: Queue) -> None:
    job = queue.put("x", id=f"mine-{new_id()}")
    assert shell.homing("job", "cancel", job.address).out == f"Cancelled {job.address}, which was waiting.\n"
    assert queue.counts().waiting == 3
    again = shell.homing("job", "cancel", job.address)
    assert (again.code, "only waiting and scheduled" in again.err) == (1, True)


def test_job_remove_leaves_nothing(shell: Shell, queue: Queue) -> None:
    job = queue.put("x")
    assert shell.homing("job", "remove", job.address).code == 0
    assert shell.homing("job", "show", job.address).code == 1
    assert queue.counts().waiting == 3


def test_job_retry_takes_a_dead_job_only(shell: Shell, app: App, queue: Queue) -> None:
    dead = bury(app, queue, type_="E", message="no")
    assert shell.homing("job", "retry", f"{queue.name}/{dead}").code == 0
    assert (queue.counts().waiting, queue.counts().dead) == (3, 0)
    again = shell.homing("job", "retry", f"{queue.name}/{dead}")
    assert (again.code, "only dead" in again.err) == (1, True)


def test_workers_shows_who_holds_what(shell: Shell, app: App, queue: Queue) -> None:
    engine, worker = queue.engine(app.client), new_id()
    app.client.run(engine.register(worker, info=b'{"host":"here","pid":77,"name":"mailer"}'))
    app.client.run(engine.claim(worker, limit=2, number=1))
    [one] = shell.homing("workers", queue.name, "--json").json
    assert (one["queue"], one["id"], one["holding"], one["info"]["pid"]) == (queue.name, worker, 2, 77)
    assert "mailer here:77" in shell.homing("workers").out
    said = shell.homing("job", "remove", f"{queue.name}/{queue.peek('active').jobs[0].id}")
    assert (said.code, "active" in said.err) == (1, True)


# --- pause, purge, dead letters


def test_a_paused_queue_says_so_until_it_is_resumed(shell: Shell, queue: Queue) -> None:
    assert shell.homing("queue", "pause", queue.name).code == 0
    assert queue.counts().paused
    assert "paused" in shell.homing("queues").out
    assert shell.homing("queue", "resume", queue.name).code == 0
    assert not queue.counts().paused


def test_purge_asks_and_without_anybody_to_ask_does_nothing(shell: Shell, queue: Queue) -> None:
    said = shell.homing("queue", "purge", queue.name)
    assert (said.code, "--yes" in said.err, "Delete 3" in said.err) == (2, True, True)
    assert queue.counts().waiting == 3


def test_purge_with_yes_deletes_what_has_not_started(shell: Shell, queue: Queue) -> None:
    queue.put("later", delay=60)
    assert shell.homing("queue", "purge", queue.name, "--yes", "--state", "scheduled").out.startswith(
        "Deleted 1 jobs"
    )
    assert (
        shell.homing("queue", "purge", queue.name, "--yes").out == f"Deleted 3 jobs of queue {queue.name}.\n"
    )
    assert (queue.counts().waiting, queue.counts().scheduled) == (0, 0)


def test_dead_list_shows_type_message_and_attempts(shell: Shell, app: App, queue: Queue) -> None:
    dead = bury(app, queue, type_="SMTPRecipientsRefused", message="550 no \x1b[2J such mailbox", attempt=4)
    line = shell.homing("dead", "list", queue.name).out.splitlines()[1]
    assert line.split()[:3] == [dead, "(message)", "4"]
    assert line.endswith("SMTPRecipientsRefused  550 no \\x1b[2J such mailbox")
    [record] = shell.homing("dead", "list", queue.name, "--json").json
    assert (record["id"], record["attempt"], record["error"]["type"]) == (dead, 4, "SMTPRecipientsRefused")


def test_dead_replay_takes_ids_or_all_and_not_neither(shell: Shell, app: App, queue: Queue) -> None:
    dead = [bury(app, queue, type_="E", message="no") for _ in range(3)]
    assert shell.homing("dead", "replay", queue.name).code == 2
    assert shell.homing("dead", "replay", queue.name, "--all", dead[0]).code == 2
    assert shell.homing("dead", "replay", queue.name, dead[0]).code == 0
    assert queue.counts().waiting == 1
    partly = shell.homing("dead", "replay", queue.name, dead[0], dead[1])
    assert (partly.code, dead[0] in partly.err) == (1, True)
    assert shell.homing("dead", "replay", queue.name, "--all").out.startswith("1 jobs")
    assert (queue.counts().waiting, queue.counts().dead) == (3, 0)


def test_dead_purge_asks_then_deletes(shell: Shell, app: App, queue: Queue) -> None:
    bury(app, queue, type_="E", message="no")
    assert shell.homing("dead", "purge", queue.name).code == 2
    assert shell.homing("dead", "purge", queue.name, "--yes").code == 0
    assert (queue.counts().waiting, queue.counts().dead) == (2, 0)


def test_a_queue_with_a_key_of_a_wrong_type_does_not_hide_the_others(
    shell: Shell, app: App, queue: Queue
) -> None:
    broken = filled(app, f"cli-{new_id()}", "lists", waiting=1)
    client = redis.from_url(as_anybody(shell.url or ""))
    client.delete(broken.keys("scheduled"))
    client.set(broken.keys("scheduled"), "not a sorted set")
    said = shell.homing("queues")
    lines = {line.split()[0]: line for line in said.out.splitlines()}
    assert said.code == 0
    assert lines[queue.name].split()[2] == "3"
    assert "another type" in lines[broken.name]
    [row] = [row for row in shell.homing("queues", "--json").json if row["queue"] == broken.name]
    assert "another type" in row["error"]
    client.delete(broken.keys("scheduled"))


def test_on_a_terminal_tables_are_drawn_and_no_color_keeps_them_plain(shell: Shell, queue: Queue) -> None:
    drawn = shell.on_a_terminal("queues", more={"TERM": "xterm-256color"})
    assert "\x1b[1m" in drawn
    assert "─" in drawn
    plain = shell.on_a_terminal("queues", more={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert queue.name in plain
    assert queue.name in drawn


def test_a_reader_that_goes_away_is_no_error(shell: Shell, queue: Queue) -> None:
    queue.put_many("x" * 1_000 for _ in range(500))
    said = shell.piped("jobs", queue.name, "--limit", "1000", "--json", into="head -n 1")
    assert (said.code, said.out, said.err) == (0, "[\n", "")
