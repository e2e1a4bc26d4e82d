"""Each test runs over engine x client x server; the options narrow that down."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import redis

from homing.aclient import AsyncClient
from homing.client import Client
from homing.command import Command
from homing.engines import make
from homing.engines.engine import EngineName
from homing.keys import Keys
from homing.target import Target
from tests.conformance.driver import Queue, Run
from tests.servers import NAMES, Missing, Server, Servers

ENGINES: tuple[EngineName, ...] = ("lists", "streams")
CLIENTS = ("sync", "async")


class AsyncRunner:
    """An AsyncClient on a loop of its own, spoken to as if it were sync."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = AsyncClient(Target.parse(url))

    def __call__(self, command: Command[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(self._client.run(command), self._loop).result(30)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


class Clients:
    """One client of each kind, and one foreign client, per server."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._runs: dict[tuple[str, str], Run] = {}
        self._raws: dict[str, redis.Redis] = {}
        self._open: list[Client | AsyncRunner] = []

    def server(self, name: str) -> Server:
        return self._servers[name]

    def run(self, kind: str, name: str) -> Run:
        if (kind, name) not in self._runs:
            url = self.server(name).url
            if kind == "sync":
                client = Client(Target.parse(url))
                self._open.append(client)
                self._runs[kind, name] = client.run
            else:
                runner = AsyncRunner(url)
                self._open.append(runner)
                self._runs[kind, name] = runner
        return self._runs[kind, name]

    def raw(self, name: str) -> "redis.Redis":
        if name not in self._raws:
            self._raws[name] = self.server(name).redis(protocol=2)
        return self._raws[name]

    def close(self) -> None:
        for client in self._open:
            client.close()
        for raw in self._raws.values():
            raw.close()


@pytest.fixture(scope="session")
def clients(servers: Servers) -> Iterator[Clients]:
    all_of_them = Clients(servers)
    yield all_of_them
    all_of_them.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_name" not in metafunc.fixturenames:
        return
    config = metafunc.config
    metafunc.parametrize("server_name", config.getoption("server") or NAMES)
    metafunc.parametrize("client_kind", config.getoption("client") or CLIENTS)
    metafunc.parametrize("engine_name", config.getoption("engine") or ENGINES)


@pytest.fixture
def server(clients: Clients, server_name: str) -> Server:
    try:
        return clients.server(server_name)
    except Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture
def new_queue(
    server: Server,
    clients: Clients,
    engine_name: EngineName,
    client_kind: str,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[], Queue]]:
    """Makes queues of the test's own, which nobody has used."""
    numbers = count(1)
    start = f"{engine_name}-{client_kind}-{id(request):x}"
    raw = clients.raw(server.name)

    def make_one() -> Queue:
        engine = make(engine_name, Keys(f"{start}-{next(numbers)}"))
        return Queue(engine, clients.run(client_kind, server.name), raw)

    yield make_one
    with raw.pipeline(transaction=False) as flight:  # one key each: a cluster takes no two slots at once
        for key in raw.keys(f"homing:{{{start}-*"):
            flight.unlink(key)
        flight.execute()


@pytest.fixture
def queue(new_queue: Callable[[], Queue]) -> Queue:
    """A queue of the test's own, which nobody has used."""
    return new_queue()
