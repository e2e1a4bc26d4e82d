"""The two faces of a consumer: an iterator, and an async iterator, that give messages."""

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Self

from homing.client import Client
from homing.consuming import Consuming, Taking
from homing.delivery.ticker import Ticker
from homing.errors import JobNotSettled
from homing.link import Link
from homing.message import Message
from homing.sender import Sender


def heart_of(link: Link) -> Ticker:
    """The thread of this process that keeps its consumers' leases, with a connection of its own."""
    return link.shared(
        "ticker",
        lambda: Ticker(Client(link.target(), deadline=link.settings.deadline), prefix=link.settings.prefix),
    )


# The generators stand outside of the classes that hold them: with no way back, they end as soon as
# nobody holds the consumer, and not only when the garbage is collected.


class _Guard:
    """Goes away with the generator that holds it, also when an event loop ended before its `finally`."""

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming

    def __del__(self) -> None:
        self._consuming.abandon()


def _messages(link: Link, consuming: Consuming) -> Generator[Message, None, None]:
    guard = _Guard(consuming)  # noqa: F841 - it has to be held, no more
    try:
        while (message := link.do(consuming.next())) is not None:
            yield message
    finally:
        if (error := link.do(consuming.leave())) is not None:
            raise error


async def _amessages(link: Link, consuming: Consuming) -> AsyncGenerator[Message, None]:
    guard = _Guard(consuming)  # noqa: F841 - it has to be held, no more
    try:
        while (message := await link.ado(consuming.next())) is not None:
            yield message
    finally:
        if (error := await link.ado(consuming.leave())) is not None:
            raise error


class Consumer:
    """Messages one after the other. Leaves its queue when the loop ends; used as a context manager, also
    when somebody keeps the iterator.
    """

    def __init__(self, sender: Sender, taking: Taking) -> None:
        consuming = Consuming(sender, heart_of(sender.link), taking, is_async=False)
        self._messages = _messages(sender.link, consuming)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        return next(self._messages)

    def close(self) -> None:
        """Hand back what is held and leave. Raises JobNotSettled about a message without an outcome."""
        self._messages.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except JobNotSettled as unsettled:
            if error is None:
                raise
            error.add_note(str(unsettled))


class AsyncConsumer:
    """Messages one after the other, awaited. Leaves its queue when the loop ends; used as an async context
    manager, also when the loop is left early (without it, as soon as the event loop gets to it, or when
    that ends before, as soon as the thread that keeps its lease does).
    """

    def __init__(self, sender: Sender, taking: Taking) -> None:
        consuming = Consuming(sender, heart_of(sender.link), taking, is_async=True)
        self._messages = _amessages(sender.link, consuming)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await anext(self._messages)

    async def aclose(self) -> None:
        """Hand back what is held and leave. Raises JobNotSettled about a message without an outcome."""
        await self._messages.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except JobNotSettled as unsettled:
            if error is None:
                raise
            error.add_note(str(unsettled))
