"""The way of administration commands to the server: they need a URL, never the app's code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from homing.errors import HomingError, QueueError, ServerMissing

if TYPE_CHECKING:
    from homing.client import Client
    from homing.engines.engine import Engine
    from homing.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def server_options(command: F) -> F:
    """Add --url, --folder and --prefix, which `reach` takes."""
    for option in (
        click.option("--prefix", help="What the names of all keys start with (default: homing)."),
        click.option("--folder", help="Folder of the embedded server (default: .homing)."),
        click.option("--url", help="The server, e.g. redis://localhost or unix:///run/valkey.sock."),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


class Administration:
    """Queues of one server, each with the engine that made it."""

    def __init__(self, client: "Client", settings: "Settings") -> None:
        self.client = client
        self.settings = settings

    def queues(self) -> list[str]:
        """The names of all queues, sorted."""
        from homing.command import Command
        from homing.keys import queues_key

        names: list[Any] = self.client.run(
            Command(("SMEMBERS",), (queues_key(self.settings.prefix),), (), list)
        )
        return sorted(name.decode() if isinstance(name, bytes) else str(name) for name in names)

    def engines(self, queues: list[str]) -> "dict[str, Engine]":
        """Each queue's engine, read from the queue; those that do not exist are left out."""
        from homing.command import Command
        from homing.engines import make
        from homing.keys import Keys

        keys = [Keys(name, self.settings.prefix) for name in queues]
        asked = [Command(("HGET",), (one.meta,), ("engine",), _text, one.queue) for one in keys]
        found: dict[str, Engine] = {}
        for one, name in zip(keys, self.run_all(asked), strict=True):
            if name in ("lists", "streams"):
                found[one.queue] = make("lists" if name == "lists" else "streams", one)
        return found

    def engine(self, queue: str) -> "Engine":
        """The queue's engine; QueueError names the queues there are when it does not exist."""
        if (engine := self.engines([queue]).get(queue)) is not None:
            return engine
        names = self.queues()
        there = (
            f"there are {', '.join(names[:10])}{' …' if len(names) > 10 else ''}"
            if names
            else "there is none yet"
        )
        raise QueueError(f"there is no queue {queue!r} on this server: {there}")

    def run_all(self, commands: list[Any]) -> list[Any]:
        """The answers of several commands in one flight; raises the first error among them."""
        if not commands:
            return []
        answers: list[Any] = self.client.run_many(commands)
        for answer in answers:
            if isinstance(answer, HomingError):
                raise answer
        return answers


@contextmanager
def reach(url: str | None, folder: str | None, prefix: str | None) -> Iterator[Administration]:
    """The server of the given options, or of the settings, or the embedded one of a folder that has one.

    Raises ServerMissing when nothing is set and the folder does not exist: an administration
    command makes no new server.
    """
    from homing.link import Link
    from homing.settings import Settings

    settings = Settings.load(url=url, folder=folder, prefix=prefix)
    if settings.url is None and not settings.folder.is_dir():
        raise ServerMissing(
            f"no server is set and there is no embedded one in {settings.folder}: "
            "give --url or set HOMING_URL, or go to the folder of your program"
        )
    link = Link(settings)
    try:
        yield Administration(link.client, settings)
    finally:
        link.close()


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
