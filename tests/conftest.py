"""What all tests share: the real servers."""

from collections.abc import Iterator

import pytest

from tests.servers import Missing, Server, Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """All servers by name, each started when it is first asked for; see tests/servers.py."""
    all_of_them = Servers(tmp_path_factory.mktemp("servers"))
    yield all_of_them
    all_of_them.stop()


@pytest.fixture(scope="session")
def valkey(servers: Servers) -> Server:
    """The one Valkey 9.1 of this test process; use a queue name of your own."""
    try:
        return servers["valkey-9.1"]
    except Missing as reason:
        pytest.skip(str(reason))
