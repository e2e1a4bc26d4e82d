"""Whoever hangs up at once, before the client listens, is noticed at once: a proxy whose server is away does."""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from msgspec.structs import replace

from homing.aclient import AsyncClient, Wire, _connection
from homing.errors import ServerError, ServerUnreachable
from homing.faults import Broken, Refusal
from homing.target import Address, Target
from tests.integration.client.links import listener, pair
from tests.integration.client.scripts import echo
from tests.servers import running

SOON_S = 2.0
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Each kind of loop has its own way with a connection that ended before anybody listened."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda awaited: runner.run(asyncio.wait_for(awaited, SOON_S))


def _heard(reader: Any) -> bool:
    return bool(reader._buffer)


async def _met(port: int, serve: Callable[[asyncio.StreamReader], bool]) -> list[Any]:
    """What an exchange says on a connection that has come so far before anybody listened."""
    address = Address("127.0.0.1", port)
    connected = _connection(
        address, Target.parse(f"redis://127.0.0.1:{port}").access_to(address), time.monotonic() + 30
    )
    await connected.connect()
    while not serve(connected._reader):
        await asyncio.sleep(0)
    wire = Wire(address, connected, [])
    try:
        with pytest.raises(Broken) as broken:
            await wire.exchange(b"PING\r\n", 1, time.monotonic() + 30)
    finally:
        wire.close()
    assert not broken.value.sent
    return broken.value.replies


def test_an_end_that_came_before_anybody_listened(run: Run) -> None:
    with listener(lambda client: None) as port:
        assert run(_met(port, lambda reader: reader.at_eof())) == []


def test_the_last_words_of_who_hung_up_at_once(run: Run) -> None:
    said = b"-ERR max number of clients reached\r\n"
    with listener(lambda client: client.sendall(said)) as port:
        [refusal] = run(_met(port, _heard))
    assert isinstance(refusal, Refusal)
    assert "max number of clients" in str(refusal)


def test_a_reply_that_nobody_asked_for_is_nobodys_answer(run: Run) -> None:
    with listener(lambda client: client.sendall(b"+PONG\r\n")) as port:
        assert run(_met(port, _heard)) == []


def test_what_speaks_first_and_is_not_redis_is_named(run: Run) -> None:
    with (
        listener(lambda client: client.sendall(b"220 mail.example ESMTP\r\n")) as port,
        pytest.raises(ServerError, match="is not a Redis server"),
    ):
        run(_met(port, _heard))


def test_a_proxy_whose_server_is_away_for_a_moment(run: Run) -> None:
    """It takes each connection and hangs up. No call waits for an answer that cannot come."""
    turned_away = 0
    with running("valkey-9.1") as server:

        def serve(client: socket.socket) -> None:
            nonlocal turned_away
            if turned_away < 10:
                turned_away += 1
                return
            with socket.socket(socket.AF_UNIX) as behind:
                behind.connect(server.path)
                pair(client, behind)

        async def ask(port: int) -> Any:
            client = AsyncClient(Target.parse(f"redis://127.0.0.1:{port}"), deadline=30)
            while True:
                try:
                    return await client.run(replace(echo("x"), resend=False))
                except ServerUnreachable:  # it had been sent before the end was seen
                    await asyncio.sleep(0)
                finally:
                    await client.aclose()

        with listener(serve) as port:
            assert run(ask(port)) == b"x"
