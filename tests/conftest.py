"""What all tests share: the real servers."""

from collections.abc import Generator, Iterator

import pytest

from tests.servers import NAMES, Missing, Server, Servers

pytest_plugins = ["tests.faulty.plugin", "pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("homing", "what the conformance tests run over (default: everything)")
    group.addoption("--server", action="append", choices=NAMES, help="on this server; may be repeated")
    group.addoption("--engine", action="append", choices=("lists", "streams"), help="with this engine")
    group.addoption("--client", action="append", choices=("sync", "async"), help="with this client")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """A test whose server is not installed here is skipped, with the reason."""
    try:
        return (yield)
    except Missing as reason:
        pytest.skip(str(reason))


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
