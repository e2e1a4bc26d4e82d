"""Threads for sync handlers. A stuck one is left behind: the next job gets a new one."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable

Call = Callable[[], object]
Done = Callable[[object, BaseException | None], None]


class Threads:
    """As many threads as calls in flight; one that is idle takes the next call before a new one is made.

    One thread is woken at a time, and wakes the next when it has taken a call and more wait. So short calls are
    mostly run by one thread, one after the other, and the interpreter changes threads once for many of them; where
    one waits for something, the thread that is on its way takes the next.

    Unlike an executor of the standard library it lets the process end although a thread is stuck,
    and hands a StopIteration on like any other exception.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, freed: Callable[[], object]) -> None:
        self._loop = loop
        self._freed = freed
        self._in_flight = 0
        self._count = 0
        self._calls: deque[tuple[Call, Done]] = deque()
        self._ended: deque[tuple[Done, object, BaseException | None]] = deque()
        #: What idle threads wait for; the last one is the first to go on.
        self._parked: list[threading.Lock] = []
        self._coming = False  # a thread was woken, and has not come for a call yet
        self._told = False  # the loop is about to look at what ended
        self._closed = False

    def submit(self, call: Call, done: Done) -> None:
        """Run `call` in a thread, then `done` with its value or exception on the loop."""
        self._calls.append((call, done))
        self._in_flight += 1
        if self._in_flight > self._count:
            self._count += 1
            threading.Thread(target=self._run, name=f"homing-{self._count}", daemon=True).start()
        elif not self._coming:
            self._wake()

    def close(self) -> None:
        """End the idle threads; the others end after their call."""
        self._closed = True
        while self._parked:
            self._wake()

    def _wake(self) -> None:
        try:
            bell = self._parked.pop()
        except IndexError:
            return  # whoever is about to park looks at the calls once more
        self._coming = True
        bell.release()

    def _park(self, bell: threading.Lock) -> None:
        self._parked.append(bell)
        if self._calls or self._closed:
            self._wake()
        bell.acquire()
        self._coming = False

    def _run(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        calls = self._calls
        while True:
            try:
                call, done = calls.popleft()
            except IndexError:
                if self._closed:
                    return
                self._park(bell)
                continue
            if calls and not self._coming:
                self._wake()
            value: object = None
            error: BaseException | None = None
            try:
                value = call()
            except BaseException as caught:  # the border to user code
                error = caught
            self._ended.append((done, value, error))
            del call, done, value, error
            if not self._told:
                self._told = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:  # the loop is closed: nobody waits for this any more
                    return

    def _collect(self) -> None:
        """On the loop: what ended since, in order. One call may find the work of several."""
        self._told = False
        try:
            while self._ended:
                done, value, error = self._ended.popleft()
                self._in_flight -= 1  # its thread is free before `done` may submit the next
                done(value, error)
        finally:
            if self._ended:  # one `done` failed, and the others are not to wait for the next end
                self._loop.call_soon(self._collect)
            self._freed()
