"""Connections that break: what is sent again, what never is, and what nobody may read."""

import asyncio
import os
import threading
import time
from typing import Any

import pytest
from msgspec.structs import replace

from homing.aclient import AsyncClient
from homing.client import Client
from homing.errors import ServerUnreachable
from homing.target import Target
from tests.integration.client.conftest import Connect
from tests.integration.client.links import proxy
from tests.integration.client.scripts import count, echo, tell
from tests.servers import Server, as_anybody, running, start

#: Of a test whose proxy must meet the very reply that it names.
loses_replies = pytest.mark.exact_traffic("its proxy loses the replies that it names")


@loses_replies
@pytest.mark.parametrize("how", ["closed", "swallowed"])
def test_a_lost_reply_is_asked_for_again_on_a_new_connection(
    connect: Connect, valkey: Server, how: str
) -> None:
    with proxy(valkey.url) as link:
        client = connect(f"redis://127.0.0.1:{link.port}", deadline=2.5)
        key = f"homing:{{links}}:resent-{os.urandom(6).hex()}"
        assert client.run(count(key)) == 1
        link.lose_next_reply(how)
        assert client.run(count(key)) == 3  # it ran, its reply was lost, it ran again
        assert link.connections == 2


@loses_replies
@pytest.mark.parametrize("how", ["closed", "swallowed"])
def test_what_must_not_run_twice_is_never_sent_again(connect: Connect, valkey: Server, how: str) -> None:
    with proxy(valkey.url) as link:
        client = connect(f"redis://127.0.0.1:{link.port}", deadline=0.5)
        key = f"homing:{{links}}:once-{os.urandom(6).hex()}"
        assert client.run(count(key, resend=False)) == 1
        link.lose_next_reply(how)
        with pytest.raises(ServerUnreachable, match="whether the command ran is not known"):
            client.run(count(key, resend=False))
        link.lose_next_reply(how)
        [error] = client.run_many([count(key, resend=False)])
        assert isinstance(error, ServerUnreachable)
        link.lose_next_reply("closed")
        with pytest.raises(ServerUnreachable):
            client.wait(["homing:{links}:bell"], 0.01, count(key, resend=False))
        assert valkey.redis().get(key) in {b"3", b"4"}  # the last one may not have come to its command
        assert client.run(count(key, resend=False)) in {4, 5}


def test_what_is_more_than_a_socket_takes_goes_whole(connect: Connect, valkey: Server) -> None:
    with proxy(valkey.url) as link:
        client = connect(f"redis://127.0.0.1:{link.port}")
        for words in ("x" * 20_000_000, "short"):
            assert client.run(echo(words)) == words.encode()


@loses_replies
def test_of_many_only_those_are_sent_again_that_may_be(connect: Connect, valkey: Server) -> None:
    with proxy(valkey.url) as link:
        client = connect(f"redis://127.0.0.1:{link.port}")
        one, other = (f"homing:{{links}}:{name}-{os.urandom(6).hex()}" for name in ("one", "other"))
        client.run_many([count(one), count(other)])
        link.lose_next_reply("closed")
        again, never = client.run_many([count(one), count(other, resend=False)])
        assert again == 3
        assert isinstance(never, ServerUnreachable)
        assert valkey.redis().get(other) == b"2"


def test_a_connection_found_dead_is_not_used_even_for_what_goes_once(
    connect: Connect, valkey: Server
) -> None:
    with proxy(valkey.url) as link:
        client = connect(f"redis://127.0.0.1:{link.port}")
        key = f"homing:{{links}}:idle-{os.urandom(6).hex()}"
        client.run(count(key, resend=False))
        link.cut()
        end = time.monotonic() + 5
        while int(valkey.redis().info("clients")["connected_clients"]) > 1 and time.monotonic() < end:
            break
        client.run(echo("settled"))
        assert client.run(count(key, resend=False)) == 2


@pytest.mark.exact_answers("its command counts how often it runs")
def test_a_server_that_restarts_is_used_again(connect: Connect, tmp_path: Any) -> None:
    first = start("valkey-9.1", tmp_path, appendonly="yes", appendfsync="always")
    client = connect(first.url)
    client.run(count("homing:{t}:restarts"))
    first.stop()
    began = threading.Event()
    second: list[Server] = []

    def restart() -> None:
        began.wait()
        second.append(start("valkey-9.1", tmp_path, appendonly="yes", appendfsync="always"))

    starter = threading.Thread(target=restart)
    starter.start()
    began.set()
    assert client.run(count("homing:{t}:restarts"), 10) == 2
    starter.join()
    second[0].stop()


def test_a_stopped_server_costs_the_deadline_and_no_more(connect: Connect) -> None:
    with running("valkey-9.1") as server:
        client = connect(server.url, deadline=0.4)
        client.run(echo("x"))
        tell(server, "CLIENT", "PAUSE", "1500", "WRITE")
        began = time.monotonic()
        with pytest.raises(ServerUnreachable, match="no answer in time"):
            client.run(count("homing:{t}:paused"))
        assert 0.3 < time.monotonic() - began < 1.4
        assert client.run(count("homing:{t}:paused"), 5) >= 1


@pytest.mark.parametrize(("before_s", "deadline_s", "answered"), [(60.0, 0.4, False), (0.3, 60.0, True)])
def test_a_call_has_its_own_deadline_whatever_its_connection_carried_before(
    connect: Connect, before_s: float, deadline_s: float, answered: bool
) -> None:
    with running("valkey-9.1") as server:
        client = connect(server.url)
        client.run(echo("x"), before_s)
        tell(server, "CLIENT", "PAUSE", "1000", "WRITE")
        once = replace(count("homing:{t}:paused"), resend=False)
        began = time.monotonic()
        if answered:
            assert client.run(once, deadline_s) == 1
        else:
            with pytest.raises(ServerUnreachable, match="no answer in time"):
                client.run(once, deadline_s)
            assert 0.3 < time.monotonic() - began < 0.9


def test_a_forked_child_has_connections_of_its_own(valkey: Server) -> None:
    client = Client(Target.parse(as_anybody(valkey.url)))
    client.run(echo("parent"))
    children = []
    for child in range(3):
        if (pid := os.fork()) == 0:
            wrong = sum(client.run(echo(f"{child}-{i}")) != f"{child}-{i}".encode() for i in range(200))
            os._exit(min(wrong, 100))
        children.append(pid)
    wrong = sum(client.run(echo(f"parent-{i}")) != f"parent-{i}".encode() for i in range(200))
    ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    client.close()
    assert (wrong, ends) == (0, [0, 0, 0])


async def test_a_cancelled_call_leaves_no_answer_for_the_next(valkey: Server) -> None:
    client = AsyncClient(Target.parse(as_anybody(valkey.url)))
    await client.run(echo("connected"))
    for number in range(100):
        call = asyncio.create_task(client.run(echo(f"cancelled-{number}")))
        wait = asyncio.create_task(client.wait([f"homing:{{c}}:{number}"], 2.0, echo(f"waited-{number}")))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        call.cancel()
        wait.cancel()
        await asyncio.gather(call, wait, return_exceptions=True)
        assert await client.run(echo(f"kept-{number}")) == f"kept-{number}".encode()
    await client.aclose()


async def test_tasks_get_their_own_answers(valkey: Server) -> None:
    async with AsyncClient(Target.parse(as_anybody(valkey.url))) as client:

        async def call(name: str) -> bool:
            return all([await client.run(echo(f"{name}-{i}")) == f"{name}-{i}".encode() for i in range(50)])

        waits = [client.wait([f"homing:{{w}}:{i}"], 0.05, echo(f"w{i}")) for i in range(5)]
        *right, heard = await asyncio.gather(*(call(f"t{i}") for i in range(20)), asyncio.gather(*waits))
        assert all(right)
        assert heard == [f"w{i}".encode() for i in range(5)]


def test_an_async_client_says_that_it_belongs_to_another_loop(valkey: Server) -> None:
    client = AsyncClient(Target.parse(as_anybody(valkey.url)))

    async def use() -> None:
        await client.run(echo("x"))

    with asyncio.Runner() as first:
        first.run(use())
        with pytest.raises(RuntimeError, match="belongs to the event loop"):
            asyncio.run(use())
        first.run(client.aclose())
