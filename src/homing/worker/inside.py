"""A worker inside a program: `async with app.worker() as worker: await worker.join()`."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from homing import limits
from homing.client import Client
from homing.delivery.ticker import Ticker
from homing.errors import SettingsError, WrongKind
from homing.keys import check_queue
from homing.worker import fit
from homing.worker.runner import Ending, Program, Runner
from homing.worker.sizes import queues_of


class InsideWorker:
    """Works in the running event loop; a thread with a connection of its own keeps its leases.

    `queues`: those of the app's tasks, without it. `concurrency` counts async jobs, `threads` sync
    ones, `isolates` processes of isolated tasks. With `burst` it ends when nothing is left. Leaving
    the `async with` drains it: what runs may end within `grace` seconds, then it is handed back.
    A handler that holds the GIL for longer than the lease loses it: such tasks belong in a process
    of their own, or under the worker command.
    """

    def __init__(
        self,
        app: Program,
        *,
        queues: Sequence[str] | str | None = None,
        concurrency: int | None = None,
        threads: int | None = None,
        isolates: int | None = None,
        burst: bool = False,
        grace: float | None = None,
        label: str | None = None,
    ) -> None:
        self._app = app
        self._queues = _queues(app, queues)
        self._options: dict[str, Any] = {
            "concurrency": _count(concurrency, "concurrency"),
            "threads": _count(threads, "threads", 1_000),
            "isolates": _count(isolates, "isolates", 1_000),
            "burst": burst,
            "grace": None if grace is None else limits.seconds(grace, "grace"),
            "label": _label(label),
        }
        self._runner: Runner | None = None
        self._ticker: Ticker | None = None

    @property
    def counts(self) -> Counter[str]:
        """What it did so far: claimed, completed, retried, dead, cancelled, released …"""
        return Counter() if self._runner is None else self._runner.counts

    @property
    def held(self) -> int:
        """Jobs it holds now: waiting for a slot, running, or on their way to be settled."""
        return 0 if self._runner is None else self._runner.held

    async def start(self) -> None:
        """Register and begin. Raises WrongEngine, ServerAuth and the like; an outage is waited out.

        Raises ServerUnfit when a full server would delete jobs, and SettingsError naming a task with
        `isolation="process"` that a process of its own does not find.
        """
        if self._runner is not None:
            raise RuntimeError("this worker was started before: make a new one with app.worker()")
        settings = self._app.settings
        client = Client(self._app.target(), deadline=settings.deadline)
        try:
            await asyncio.to_thread(fit.check, client, settings)
        except BaseException:
            client.close()
            raise
        self._ticker = ticker = Ticker(client, prefix=settings.prefix)
        self._runner = Runner(
            self._app, queues=self._queues, heart=ticker, yields=True, replaces=True, **self._options
        )
        try:
            await self._runner.start()
        except BaseException:
            ticker.close()
            raise

    async def join(self) -> Ending:
        """Wait until it has ended: by burst, or because somebody called `stop` or `interrupt`."""
        return await self._started().wait()

    async def run(self) -> Ending:
        """Start, work until it has ended, and leave; cancelled, it hands back what runs."""
        async with self:
            return await self.join()

    async def stop(self) -> Ending:
        """Take nothing more, let what runs end, and leave."""
        return await self._started().drain()

    async def interrupt(self) -> Ending:
        """Cancel what runs and hand it back, without charging an attempt, and leave."""
        return await self._started().interrupt()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or isinstance(error, Exception):
                await self.stop()
            else:  # cancelled, or the program ends: nobody waits for handlers any more
                await self.interrupt()
        finally:
            if self._ticker is not None:  # waits for its thread, which may wait for the server
                await asyncio.to_thread(self._ticker.close)

    def _started(self) -> Runner:
        if self._runner is None:
            raise RuntimeError("this worker was not started: use `async with app.worker() as worker`")
        return self._runner


def _count(value: int | None, name: str, maximum: int = 10_000) -> int | None:
    return None if value is None else limits.whole(value, name, minimum=1, maximum=maximum)


def _label(label: object) -> str | None:
    if label is not None and not isinstance(label, str):
        raise WrongKind(f"label must be a text, not {type(label).__name__} {label!r:.200}")
    return label


def _queues(app: Program, queues: Sequence[str] | str | None) -> list[str]:
    if isinstance(queues, str):
        queues = [queues]
    if queues is not None:
        limits.many(queues, "queues", "queue names")
    chosen = list(dict.fromkeys(map(check_queue, queues_of(app.tasks) if queues is None else queues)))
    if not chosen:
        raise SettingsError("there is no queue to work on: declare a task, or name queues=[...]")
    return chosen
