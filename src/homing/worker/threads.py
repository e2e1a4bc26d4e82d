"""Threads for sync handlers. A stuck one is left behind: the next job gets a new one."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

Call = Callable[[], object]
Done = Callable[[object, BaseException | None], None]


class Threads:
    """As many threads as calls in flight; an idle one takes the next call before a new one is made.

    Unlike an executor of the standard library it lets the process end although a thread is stuck,
    and hands a StopIteration on like any other exception.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: SimpleQueue[tuple[Call, Done] | None] = SimpleQueue()
        self._ended: deque[tuple[Done, object, BaseException | None]] = deque()
        self._idle = 0
        self._count = 0
        self._closed = False

    def submit(self, call: Call, done: Done) -> None:
        """Run `call` in a thread, then `done` with its value or exception on the loop."""
        self._calls.put((call, done))
        if self._idle > 0:
            self._idle -= 1
            return
        self._count += 1
        threading.Thread(target=self._run, name=f"homing-{self._count}", daemon=True).start()

    def close(self) -> None:
        """End the idle threads; the others end after their call."""
        self._closed = True
        for _ in range(self._count):
            self._calls.put(None)

    def _run(self) -> None:
        while (work := self._calls.get()) is not None:
            call, done = work
            value: object = None
            error: BaseException | None = None
            try:
                value = call()
            except BaseException as caught:  # the border to user code
                error = caught
            self._ended.append((done, value, error))
            del call, done, work, value, error
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:  # the loop is closed: nobody waits for this any more
                return

    def _collect(self) -> None:
        """On the loop: what ended since, in order. One call may find the work of several."""
        while self._ended:
            done, value, error = self._ended.popleft()
            # A thread whose call ended is idle before `done` may submit the next.
            self._idle += 1
            done(value, error)
