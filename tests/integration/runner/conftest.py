"""Apps on the shared Valkey, each with a prefix of its own, and workers inside the test's loop."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from homing import App
from homing.engines.engine import EngineName
from tests.servers import Server

_NUMBERS = itertools.count()


@pytest.fixture(params=["streams", "lists"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture
def prefix() -> str:
    return f"runner{next(_NUMBERS)}"


@pytest.fixture
def url(valkey: Server) -> str:
    return valkey.url


@pytest.fixture
async def app(url: str, prefix: str) -> AsyncIterator[App]:
    made = App(url, prefix=prefix)
    yield made
    await made.aclose()


@pytest.fixture
def events() -> Iterator[list[str]]:
    """The names of the events of this test, in order."""
    from homing import events

    seen: list[str] = []
    unsubscribe = events.subscribe(lambda name, _: seen.append(name))
    yield seen
    unsubscribe()
