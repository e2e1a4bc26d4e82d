"""`durability="fsynced"`: only where the server writes through, and then a power cut loses nothing."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homing import App, Queue
from homing.errors import EnqueueUncertain, NotDurable
from tests.integration.waiting import wait_for
from tests.servers import Server, running, start

Put = Callable[..., Any]
ALWAYS = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture(scope="module", params=["valkey-9.1", "redis-6.2"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param, **ALWAYS) as one:
        yield one


@pytest.fixture
def queue(server: Server, prefix: str) -> Iterator[Queue]:
    with App(server.url, prefix=prefix, durability="fsynced") as app:
        yield app.queue("mails")


@pytest.fixture
def configure(server: Server) -> Iterator[Callable[[str, str], object]]:
    """`configure(name, value)` until the end of the test."""
    with server.redis() as client:
        yield client.config_set
        for name, value in [
            *ALWAYS.items(),
            ("no-appendfsync-on-rewrite", "no"),
            ("rdb-key-save-delay", "0"),
        ]:
            client.config_set(name, value)
        wait_for(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, 20)


def test_where_each_write_goes_to_the_disk_it_is_fsynced(queue: Queue, put: Put) -> None:
    put(queue, "hello")
    assert queue.counts().waiting == 1


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("appendfsync", "everysec", "has appendfsync everysec: say CONFIG SET appendfsync always"),
        ("appendonly", "no", "has appendonly no: say CONFIG SET appendonly yes"),
        (
            "no-appendfsync-on-rewrite",
            "yes",
            "has no-appendfsync-on-rewrite yes: say CONFIG SET no-appendfsync-on-rewrite no",
        ),
    ],
)
def test_anywhere_else_nothing_is_stored_and_the_lines_to_mend_it_are_named(
    name: str, value: str, remedy: str, queue: Queue, put: Put, configure: Callable[[str, str], object]
) -> None:
    configure(name, value)
    with pytest.raises(NotDurable, match=f"nothing was stored: it {remedy}, and CONFIG REWRITE"):
        put(queue, "hello")
    assert queue.counts().waiting == 0


def test_a_server_that_changed_meanwhile_is_found_out_by_the_call_itself(
    queue: Queue, put: Put, configure: Callable[[str, str], object]
) -> None:
    put(queue, "before")
    configure("appendfsync", "everysec")
    with pytest.raises(EnqueueUncertain, match="CONFIG SET appendfsync always"):
        put(queue, "hello")
    with pytest.raises(NotDurable):
        put(queue, "again")
    assert queue.counts().waiting == 2


def test_a_server_that_writes_its_first_file_is_not_trusted_before_it_is_whole(prefix: str, put: Put) -> None:
    with running("valkey-9.1", rdb_key_save_delay="100000") as server, App(server.url, prefix=prefix) as app:
        with server.redis() as client:
            client.mset({f"key-{n}": "x" for n in range(5)})
            client.config_set("appendfsync", "always")
            client.config_set("appendonly", "yes")
            with pytest.raises(NotDurable, match="still writing its first append-only file"):
                put(app.queue("mails"), "hello", durability="fsynced")
            wait_for(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, 20)
        put(app.queue("mails"), "hello", durability="fsynced")


def test_a_server_that_may_not_be_asked_is_not_trusted(server: Server, prefix: str) -> None:
    with server.redis() as client:
        client.execute_command("ACL", "SETUSER", "shy", "on", ">pw", "~*", "&*", "+@all", "-config")
    socket = server.path
    with App(f"unix://shy:pw@{socket}", prefix=prefix) as app:
        with pytest.raises(NotDurable, match=r"NOPERM .*; it must be allowed to be asked: .* \+config\|get"):
            app.queue("mails").put("hello", durability="fsynced")
        with server.redis() as client:
            client.execute_command("ACL", "SETUSER", "shy", "+config|get")
        app.queue("mails").put("hello", durability="fsynced")


def test_what_returned_is_in_the_file_that_a_power_cut_leaves(tmp_path: Path) -> None:
    """The file is cut to what it held when `put` returned: what came later is what a power cut loses."""
    with start("valkey-9.1", tmp_path, **ALWAYS) as server, App(server.url) as app:
        queue = app.queue("mails", durability="fsynced")
        [log] = tmp_path.glob("appendonlydir/*.incr.aof")
        queue.put("one")
        kept = queue.put("two")
        size = log.stat().st_size
        lost = queue.put("three")
        assert log.stat().st_size > size
    os.truncate(log, size)
    with start("valkey-9.1", tmp_path, **ALWAYS) as server, App(server.url) as app:
        waiting = [job.id for job in app.queue("mails").peek().jobs]
        assert (len(waiting), kept.id in waiting, lost.id in waiting) == (2, True, False)


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to see a server's fsyncs with")
def test_the_disk_is_told_to_keep_it_before_the_call_returns(
    queue: Queue, server: Server, tmp_path: Path
) -> None:
    queue.put("opens the queue")
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=fdatasync,fsync", "-o", str(trace), "-p", str(server.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        if "attached" not in (said := strace.stderr.readline()):
            pytest.skip(f"strace may not look at a server here: {said.strip()}")
        seen = []
        for payload in ("one", "two", "three"):
            queue.put(payload)
            seen.append(trace.read_text().count("sync("))
        strace.terminate()
    assert seen[0] >= 1
    assert seen == sorted(set(seen))
