"""An App of one's own on the Valkey of this test process, and a queue on each engine."""

from collections.abc import Iterator
from itertools import count

import pytest

from homing import App, Queue
from homing.engines.engine import EngineName
from tests.servers import Server

_numbers = count()


@pytest.fixture
def app(valkey: Server) -> Iterator[App]:
    with App(valkey.url, prefix=f"queues-{next(_numbers)}") as app:
        yield app


@pytest.fixture(params=["lists", "streams"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture
def queue(app: App, engine: EngineName) -> Queue:
    """An empty queue; a test that leaves it broken fails at `verify`."""
    return app.queue("outbox", engine=engine)
