"""Each test that asks for `connect` runs with both clients."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from homing.aclient import AsyncClient
from homing.client import Client
from homing.command import Command
from homing.target import Target
from tests.servers import as_anybody

Connect = Callable[..., "Client | Looped"]


class Looped:
    """An AsyncClient on a loop of its own, spoken to as if it were sync."""

    def __init__(self, target: Target, *, deadline: float) -> None:
        self._runner = asyncio.Runner()
        self.client = AsyncClient(target, deadline=deadline)

    def run(self, command: Command[Any], deadline: float | None = None) -> Any:
        return self._runner.run(self.client.run(command, deadline))

    def run_many(self, commands: Sequence[Command[Any]]) -> list[Any]:
        return self._runner.run(self.client.run_many(commands))

    def wait(self, bells: Sequence[str], block_s: float, command: Command[Any] | None) -> Any:
        if command is None:
            return self._runner.run(self.client.wait(bells, block_s, None))
        heard: list[Any] = []
        self._runner.run(self.client.listen(bells, block_s, command, heard.append))
        [answer] = heard
        return answer

    def pop(self, key: str, block_s: float) -> bytes | None:
        return self._runner.run(self.client.pop(key, block_s))

    def info(self) -> dict[str, str]:
        return self._runner.run(self.client.info())

    def config(self, *names: str) -> Any:
        return self._runner.run(self.client.config(*names))

    def describe(self) -> str:
        return self.client.describe()

    def scan(self, pattern: str) -> Iterator[bytes]:
        async def all_keys() -> list[bytes]:
            return [key async for key in self.client.scan(pattern)]

        return iter(self._runner.run(all_keys()))

    def close(self) -> None:
        self._runner.run(self.client.aclose())

    def end(self) -> None:
        self.close()
        self._runner.close()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """`connect(where, deadline=5.0)`: a client of this test's kind."""
    made: list[Client | Looped] = []

    def connected(where: object, deadline: float = 5.0) -> Client | Looped:
        kind = Client if request.param == "sync" else Looped
        where = as_anybody(where) if isinstance(where, str) else where
        made.append(kind(Target.parse(where), deadline=deadline))
        return made[-1]

    yield connected
    for one in made:
        if isinstance(one, Looped):
            one.end()
        else:
            one.close()
