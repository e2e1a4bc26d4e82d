"""Coroutines of ours that run at once until they first wait: the loop's next pass would be late for some."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    try:
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(answer)
    except StopIteration:
        return


async def _task(coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _rest(coroutine, waits_for)


def begun(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
    """Run it until it first waits; the rest is a task's, None when nothing is left.

    Until then it runs as a part of who calls: it must not ask for its task, nor set a time limit with one
    (`asyncio.timeout`). Only for our own: a handler may do both.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_task(coroutine, waits_for))
