"""An answer that was waited for is heard the moment it comes, and by nobody twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from homing.aclient import AsyncClient, Wire
from homing.errors import LeaseLost, WrongType
from homing.target import Target
from tests.integration.client.scripts import echo, raw
from tests.servers import Servers, as_anybody

BELLS = ["homing:{t}:silent"]
ASKED = ContextVar("ASKED", default="nobody")


@asynccontextmanager
async def connected(servers: Servers) -> AsyncIterator[AsyncClient]:
    """One that has asked the server before: what it sends next goes straight."""
    async with AsyncClient(Target.parse(as_anybody(servers["valkey-9.1"].url))) as client:
        assert await client.run(echo("hello")) == b"hello"
        yield client


async def test_it_is_heard_before_who_waits_goes_on(servers: Servers) -> None:
    log: list[str] = []
    async with connected(servers) as client:

        def heard(answer: bytes) -> None:
            asyncio.get_running_loop().call_soon(log.append, "the next pass")
            log.append(answer.decode())

        await client.listen(BELLS, 0.01, echo("heard"), heard)
        log.append("goes on")
    assert log == ["heard", "the next pass", "goes on"]


async def test_it_is_heard_in_the_context_of_who_waits(servers: Servers) -> None:
    log: list[str] = []
    async with connected(servers) as client:
        ASKED.set("this test")  # the connection was made before
        await client.listen(BELLS, 0.01, echo("x"), lambda _: log.append(ASKED.get()))
    assert log == ["this test"]


@pytest.mark.parametrize("error", [ValueError("no"), LeaseLost("gone", "q")])
async def test_what_the_hearer_raises_is_raised_to_who_waits(servers: Servers, error: Exception) -> None:
    def heard(answer: bytes) -> None:
        raise error

    async with connected(servers) as client:
        with pytest.raises(type(error)) as raised:
            await client.listen(BELLS, 0.01, echo("x"), heard)
        assert raised.value is error
        assert await client.run(echo("still")) == b"still"


async def test_a_bell_that_is_none_is_an_error_and_nothing_is_heard(servers: Servers) -> None:
    log: list[Any] = []
    async with connected(servers) as client:
        await client.run(raw("SET", "homing:{t}:text", "x"))
        with pytest.raises(WrongType):
            await client.listen(["homing:{t}:text"], 0.01, echo("x"), log.append)
    assert log == []


async def test_who_gives_up_hears_nothing_although_the_answer_is_just_being_read(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[Any] = []
    received = Wire.data_received

    def given_up_before(wire: Wire, data: bytes) -> None:
        listening.cancel()
        received(wire, data)

    async with connected(servers) as client:
        monkeypatch.setattr(Wire, "data_received", given_up_before)
        listening = asyncio.create_task(client.listen(BELLS, 0.01, echo("late"), log.append))
        with pytest.raises(asyncio.CancelledError):
            await listening
        monkeypatch.undo()
        assert await client.run(echo("next")) == b"next"
    assert log == []


async def test_the_hearer_may_cancel_who_waits(servers: Servers) -> None:
    log: list[Any] = []
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
    async with connected(servers) as client:

        def heard(answer: bytes) -> None:
            log.append(answer)
            listening.cancel()

        listening = asyncio.create_task(client.listen(BELLS, 0.01, echo("once"), heard))
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert await client.run(echo("next")) == b"next"
    assert log == [b"once"]
    assert not unhandled
