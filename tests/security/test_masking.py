"""A password in the URL is nowhere to be seen: not in what is printed, logged, raised or shown, nor in `ps`."""

import contextlib
import copy
import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homing import App, Settings, events
from homing.aclient import AsyncClient
from homing.cli.main import COMMANDS, run
from homing.client import Client
from homing.errors import HomingError
from homing.settings import masked
from homing.target import Target
from tests.foreign import dump
from tests.integration.waiting import wait_for
from tests.servers import Server, free_ports, running

#: What no place may show: a password, and one that a URL has to write otherwise.
SECRETS = ("hunter2-hunter2", "s%40cr%2Fet-7", "s@cr/et-7")
PASSWORD, WRITTEN, PLAIN = SECRETS

COMMAND_LINES = [
    ["queues"],
    ["queues", "--json"],
    ["jobs", "masked"],
    ["jobs", "masked", "--json"],
    ["job", "show", "masked/a1"],
    ["dead", "list", "masked"],
    ["workers"],
    ["workers", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["doctor", "--app", "masked_tasks:app"],
    ["check", "--app", "masked_tasks:app"],
    ["verify"],
    ["config"],
    ["config", "--json"],
    ["enqueue", "good", "number:=1", "--app", "masked_tasks:app"],
    ["enqueue", "good", "number:=1", "--app", "masked_tasks:nothing"],
    ["acl"],
]
TASKS = """
import os, time
from homing import App

app = App()

@app.task(queue="masked")
async def good(number: int) -> int:
    return number

@app.task(queue="masked")
def fails(number: int) -> int:
    raise RuntimeError(app, app.settings, app.target(), app.client)

@app.task(queue="masked", isolation="process")
def apart(number: int) -> int:
    while not os.path.exists("go"):
        time.sleep(0.01)
    return number
"""


def shown(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.fixture(scope="module")
def locked() -> Iterator[tuple[Server, int]]:
    """A server on a TCP port that wants a password."""
    port = free_ports()[0]
    with running("valkey-9.1", port=str(port), bind="127.0.0.1") as server:
        with server.redis() as admin:
            admin.execute_command("ACL", "SETUSER", "anna", "reset", "on", f">{PLAIN}", "~*", "+@all")
            admin.config_set("requirepass", PASSWORD)
        yield server, port


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_no_command_prints_it(
    locked: tuple[Server, int],
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    _, port = locked
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "masked_tasks.py").write_text(TASKS)
    caplog.set_level(logging.DEBUG)
    printed = ""
    for url in (
        f"redis://:{PASSWORD}@127.0.0.1:{port}",
        f"redis://anna:{WRITTEN}@127.0.0.1:{port}/1",
        f"redis://:wrong-{PASSWORD}@127.0.0.1:{port}",
        f"redis://:{PASSWORD}@127.0.0.1:{free_ports()[0]}",
        f"redis+sentinel://127.0.0.1:{port}/svc?sentinel_password={PASSWORD}",
        f"redis://:{PASSWORD}",
        f"redis://{PASSWORD}@127.0.0.1",
    ):
        sys.modules.pop("masked_tasks", None)
        monkeypatch.setenv("HOMING_URL", url)
        monkeypatch.setenv("HOMING_DEADLINE", "0.3")
        run(words)
        said = capsys.readouterr()
        printed += said.out + said.err
    sys.modules.pop("masked_tasks", None)
    assert printed
    assert shown(printed + caplog.text) == []


def test_every_command_is_tried() -> None:
    tried = {words[0] for words in COMMAND_LINES}
    assert set(COMMANDS) - tried == {"demo", "queue", "repair", "worker"}  # no URL; as others; below


def test_no_process_of_a_worker_shows_it(locked: tuple[Server, int], tmp_path: Path) -> None:
    server, port = locked
    (tmp_path / "masked_tasks.py").write_text(TASKS)
    url = f"redis://anna:{WRITTEN}@127.0.0.1:{port}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HOMING_")}
    log = (tmp_path / "log").open("wb")
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "homing.cli.main",
            "worker",
            "masked_tasks:app",
            "-p",
            "2",
            "--log-level",
            "debug",
        ],
        cwd=tmp_path,
        env={**clean, "HOMING_URL": url},
        stdout=log,
        stderr=log,
    )
    with App(url) as app, log:
        queue = app.queue("masked")
        try:
            for task in ("good", "fails", "apart"):
                queue.sender.link.do(queue.sender.store_one(_job(task)))
            wait_for(lambda: queue.counts().active == 1 and queue.counts().dead == 1, 20.0)
            with server.redis(password=PASSWORD) as admin:
                admin.execute_command("CLIENT", "KILL", "TYPE", "normal")  # what is said of lost connections
            lines = {path: _read(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
            of_worker = [line for line in lines.values() if "homing.worker" in line]
            assert len(of_worker) >= 3  # two children, and the isolated one
            assert [
                path for path, line in lines.items() if shown(line) and str(os.getpid()) not in path.parts
            ] == []
            (tmp_path / "go").touch()
            wait_for(lambda: queue.counts().active == 0, 20.0)
            [dead] = queue.dead()
        finally:
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(30)
            with server.redis(username="anna", password=PLAIN) as admin:
                for key in dump(admin, "homing"):
                    admin.delete(key)
    said = (tmp_path / "log").read_text()
    assert (code, "child_ready" in said) == (0, True), said
    assert "anna:***@127.0.0.1" in dead.error.decode()
    assert shown(said + dead.error.decode()) == []


def _job(task: str) -> Any:
    from homing.ids import new_id
    from homing.job import NewJob

    return NewJob(id=new_id(), task=task, payload=b"[[1],{}]")


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):  # it has ended
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        "{}".format,
        lambda one: repr(vars(one)) if hasattr(one, "__dict__") else "",
        lambda one: repr(copy.copy(one)),
    ],
)
def test_nothing_that_holds_it_shows_it(show: Callable[[Any], str]) -> None:
    for url in (
        f"redis://anna:{WRITTEN}@h:1/2",
        f"rediss://:{PASSWORD}@h",
        f"unix://:{PASSWORD}@/run/r.sock?db=1",
        f"redis+sentinel://a:{PASSWORD}@h/svc?sentinel_username=su&sentinel_password={PASSWORD}",
        f"redis+cluster://:{PASSWORD}@a:1,b:2",
    ):
        target = Target.parse(url)
        app = App(url)
        holders = [
            target,
            target.access,
            target.sentinel_access,
            app,
            app._link,
            app.queue("q"),
            app.queue("q").sender,
        ]
        holders += [Client(target), AsyncClient(target), app.worker(queues=["q"]), Settings(url=url).shown()]
        assert [type(one) for one in holders if shown(show(one))] == []
        assert shown(repr(Settings(url=url)) + str(Settings(url=url))) == []


@pytest.mark.parametrize(
    "url",
    [
        "redis://:{}@h/abc",
        "redis://a:{}@h:x",
        "redis://:{}",
        "redis://{}@h",
        "redis://:{}@[::1",
        "redis://:{}@h℀.com",  # urlsplit refuses it, and says why with the whole address
        "redis://:{} @h",
        "http://:{}@h",
        ":{}@h",
        "{}",
        "redis://h?password={}",
        "redis+sentinel://h/svc/0?sentinel_password={}&x=1",
        "redis://:{}@h?db=x",
        "redis://h:{}",
    ],
)
def test_no_error_shows_it_nor_what_it_came_from(url: str) -> None:
    for secret in (PASSWORD, WRITTEN):
        for make in (App, Target.parse, lambda url: App(url=url).client.run):
            with pytest.raises(HomingError) as refused:
                make(url.format(secret))
            told = "".join(traceback.format_exception(refused.value))
            assert shown(told) == []


def test_an_error_of_a_connection_shows_it_nowhere_in_its_chain(locked: tuple[Server, int]) -> None:
    told: list[str] = []
    unsubscribe = events.subscribe(lambda name, fields: told.append(events.line(name, fields)))
    _, port = locked
    for url in (
        f"redis://:x{PASSWORD}@127.0.0.1:{port}",
        f"redis://:{PASSWORD}@127.0.0.1:{free_ports()[0]}",
        f"rediss://:{PASSWORD}@127.0.0.1:{port}?ssl_cert_reqs=none",
        f"unix://:{PASSWORD}@/no/such.sock",
        f"redis://:{PASSWORD}@no-such-host.invalid",
        f"redis+sentinel://127.0.0.1:{port}/svc?sentinel_password={PASSWORD}",
        f"redis+cluster://:{PASSWORD}@127.0.0.1:{port}",
    ):
        with App(url, deadline=0.2) as app, pytest.raises(HomingError) as failed:
            app.queue("q").put(1)
        told += traceback.format_exception(failed.value)
    unsubscribe()
    assert shown("".join(told)) == []


@pytest.mark.parametrize(
    ("text", "masks"),
    [
        (
            "redis+sentinel://h/svc?sentinel_password=hunter2-hunter2&db=1",
            "redis+sentinel://h/svc?sentinel_password=***&db=1",
        ),
        ("redis://:hunter2-hunter2", "redis://:***"),
        ("redis://anna:hunter2-hunter2/0", "redis://anna:***/0"),
        ("redis://hunter2-hunter2@h", "redis://***@h"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
        ("redis://[::1]:6379", "redis://[::1]:6379"),
        ("see https://docs.example/a:b", "see https://docs.example/a:b"),
    ],
)
def test_a_text_with_it_is_masked(text: str, masks: str) -> None:
    assert masked(text) == masks
