"""Servers that will not do: locked, loading, read-only, not Redis at all. Each says so, soon."""

import http.server
import socket
import threading
import time
from pathlib import Path

import pytest
import redis

from homing.command import Command
from homing.errors import (
    HomingError,
    ServerAuth,
    ServerError,
    ServerLoading,
    ServerReadOnly,
    ServerTooOld,
    ServerUnreachable,
)
from tests.integration.client.conftest import Connect
from tests.integration.client.links import listener
from tests.integration.client.scripts import count, echo, raw, tell
from tests.servers import as_anybody, free_ports, running

#: What is final must be said within this time, however long the deadline is.
SOON_S = 2.0


def test_a_password_is_asked_for_and_taken(connect: Connect) -> None:
    port = str(free_ports()[0])
    with running("valkey-9.1", port=port, bind="127.0.0.1") as server:
        server.redis().config_set("requirepass", "s3cret")
        assert connect(f"redis://:s3cret@127.0.0.1:{port}").run(echo("x")) == b"x"
        assert connect(f"redis://default:s3cret@127.0.0.1:{port}/2").run(echo("x")) == b"x"
        assert connect(redis.Redis(port=int(port), password="s3cret")).run(echo("x")) == b"x"
        with pytest.raises(ServerAuth, match=f"127.0.0.1:{port} wants a password"):
            connect(f"redis://127.0.0.1:{port}").run(echo("x"))
        with pytest.raises(ServerAuth, match=f"127.0.0.1:{port} refuses the user or the password") as refused:
            connect(f"redis://:wr0ng@127.0.0.1:{port}").run(echo("x"))
        assert "wr0ng" not in str(refused.value)


def test_a_password_nobody_wants_is_refused(connect: Connect) -> None:
    with running("valkey-9.1") as server, pytest.raises(ServerAuth, match="without any password configured"):
        connect(as_anybody(server.url).replace("unix://", "unix://:p@")).run(echo("x"))


@pytest.mark.parametrize("name", ["valkey-9.1", "redis-6.2", "redis-8.2"])
def test_what_a_user_may_not_is_named(connect: Connect, name: str) -> None:
    with running(name) as server:
        tell(server, "ACL", "SETUSER", "a", "on", ">p", "~*", "+@all", "-evalsha", "-eval")
        tell(server, "ACL", "SETUSER", "b", "on", ">p", "~other*", "+@all")
        tell(server, "ACL", "SETUSER", "c", "on", ">p", "~*", "+@all", "-incr")
        for user in "abc":
            client = connect(as_anybody(server.url).replace("unix://", f"unix://{user}:p@"))
            with pytest.raises(ServerAuth, match="denies count"):
                client.run(count("homing:{t}:denied"))
            [error] = client.run_many([count("homing:{t}:denied")])
            assert isinstance(error, ServerAuth)


def test_a_database_that_is_not_there(connect: Connect) -> None:
    with running("valkey-9.1") as server, pytest.raises(ServerError, match="has no such database"):
        connect(f"{server.url}?db=99").run(echo("x"))


@pytest.mark.exact_traffic("the last try before a deadline must meet the server's own error")
@pytest.mark.parametrize("name", ["valkey-9.1", "redis-6.2", "redis-8.2"])
@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_replica_is_read_only(connect: Connect, name: str, stale: str) -> None:
    with running(name, replica_serve_stale_data=stale) as server:
        tell(server, "REPLICAOF", "127.0.0.1", "1")
        client = connect(server.url)
        with pytest.raises(ServerReadOnly, match="replica"):
            client.run(count("homing:{t}:count"), 1.0)  # a busy machine takes a while to connect


def test_a_primary_that_comes_back_in_time_is_used(connect: Connect) -> None:
    with running("valkey-9.1") as server:
        tell(server, "REPLICAOF", "127.0.0.1", "1")
        promoted = threading.Timer(0.3, tell, (server, "REPLICAOF", "NO", "ONE"))
        promoted.start()
        assert connect(server.url).run(count("homing:{t}:count", resend=False)) == 1
        promoted.join()


@pytest.mark.exact_traffic("the last try before a deadline must meet the server's own error")
def test_a_loading_server_is_waited_for(connect: Connect) -> None:
    with running("valkey-9.1", loading_process_events_interval_bytes="1024", key_load_delay="500") as server:
        tell(server, "DEBUG", "POPULATE", "3000")
        client = connect(server.url)
        client.run(echo("connected"))
        loading = threading.Thread(target=tell, args=(server, "DEBUG", "RELOAD"))
        loading.start()
        seen: HomingError | None = None
        while loading.is_alive() and seen is None:
            try:
                client.run(count("homing:{t}:count"), 0.1)
            except (ServerLoading, ServerUnreachable) as error:
                seen = error if isinstance(error, ServerLoading) else None
        assert isinstance(seen, ServerLoading)
        assert client.run(count("homing:{t}:done"), 20) == 1
        loading.join()


def test_a_command_the_server_lacks(connect: Connect, tmp_path: Path) -> None:
    lacking = tmp_path / "lacking.conf"
    lacking.write_text('rename-command LMOVE ""\n')
    says = r"needs Redis 6\.2 or Valkey 7\.2; .* is 7\.2\.4 and has no LMOVE"
    with running("valkey-9.1", include=str(lacking)) as server, pytest.raises(ServerTooOld, match=says):
        connect(server.url).run(echo("x"))
    with running("valkey-9.1") as server:
        client = connect(server.url)
        with pytest.raises(ServerTooOld, match="cannot run NOSUCHWORD"):
            client.run(raw("NOSUCHWORD"))


def test_a_server_with_no_connection_left(connect: Connect) -> None:
    with running("valkey-9.1", maxclients="1") as server:
        taken = server.redis()
        taken.ping()
        with pytest.raises(ServerUnreachable, match=r"maxclients|closed"):
            connect(server.url).run(echo("x"), 0.3)
        taken.close()


def test_a_web_server_is_not_redis(connect: Connect) -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    client = connect(f"redis://127.0.0.1:{web.server_port}", deadline=30)
    began = time.monotonic()
    with pytest.raises(ServerError, match=f"127.0.0.1:{web.server_port} is not a Redis server"):
        client.run(echo("x"))
    assert time.monotonic() - began < SOON_S
    web.shutdown()
    web.server_close()


def test_a_greeter_of_another_kind_is_not_redis(connect: Connect) -> None:
    def ssh(client: socket.socket) -> None:
        client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        client.recv(1_000)

    with listener(ssh) as port, pytest.raises(ServerError, match="is not a Redis server"):
        connect(f"redis://:p@127.0.0.1:{port}", deadline=30).run(echo("x"))


def test_tls_with_a_plain_port_is_suspected(connect: Connect) -> None:
    port = free_ports()[0]
    with running("valkey-9.1", port=str(port), bind="127.0.0.1"):
        client = connect(f"rediss://127.0.0.1:{port}", deadline=0.3)
        with pytest.raises(ServerUnreachable, match=r"is it a TLS port\?"):
            client.run(echo("x"))


def test_a_server_that_is_not_there_is_named_within_the_deadline(connect: Connect, tmp_path: Path) -> None:
    port = free_ports()[0]
    for url, where in (
        (f"redis://u:s3cret@127.0.0.1:{port}/1", f"127.0.0.1:{port}"),
        (f"unix://:s3cret@{tmp_path}/none.sock", f"{tmp_path}/none.sock"),
        (f"redis+cluster://:s3cret@127.0.0.1:{port}", f"127.0.0.1:{port}"),
        (f"redis+sentinel://:s3cret@127.0.0.1:{port}/svc", f"127.0.0.1:{port}"),
        ("redis://:s3cret@no-such-host.invalid", "no-such-host.invalid:6379"),
    ):
        began = time.monotonic()
        with pytest.raises(ServerUnreachable) as raised:
            connect(url, deadline=0.3).run(echo("x"))
        assert where in str(raised.value)
        assert "s3cret" not in str(raised.value)
        assert time.monotonic() - began < SOON_S


def test_a_server_that_says_nothing_is_given_up_at_the_deadline(connect: Connect) -> None:
    def silent(client: socket.socket) -> None:
        while client.recv(1_000):
            pass

    with listener(silent) as port:
        client = connect(f"redis://127.0.0.1:{port}", deadline=0.3)
        began = time.monotonic()
        with pytest.raises(ServerUnreachable, match="no answer in time"):
            client.run(echo("x"))
        [error] = client.run_many([echo("x")])
        assert isinstance(error, ServerUnreachable)
        with pytest.raises(ServerUnreachable):
            client.wait(["homing:{t}:bell"], 0.01, echo("x"))
        assert time.monotonic() - began < 2


def test_a_server_that_reads_nothing_is_given_up_at_the_deadline(connect: Connect) -> None:
    asked, over = threading.Event(), threading.Event()

    def deaf(client: socket.socket) -> None:
        client.recv(1_000)
        if not asked.is_set():  # a client asks on its first connection only
            asked.set()
            client.sendall(b"*1\r\n$5\r\nlmove\r\n")
        over.wait(30)

    with listener(deaf) as port:
        client = connect(f"redis://127.0.0.1:{port}", deadline=0.5)
        began = time.monotonic()
        with pytest.raises(ServerUnreachable, match="no answer in time"):
            client.run(echo("x" * 20_000_000))
        over.set()
        assert 0.3 < time.monotonic() - began < 2


def test_a_reply_that_trickles_in_does_not_outlast_the_deadline(connect: Connect) -> None:
    def slow(client: socket.socket) -> None:
        client.recv(1_000)
        client.sendall(b"$1000\r\n")
        stopped = threading.Event()
        for _ in range(100):
            client.sendall(b"x")
            stopped.wait(0.05)

    with listener(slow) as port:
        client = connect(f"redis://127.0.0.1:{port}", deadline=0.3)
        began = time.monotonic()
        with pytest.raises(ServerUnreachable, match="no answer in time"):
            client.run(Command(("PING",), (), (), bytes))
        assert time.monotonic() - began < 1
