"""The two faces of a consumer: an iterator, and an async iterator, that give messages."""

from collections.abc import AsyncIterator, Iterator
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


class Consumer:
    """Messages one after the other. Leaves its queue when the loop ends; used as a context manager, also
    when somebody keeps the iterator.
    """

    def __init__(self, sender: Sender, taking: Taking) -> None:
        self._link = sender.link
        self._consuming = Consuming(sender, heart_of(sender.link), taking, is_async=False)
        self._messages = self._walk()

    def _walk(self) -> Iterator[Message]:
        try:
            while (message := self._link.do(self._consuming.next())) is not None:
                yield message
        finally:
            if (error := self._link.do(self._consuming.leave())) is not None:
                raise error

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        return next(self._messages)

    def close(self) -> None:
        """Hand back what is held and leave. Raises JobNotSettled about a message without an outcome."""
        self._messages.close()  # type: ignore[attr-defined]

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
        self._link = sender.link
        self._consuming = Consuming(sender, heart_of(sender.link), taking, is_async=True)
        self._messages = self._walk()

    async def _walk(self) -> AsyncIterator[Message]:
        try:
            while (message := await self._link.ado(self._consuming.next())) is not None:
                yield message
        finally:
            if (error := await self._link.ado(self._consuming.leave())) is not None:
                raise error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await anext(self._messages)

    async def aclose(self) -> None:
        """Hand back what is held and leave. Raises JobNotSettled about a message without an outcome."""
        await self._messages.aclose()  # type: ignore[attr-defined]

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
