"""Running a coroutine step by step in a context of its own, inside a task that runs many."""

import inspect
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any


@types.coroutine
def within(
    context: Context, coroutine: Coroutine[Any, Any, Any], waits: Callable[[], object]
) -> Generator[Any, Any, Any]:
    """Await the coroutine with this context around each of its steps; `waits` is called when it first waits.

    A task per job costs more than a short job: here the jobs of one slot share a task, and what
    one of them sets in its context stays its own.
    """
    step, send, throw = context.run, coroutine.send, coroutine.throw
    try:
        waits_for = step(send, None)
        waits()
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:
                waits_for = step(throw, error)
            else:
                waits_for = step(send, answer)
    except StopIteration as end:
        # An async function cannot let a StopIteration of its own out: this is its return.
        return end.value


def refuse_generator(value: object) -> None:
    """A generator as a result means that the body never ran: TypeError says so."""
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        if inspect.isgenerator(value):
            value.close()
        raise TypeError(
            f"the handler returned a {type(value).__name__}, whose body never ran: "
            "return a list, or enqueue one job for each"
        )
