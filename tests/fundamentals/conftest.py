"""The product as its users meet it: an App on a real server, on either engine."""

from collections.abc import Iterator
from itertools import count

import pytest

from homing import App
from homing.engines.engine import EngineName
from tests.servers import Server

_numbers = count()


@pytest.fixture
def app(valkey: Server) -> Iterator[App]:
    with App(valkey.url, prefix=f"fundamentals-{next(_numbers)}") as app:
        yield app


@pytest.fixture(params=["lists", "streams"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name
