"""What the clients do on real servers, each verb."""

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import redis

from homing.client import Client
from homing.command import Command
from homing.errors import LeaseLost, QueueFull, ServerAuth, WrongType
from homing.target import Target
from tests.integration.client.conftest import Connect
from tests.integration.client.scripts import count, echo, raw, script, tell
from tests.servers import NAMES, Missing, Server, Servers, as_anybody, running


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    try:
        return servers[request.param]
    except Missing as reason:
        pytest.skip(str(reason))


def test_a_script_runs_on_every_server(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    assert client.run(echo("hello")) == b"hello"
    assert client.run(raw("PING")) == b"PONG"
    assert client.info()["redis_version"]
    assert client.config("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_forgotten_script_is_told_again(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    client.run(echo("one"))
    tell(server, "SCRIPT", "FLUSH")
    assert client.run(echo("two")) == b"two"
    tell(server, "SCRIPT", "FLUSH")
    assert client.run_many([echo("a"), echo("b"), echo("c")]) == [b"a", b"b", b"c"]
    tell(server, "SCRIPT", "FLUSH")
    assert client.wait(["homing:{t}:no-bell"], 0.01, echo("three")) == b"three"


@pytest.mark.exact_answers("its commands count how often they run")
def test_many_run_in_order_with_errors_in_their_places(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    key = "homing:{t}:many"
    server.redis().delete(key)
    broken = Command(script("return redis.error_reply('LEASELOST gone')"), (key,), (), bytes, "t")
    one, two, three, four = client.run_many([count(key), broken, count(key), raw("ECHO", "x")])
    assert (one, three, four) == (1, 2, b"x")
    assert isinstance(two, LeaseLost)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("return redis.error_reply('LEASELOST the lease is gone')", LeaseLost, "the lease is gone"),
        ("return {err = 'QUEUEFULL too many'}", QueueFull, "too many"),
        ("error('LEASELOST raised')", LeaseLost, "raised"),
        (
            "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'x') return redis.call('GET', KEYS[1])",
            WrongType,
            "another type",
        ),
        (
            "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'x') return redis.pcall('GET', KEYS[1])",
            WrongType,
            "another type",
        ),
    ],
)
def test_what_a_script_refuses_arrives_as_its_error(
    connect: Connect, server: Server, body: str, error: type[Exception], says: str
) -> None:
    refusing = Command(script(body), ("homing:{t}:refusing",), (), bytes, "t")
    with pytest.raises(error) as raised:
        connect(server.url).run(refusing)
    assert says in str(raised.value)
    assert str(raised.value).endswith("(queue 't')")
    assert "user_script" not in str(raised.value)


def test_a_wait_runs_its_command_when_a_bell_rings(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    silent, bell = "homing:{t}:silent", "homing:{t}:bell"
    server.redis().delete(silent, bell)
    client.run(echo("connected"))
    ringer = threading.Timer(0.2, lambda: server.redis().rpush(bell, "1"))
    ringer.start()
    began = time.monotonic()
    assert client.wait([silent, bell], 2.0, echo("claimed")) == b"claimed"
    assert 0.1 < time.monotonic() - began < 1.5
    ringer.join()


def test_a_wait_without_a_bell_ends_with_its_block(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    began = time.monotonic()
    assert client.wait(["homing:{t}:silent"], 0.05, echo("claimed")) == b"claimed"
    assert client.wait(["homing:{t}:silent"], 0.0, None) is None
    assert 0.05 < time.monotonic() - began < 1.5


def test_pop_takes_one_item(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    key = "homing:{t}:reply:me"
    server.redis().delete(key)
    server.redis().rpush(key, b"a\nb\x00\xff", b"second")
    assert (client.pop(key, 0.1), client.pop(key, 0.1), client.pop(key, 0.01)) == (
        b"a\nb\x00\xff",
        b"second",
        None,
    )


def test_scan_finds_all_keys_once_or_more(connect: Connect, server: Server) -> None:
    plain = server.redis()
    wanted = {f"homing:{{scan{i % 7}}}:{i}".encode() for i in range(3_000)}
    for key in wanted:
        plain.set(key, "x")
    assert set(connect(server.url).scan("homing:{scan*")) == wanted
    for key in wanted:
        plain.delete(key)


@pytest.mark.exact_answers("a full server cannot say of a try whose answer was lost whether it ran")
@pytest.mark.parametrize("name", ["valkey-9.1", "redis-6.2", "redis-8.2"])
def test_a_full_server_refuses_with_queue_full(connect: Connect, name: str) -> None:
    fill = script("return redis.call('RPUSH', KEYS[1], ARGV[1])", "fill")
    with running(name, maxmemory="3mb") as server:
        client = connect(server.url)
        with pytest.raises(QueueFull, match="raise its maxmemory"):
            for _ in range(200):
                client.run(Command(fill, ("homing:{t}:full",), (b"x" * 50_000,), int, "t"))
        assert client.run(raw("LLEN", keys=("homing:{t}:full",)))


def test_threads_get_their_own_answers(valkey: Server) -> None:
    client = Client(Target.parse(as_anybody(valkey.url)))
    wrong: list[Any] = []

    def call(name: str) -> None:
        for number in range(200):
            word = f"{name}-{number}"
            if client.run(echo(word)) != word.encode():
                wrong.append(word)

    threads = [threading.Thread(target=call, args=(f"t{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert not wrong


def test_waits_at_the_same_time_have_connections_of_their_own(valkey: Server) -> None:
    client = Client(Target.parse(as_anybody(valkey.url)))
    plain = valkey.redis()
    bells = [f"homing:{{waits}}:bell{i}" for i in range(5)]
    heard: list[bytes | None] = []
    waits = [
        threading.Thread(target=lambda b=bell: heard.append(client.wait([b], 2.0, echo(b)))) for bell in bells
    ]
    for wait in waits:
        wait.start()
    assert client.run(echo("meanwhile")) == b"meanwhile"
    for bell in reversed(bells):
        plain.rpush(bell, "1")
    for wait in waits:
        wait.join(10)
    client.close()
    assert sorted(heard) == [bell.encode() for bell in bells]  # type: ignore[type-var]


def test_closing_leaves_no_connection_and_a_closed_client_connects_again(connect: Connect) -> None:
    with running("valkey-9.1") as server:
        plain = server.redis()
        client = connect(server.url)
        client.run(echo("x"))
        client.wait(["homing:{t}:bell"], 0.01, None)
        assert plain.info("clients")["connected_clients"] == 2  # ours and this one
        client.close()
        end = time.monotonic() + 5
        while plain.info("clients")["connected_clients"] > 1 and time.monotonic() < end:
            pass
        assert plain.info("clients")["connected_clients"] == 1
        assert client.run(echo("again")) == b"again"


def test_settings_that_may_not_be_read_are_none(connect: Connect) -> None:
    with running("valkey-9.1") as server:
        tell(server, "ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-config", "-command")
        client = connect(as_anybody(server.url).replace("unix://", "unix://u:p@"))
        assert client.config("maxmemory") is None
        assert client.run(echo("works")) == b"works"
        with pytest.raises(ServerAuth, match="denies CONFIG"):
            client.run(raw("CONFIG", "GET", "save"))


@pytest.mark.parametrize("name", ["valkey-9.1", "valkey-cluster"])
def test_a_client_object_is_as_good_as_a_url(connect: Connect, servers: Servers, name: str) -> None:
    server = servers[name]
    if name == "valkey-cluster":
        given: Any = redis.RedisCluster(**server.address)
    else:
        given = server.redis(decode_responses=True)
    client = connect(given)
    assert client.run(echo("x")) == b"x"
    assert client.describe().startswith("redis+cluster" if name == "valkey-cluster" else "unix://")
    given.close()
    assert client.run(echo("still")) == b"still"


def test_the_database_of_the_url_is_used(connect: Connect, valkey: Server) -> None:
    connect(f"{valkey.url}?db=3").run(Command(("SET",), ("homing:{db}:x",), ("1",), bytes))
    assert valkey.redis(db=3).delete("homing:{db}:x") == 1


def test_importing_a_client_imports_no_redis() -> None:
    code = "import sys, homing.client, homing.aclient; print('redis' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
