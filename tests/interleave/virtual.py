"""An event loop whose time passes only when its world says so, and in which a world picks what is next."""

import asyncio
import contextvars
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import homing.consuming
import homing.delivery.heart
import homing.message

#: The process in whose name a task runs.
PROCESS: contextvars.ContextVar[Any] = contextvars.ContextVar("process")


class _Picks(selectors.BaseSelector):
    """In place of waiting for sockets, ask what happens next."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        self._idle = idle
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, number, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._idle(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """`idle(seconds until the next timer, or None)` is called when nothing is ready."""

    def __init__(self, clock: Callable[[], float], idle: Callable[[float | None], None]) -> None:
        super().__init__(_Picks(idle))
        self._clock = clock
        self._clock_resolution = 1e-6
        self.set_task_factory(_enlisted)

    def time(self) -> float:
        return self._clock()


def _enlisted(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """A task that its process knows of, so that it can be killed with it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    process = PROCESS.get(None)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task


@contextmanager
def clocks(now_s: Callable[[], float]) -> Iterator[None]:
    """All clocks of the library's loops show the world's time."""
    shown = SimpleNamespace(
        monotonic=now_s,
        clock_gettime=lambda _: now_s(),
        CLOCK_MONOTONIC=time.CLOCK_MONOTONIC,
        CLOCK_BOOTTIME=time.CLOCK_MONOTONIC,
    )
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            homing.consuming,
            homing.delivery.heart,
            homing.message,
        ):
            patch.setattr(module, "time", shown)
        yield
