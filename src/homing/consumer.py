"""The two faces of a consumer: an iterator, and an async iterator, that give messages."""

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Self

from homing.client import Client
from homing.consuming import Consuming, Taking
from homing.delivery.heart import Heart
from homing.delivery.ticker import Ticker
from homing.errors import JobNotSettled
from homing.link import Link
from homing.message import Message
from homing.sender import Sender


def heart_of(link: Link) -> Heart:
    """The thread of this process that keeps its consumers' leases, with a connection of its own."""
    return link.shared(
        "ticker",
        lambda: Ticker(Client(link.target(), deadline=link.settings.deadline), prefix=link.settings.prefix),
    )


# The generators stand outside of the classes that hold them: with no way back, they end as soon as
# nobody holds the consumer, and not only when the garbage is collected.


def _messages(link: Link, consuming: Consuming) -> Generator[Message, None, None]:
    try:
        while (message := link.do(consuming.next())) is not None:
            yield message
    finally:
        if (error := link.do(consuming.leave())) is not None:
            raise error


async def _amessages(link: Link, consuming: Consuming) -> AsyncGenerator[Message, None]:
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
    manager, also when the loop is left early (without it, as soon as the event loop gets to it).
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
