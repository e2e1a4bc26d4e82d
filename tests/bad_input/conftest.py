"""A site of one's own on each engine: see tests/foreign.py."""

from collections.abc import Iterator

import pytest

from homing.engines.engine import EngineName
from tests.foreign import Site, site_on
from tests.servers import Server


@pytest.fixture(params=["streams", "lists"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture
def site(valkey: Server, engine: EngineName) -> Iterator[Site]:
    with site_on(valkey, engine) as site:
        yield site
