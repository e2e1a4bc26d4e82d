"""Running a coroutine step by step in a context of its own, inside a task that runs many.

A task per job costs more than a short job: here the jobs of one slot share a task, and what one of
them sets in its context stays its own.
"""

import inspect
import types
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextvars import Context
from typing import Any

from homing.current import CURRENT, Delivery

Coro = Coroutine[Any, Any, Any]


def begin(
    delivery: Delivery, function: Callable[..., Coro], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Coro | None, Any]:
    """Inside the job's context: call the function, and run it until it first waits.

    Returns its coroutine and what that waits for; None and its result when it never waited.
    """
    CURRENT.set(delivery)
    coroutine = function(*args, **kwargs)
    try:
        return coroutine, coroutine.send(None)
    except StopIteration as end:
        # An async function cannot let a StopIteration of its own out: this is its return.
        return None, end.value


@types.coroutine
def rest_of(context: Context, coroutine: Coro, waits_for: Any) -> Generator[Any, Any, Any]:
    """Await a coroutine that has begun, with this context around each of its steps."""
    step, send, throw = context.run, coroutine.send, coroutine.throw
    try:
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:
                waits_for = step(throw, error)
            else:
                waits_for = step(send, answer)
    except StopIteration as end:
        return end.value


async def within(context: Context, coroutine: Coro) -> Any:
    """Await a coroutine that has not begun, with this context around each of its steps."""
    try:
        waits_for = context.run(coroutine.send, None)
    except StopIteration as end:
        return end.value
    return await rest_of(context, coroutine, waits_for)


def refuse_generator(value: object) -> None:
    """A generator as a result means that the body never ran: TypeError says so."""
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        if inspect.isgenerator(value):
            value.close()
        raise TypeError(
            f"the handler returned a {type(value).__name__}, whose body never ran: "
            "return a list, or enqueue one job for each"
        )
