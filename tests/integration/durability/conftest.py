"""A primary with a replica, and Apps on it whose calls are made by a sync or an async client."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import pytest

from homing import App, Queue
from tests.servers import Server, replicated

_numbers = count()


@pytest.fixture(scope="package")
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary and its replica, for the whole folder; a test that freezes the replica thaws it."""
    with replicated("valkey-9.1") as both:
        yield both


@pytest.fixture
def prefix() -> str:
    return f"durable-{next(_numbers)}"


@pytest.fixture(params=["sync", "async"])
def put(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`put(queue, payload, ...)` by the sync or the async client."""
    if request.param == "sync":
        return Queue.put

    def put(queue: Queue, payload: object, **options: Any) -> Any:
        return asyncio.run(_once(queue, queue.aput(payload, **options)))

    return put


async def _once(queue: Queue, call: Awaitable[Any]) -> Any:
    try:
        await queue.acounts()  # what 6.2 has to learn about scripts is not what is timed here
        return await call
    finally:
        await queue.sender.link.aclient.aclose()


@pytest.fixture
def app(pair: tuple[Server, Server], prefix: str) -> Iterator[App]:
    """An App that gives a replica 400 ms to confirm."""
    with App(pair[0].url, prefix=prefix, deadline=1.6) as app:
        yield app
