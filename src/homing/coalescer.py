"""Calls that arrive in one tick of the event loop, carried in one round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Collects items until the loop's next tick and sends them together.

    `send` answers one value per item, in order; an exception among them is raised to that item's
    caller alone. A caller that is cancelled gives up its answer; what it handed over is sent.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[list[Answer | Exception]]],
        split: Callable[[Iterable[Item]], Iterable[list[Item]]],
    ) -> None:
        self._send = send
        self._split = split
        self._items: list[Item] = []
        self._futures: list[asyncio.Future[Answer]] = []
        self._flights: set[asyncio.Task[None]] = set()

    async def add(self, item: Item) -> Answer:
        loop = asyncio.get_running_loop()
        if not self._items:
            loop.call_soon(self._flush)
        future: asyncio.Future[Answer] = loop.create_future()
        self._items.append(item)
        self._futures.append(future)
        return await future

    def _flush(self) -> None:
        items, futures = self._items, self._futures
        self._items, self._futures = [], []
        start = 0
        for part in self._split(items):
            flight = asyncio.create_task(self._fly(part, futures[start : start + len(part)]))
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
            start += len(part)

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
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
