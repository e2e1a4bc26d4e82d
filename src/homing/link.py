"""What everything of one App shares: its settings, and per process and event loop one client."""

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from homing.engines.engine import Engine
from homing.keys import Keys
from homing.limits import Durability
from homing.seal import Seal
from homing.settings import Settings
from homing.steps import Steps, adrive, drive

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from pathlib import Path

    from homing.aclient import AsyncClient
    from homing.client import Client
    from homing.embedded import Membership
    from homing.lanes import Lanes
    from homing.target import Target

T = TypeVar("T")


class Closes(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closes)


@dataclass(frozen=True, slots=True)
class Short:
    """All that an enqueue in one call takes, found after so many declarations of its queue."""

    declared: int
    engine: Engine
    client: "Client"
    lanes: "Lanes"


class _Process:
    """What one process made; a forked child starts with a new one and leaves its parent's alone."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.target: Target | None = None
        self.membership: Membership | None = None
        self.client: Client | None = None
        self.lanes: Lanes | None = None
        self.aclients: dict[AbstractEventLoop, AsyncClient] = {}
        self.engines: dict[str, Engine] = {}
        #: By queue.
        self.shorts: dict[str, Short] = {}
        self.durable: set[tuple[str, Durability]] = set()
        self.shared: dict[str, Closes] = {}
        self.in_loops: dict[AbstractEventLoop, dict[str, Any]] = {}


def _given(where: object) -> "Target | None":
    """The server that is named, None when none is. What is wrong with it is said here, not at first use."""
    if where is None:
        return None
    from homing.target import Target

    return Target.parse(where)


class Link:
    """The App's way to its server. Makes nothing before it is needed; safe in threads and after a fork."""

    def __init__(self, settings: Settings, where: object = None) -> None:
        self.settings = settings
        self._given = _given(where if where is not None else settings.url)
        #: Signs and verifies, when there are signing keys.
        self.seal = Seal.of(settings.signing_keys, settings.prefix)
        #: What this process made: another one after a fork, and after `close`.
        self.process = _Process()
        if hasattr(os, "register_at_fork"):
            own = weakref.ref(self)

            def renew() -> None:
                if (link := own()) is not None:
                    link.process = _Process()

            os.register_at_fork(after_in_child=renew)

    def keys(self, queue: str) -> Keys:
        return Keys(queue, self.settings.prefix)

    def target(self) -> "Target":
        """Where the server is; starts or joins the embedded one when no URL is set."""
        process = self.process
        with process.lock:
            if process.target is None:
                if self._given is not None:
                    process.target = self._given
                else:
                    from homing import embedded
                    from homing.target import Target

                    member = process.membership = embedded.join(self.settings.folder)
                    process.target = replace(Target.parse(member.url), revive=member.revive)
            return process.target

    @property
    def embedded_folder(self) -> "Path | None":
        """The folder of the embedded server that `target` joined, None when a server is named."""
        return self.settings.folder if self.process.membership is not None else None

    @property
    def client(self) -> "Client":
        process = self.process
        if process.client is None:
            with process.lock:
                if process.client is None:
                    from homing.client import Client

                    process.client = Client(self.target(), deadline=self.settings.deadline)
        return process.client

    @property
    def aclient(self) -> "AsyncClient":
        """The running loop's client; RuntimeError without a running loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        process = self.process
        client = process.aclients.get(loop)
        if client is None:
            with process.lock:
                from homing.aclient import AsyncClient

                client = AsyncClient(self.target(), deadline=self.settings.deadline)
                process.aclients[loop] = client
                for closed in [other for other in process.aclients if other.is_closed()]:
                    del process.aclients[closed]
                    process.in_loops.pop(closed, None)
        return client

    @property
    def lanes(self) -> "Lanes":
        process = self.process
        if process.lanes is None:
            with process.lock:
                if process.lanes is None:
                    from homing.lanes import Lanes

                    process.lanes = Lanes()
        return process.lanes

    @property
    def engines(self) -> dict[str, Engine]:
        """Queue -> engine, for the queues this process has opened."""
        return self.process.engines

    @property
    def durable(self) -> set[tuple[str, Durability]]:
        """Queue and level, for those that the server was seen to be able to keep."""
        return self.process.durable

    def shared(self, name: str, make: Callable[[], C]) -> C:
        """The one object of this name in this process, made on first use, closed with the link."""
        process = self.process
        with process.lock:
            if name not in process.shared:
                process.shared[name] = make()
            return cast("C", process.shared[name])

    def shared_in_loop(self, name: str, make: Callable[[], T]) -> T:
        """The running loop's one object of this name, made on first use."""
        import asyncio

        loop = asyncio.get_running_loop()
        mine = self.process.in_loops.setdefault(loop, {})
        if name not in mine:
            mine[name] = make()
        return cast("T", mine[name])

    def do(self, steps: Steps[T]) -> T:
        return drive(self.client, steps)

    async def ado(self, steps: Steps[T]) -> T:
        return await adrive(self.aclient, steps)

    def close(self) -> None:
        """Close what this process made, and leave the embedded server; it may be used again after."""
        process, self.process = self.process, _Process()
        with process.lock:
            for one in [*process.shared.values()]:
                one.close()
            if process.client is not None:
                process.client.close()
            if process.membership is not None:
                process.membership.close()

    async def aclose(self) -> None:
        """The same, and the running loop's client."""
        import asyncio

        loop = asyncio.get_running_loop()
        self.process.in_loops.pop(loop, None)
        client = self.process.aclients.pop(loop, None)
        if client is not None:
            await client.aclose()
        self.close()
