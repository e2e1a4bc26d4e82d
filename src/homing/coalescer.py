"""Calls that arrive in one tick of the event loop, carried in one round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from homing.eager import begun

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Collects items until the loop's next tick and sends them together, in their order.

    `send` answers one value per item, in order; an exception among them is raised to that item's
    caller alone. A caller that is cancelled gives up its answer; what it handed over is sent. With `ahead`
    an item goes at once when those before it came alone and have their answers: others may overtake it.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[list[Answer | Exception]]],
        split: Callable[[Iterable[Item]], Iterable[list[Item]]],
        *,
        ahead: bool = False,
    ) -> None:
        self._send = send
        self._split = split
        self._items: list[Item] = []
        self._futures: list[asyncio.Future[Answer]] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._ahead = ahead
        self._alone = False  # the last items that were collected were one
        self._in_air = 0  # flights without an answer

    async def add(self, item: Item) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if self._alone and not self._in_air and not self._items:
            self._begin([item], [future])
            return await future
        if not self._items:
            loop.call_soon(self._flush)
        self._items.append(item)
        self._futures.append(future)
        return await future

    def _flush(self) -> None:
        items, futures = self._items, self._futures
        self._items, self._futures = [], []
        self._alone = self._ahead and len(items) == 1
        start = 0
        for part in self._split(items):
            self._begin(part, futures[start : start + len(part)])
            start += len(part)

    def _begin(self, items: list[Item], futures: list[asyncio.Future[Answer]]) -> None:
        self._in_air += 1
        flight = begun(self._fly(items, futures))
        if flight is not None:
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)

    async def _fly(self, items: list[Item], futures: list[asyncio.Future[Answer]]) -> None:
        answers: list[Answer | Exception]
        try:
            answers = await self._send(items)
        except Exception as error:
            answers = [error] * len(items)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        finally:
            self._in_air -= 1
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
