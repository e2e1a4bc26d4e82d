"""Clusters whose slots move, Sentinels whose primary dies, and TLS."""

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from homing.client import Client
from homing.durability import Proof, Proven
from homing.errors import ServerError, ServerUnreachable
from homing.routes import slot_of
from homing.target import Target
from tests.integration.client.conftest import Connect
from tests.integration.client.scripts import count, echo, tell
from tests.integration.waiting import wait_for
from tests.servers import Server, as_anybody, binary, free_ports, running


def _said(server: Server, *words: str) -> str:
    reply = tell(server, *words)
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def _id(server: Server) -> str:
    return _said(server, "CLUSTER", "MYID")


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Server, Server]]:
    """A cluster of two nodes; the first has all slots."""
    # A node that gave its last slot away stays a primary; and a new one is trusted soon.
    options = {"cluster_allow_replica_migration": "no", "cluster_node_timeout": "1000"}
    with running("valkey-cluster", **options) as first, running("valkey-cluster", **options) as second:
        tell(second, "CLUSTER", "RESET", "HARD")
        port = str(second.address["port"])
        bus = str(second.redis().config_get("cluster-port")["cluster-port"])
        tell(first, "CLUSTER", "MEET", "127.0.0.1", port, bus)
        wait_for(lambda: _id(second) in _nodes(first) and _id(first) in _nodes(second), 20)
        wait_for(lambda: "cluster_state:ok" in str(_info(second)), 20)
        yield first, second


def _nodes(server: Server) -> str:
    return str(tell(server, "CLUSTER", "NODES"))


def _info(server: Server) -> Any:
    return tell(server, "CLUSTER", "INFO")


def _open(slot: int, source: Server, sink: Server) -> None:
    tell(sink, "CLUSTER", "SETSLOT", str(slot), "IMPORTING", _id(source))
    tell(source, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", _id(sink))


def _give(slot: int, source: Server, sink: Server) -> None:
    # Taking a slot that it imports lets a node's word outweigh all it knows of: so it must have heard the
    # source's last word, or what the source said a moment before takes the slot back, and then nobody has it.
    wait_for(lambda: _epochs(source, sink) == _epochs(sink, source), 20)
    _open(slot, source, sink)
    for server in (sink, source):
        tell(server, "CLUSTER", "SETSLOT", str(slot), "NODE", _id(sink))
    # What the sink said of itself a moment before may still be on its way, and unsettle the source.
    wait_for(lambda: all(_owner(server, slot) == _id(sink) for server in (sink, source)), 20)


def _epochs(server: Server, other: Server) -> dict[str, str]:
    """The configuration epoch of both nodes, by their ids, as `server` knows them."""
    lines = [line.split() for line in tell(server, "CLUSTER", "NODES").decode().splitlines()]
    return {line[0]: line[6] for line in lines if line[0] in {_id(server), _id(other)}}


def _owner(server: Server, slot: int) -> str | None:
    """The id of the node that has a slot, as this one sees it."""
    for first, last, primary, *_ in tell(server, "CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return str(primary[2].decode())
    return None


def test_queues_of_different_slots_run_together(connect: Connect, two: tuple[Server, Server]) -> None:
    client = connect(two[0].url)
    words = [f"{i}" for i in range(20)]
    assert client.run_many([echo(word, f"homing:{{q{word}}}:x") for word in words]) == [
        word.encode() for word in words
    ]


def test_a_moved_slot_is_followed(connect: Connect, two: tuple[Server, Server]) -> None:
    first, second = two
    client = connect(first.url)
    key = "homing:{moved}:x"
    assert client.run(echo("before", key)) == b"before"
    _give(slot_of(key), first, second)
    try:
        assert client.run(echo("after", key)) == b"after"
        assert client.wait(["homing:{moved}:bell"], 0.01, echo("waited", key)) == b"waited"
        assert client.run_many([echo("x", key), echo("y", "homing:{stayed}:x")]) == [b"x", b"y"]
    finally:
        _give(slot_of(key), second, first)
    # Moved back: first seen by a wait, which must not run its command twice nor lose it.
    assert client.wait(["homing:{moved}:bell"], 0.01, echo("home", key)) == b"home"


def test_a_slot_on_its_way_asks_or_waits(connect: Connect, two: tuple[Server, Server]) -> None:
    first, second = two
    client = connect(first.url)
    key = "homing:{asked}:x"
    slot = str(slot_of(key))
    client.run(echo("connected", key))
    _open(int(slot), first, second)
    try:
        assert client.run(count(key)) == 1
        assert tell(first, "CLUSTER", "COUNTKEYSINSLOT", slot) == 0
    finally:
        _give(int(slot), first, second)
        assert client.run(count(key)) == 2
        tell(second, "DEL", key)
        _give(int(slot), second, first)


def test_all_primaries_are_scanned(connect: Connect, two: tuple[Server, Server]) -> None:
    first, second = two
    key, other = "homing:{scanned}:x", "homing:{unscanned}:x"
    _give(slot_of(key), first, second)
    tell(second, "SET", key, "1")
    tell(first, "SET", other, "1")
    client, both = connect(first.url), {key.encode(), other.encode()}
    wait_for(lambda: set(client.scan("homing:*scanned*")) == both, 20)
    tell(second, "DEL", key)
    _give(slot_of(key), second, first)


def test_the_replicas_of_a_keys_own_node_are_asked(two: tuple[Server, Server]) -> None:
    first, second = two
    key, other = "homing:{sure}:x", "homing:{unsure}:x"
    proof = Proof("replicated", 1, 2_000)
    with running("valkey-cluster", repl_diskless_sync_delay="0") as replica:
        tell(replica, "CLUSTER", "RESET", "HARD")
        tell(second, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
        bus = str(replica.redis().config_get("cluster-port")["cluster-port"])
        tell(second, "CLUSTER", "MEET", "127.0.0.1", str(replica.address["port"]), bus)
        wait_for(lambda: _id(second) in _nodes(replica) and _id(replica) in _nodes(second), 20)
        wait_for(lambda: tell(replica, "CLUSTER", "REPLICATE", _id(second)) == b"OK", 20)
        wait_for(lambda: b"connected" in tell(replica, "ROLE"), 20)
        _give(slot_of(key), first, second)
        try:
            with Client(Target.parse(as_anybody(first.url))) as client:
                assert client.run(proof.with_write(count(key, resend=False))) == Proven(1, replicas=1)
                assert client.run(replace(proof, wait_ms=50).with_write(count(other))).replicas == 0
        finally:
            tell(second, "DEL", key)
            _give(slot_of(key), second, first)
            tell(first, "DEL", other)
            tell(second, "CLUSTER", "FORGET", _id(replica))
            tell(first, "CLUSTER", "FORGET", _id(replica))


def test_a_plain_url_of_a_cluster_is_told_to_be_one(connect: Connect, two: tuple[Server, Server]) -> None:
    port = two[1].address["port"]
    with pytest.raises(ServerError, match=rf"connect with redis\+cluster://127.0.0.1:{port}"):
        connect(f"redis://127.0.0.1:{port}").run(echo("x"))


def test_a_cluster_url_of_a_plain_server_is_told_so(connect: Connect) -> None:
    port = free_ports()[0]
    with (
        running("valkey-9.1", port=str(port), bind="127.0.0.1"),
        pytest.raises(ServerError, match="cluster support disabled"),
    ):
        connect(f"redis+cluster://127.0.0.1:{port}").run(echo("x"))


@contextmanager
def _sentinel(folder: Path, primary: int) -> Iterator[int]:
    port = free_ports()[0]
    folder.mkdir(exist_ok=True)
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass sp\n"
        f"sentinel monitor svc 127.0.0.1 {primary} 1\n"
        "sentinel down-after-milliseconds svc 300\nsentinel failover-timeout svc 1000\n"
    )
    process = subprocess.Popen([binary("valkey-9.1"), str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_when_the_primary_dies_the_one_the_sentinel_names_is_used(connect: Connect, tmp_path: Path) -> None:
    one, two = str(free_ports()[0]), str(free_ports()[0])
    with (
        running("valkey-9.1", port=one, bind="127.0.0.1", repl_diskless_sync_delay="0") as primary,
        running("valkey-9.1", port=two, bind="127.0.0.1") as replica,
        _sentinel(tmp_path, int(one)) as port,
    ):
        url = f"redis+sentinel://127.0.0.1:{free_ports()[0]},127.0.0.1:{port}/svc?sentinel_password=sp"
        client = connect(url, deadline=30)
        tell(replica, "REPLICAOF", "127.0.0.1", one)
        wait_for(lambda: b"connected" in tell(replica, "ROLE"), 20)
        counted = Proof("replicated", 1, 2_000).with_write(count("homing:{t}:failover"))
        assert client.run(counted) == Proven(1, replicas=1)
        with redis.Redis(port=port, password="sp") as watcher:
            wait_for(lambda: len(watcher.sentinel_slaves("svc")) == 1, 20)
        primary.stop()
        assert client.run(count("homing:{t}:failover")) == 2
        assert client.info()["role"] == "master"
        with pytest.raises(ServerError, match="knows a service 'other'"):
            connect(url.replace("/svc", "/other")).run(echo("x"))
        with pytest.raises(ServerError, match=r"is a Sentinel: connect with redis\+sentinel://"):
            connect(f"redis://:sp@127.0.0.1:{port}").run(echo("x"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@contextmanager
def _tls_before(server: Server, certificate: Path) -> Iterator[int]:
    """A loopback port with TLS before a server's unix socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(server.path)
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))

    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()


def test_tls_is_checked_and_used(connect: Connect, valkey: Server, certificate: Path) -> None:
    with _tls_before(valkey, certificate) as port:
        known = f"rediss://localhost:{port}?ssl_ca_certs={certificate}/cert.pem"
        client = connect(known)
        assert client.run(echo("sealed")) == b"sealed"
        assert client.run_many([echo("a" * 100_000), echo("b")]) == [b"a" * 100_000, b"b"]
        assert connect(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none").run(echo("x")) == b"x"
        with pytest.raises(ServerError, match=f"no TLS with localhost:{port}: CERTIFICATE_VERIFY_FAILED"):
            connect(f"rediss://localhost:{port}").run(echo("x"))
        with pytest.raises(ServerError, match="CERTIFICATE_VERIFY_FAILED"):
            connect(known.replace("localhost", "127.0.0.1")).run(echo("x"))
        with pytest.raises((ServerUnreachable, ServerError)):
            connect(f"redis://localhost:{port}", deadline=0.3).run(echo("x"))
