"""The asyncio half of a worker: claims, runs and settles jobs until it is told to stop.

Stop claiming, drain, settle, hand back, leave, close: in this order, whatever the reason.
"""

import asyncio
import json
import logging
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

from homing import events
from homing.aclient import AsyncClient
from homing.command import Command
from homing.delivery.claimer import BLOCK_MAX_S, Claimer, Post
from homing.delivery.heart import Heart, boot_s
from homing.delivery.lease import Lease
from homing.errors import ServerLoading, ServerReadOnly, ServerUnreachable
from homing.job import Claim
from homing.seal import Seal
from homing.settings import Settings
from homing.target import Target
from homing.worker.alarm import time_limit
from homing.worker.desk import Desk
from homing.worker.executor import Executor
from homing.worker.isolates import Isolates
from homing.worker.leases import Keeper, leave, nothing_left
from homing.worker.sizes import kinds, slots
from homing.worker.table import Entry, Table

#: How often the worker looks after its leases, buffers and time limits.
LOOK_S = 0.25
#: A job that has not started within this time is handed back.
BUFFER_S = 1.0
#: A claim that is given up is off the server within this time: it must not hear the bell for others.
RECALL_S = 0.02
#: After a second stop signal cancelled handlers have this long to end.
LAST_S = 2.0
#: In burst mode a block is this short, and the counts are looked at this often.
BURST_S = 0.1
#: A solo worker that finds no suspect ends after this time.
SOLO_S = 2.0
#: Errors of a start that may pass by themselves.
PASSING = (ServerUnreachable, ServerLoading, ServerReadOnly)


class Ending(StrEnum):
    """Why a worker ended."""

    DRAINED = "drained"  # told to stop: what ran has ended
    INTERRUPTED = "interrupted"  # told to stop now: running jobs went back
    CONDEMNED = "condemned"  # a handler is stuck: this process must end, another takes its place
    DONE = "done"  # burst: nothing is left


class Program(Protocol):
    """An App, as far as a worker uses it."""

    settings: Settings

    @property
    def tasks(self) -> Mapping[str, Any]: ...

    @property
    def queues(self) -> Mapping[str, Any]: ...

    def queue(self, name: str) -> Any: ...

    def target(self) -> Target: ...


class Runner:
    """Works on some queues of an App. `heart` keeps its leases.

    With `solo` it holds one job at a time and ends when no suspect waits any more. With `yields` it
    empties itself when a suspect waits for a worker with nothing else. With `replaces` a stuck thread
    is left behind and its slot used again; without, it costs the process (`Ending.CONDEMNED`), after
    `grace` seconds for the others. `spec` is the `module:attr` that the app was found by.
    """

    def __init__(
        self,
        app: Program,
        *,
        queues: Sequence[str],
        heart: Heart,
        concurrency: int | None = None,
        threads: int | None = None,
        isolates: int | None = None,
        burst: bool = False,
        solo: bool = False,
        yields: bool = False,
        replaces: bool = False,
        grace: float | None = None,
        label: str | None = None,
        spec: str | None = None,
    ) -> None:
        settings = app.settings
        self._app = app
        self._heart = heart
        self.queues = list(queues)
        self._burst = burst
        self._yields = yields
        self._replaces = replaces
        self._grace_s = settings.grace if grace is None else grace
        self._label = label or socket.gethostname()
        sizes = slots(settings, concurrency=concurrency, threads=threads, isolates=isolates, solo=solo)
        self._table = Table(sizes, kinds(app.tasks, self.queues), lambda: self._desk.backlog)
        self._table.solo = solo
        self._desk = Desk(
            app.tasks,
            self._table,
            self._run,
            patience_ms=int(settings.unknown_task_for * 1_000),
            payload_max_bytes=settings.payload_max,
            seal=Seal.of(settings.signing_keys, settings.prefix),
            stuck=self._on_stuck,
            proof=lambda queue: app.queue(queue).sender.proof(),
        )
        self._isolates = Isolates(app, spec)
        self._claimers: list[Claimer] = []
        self._wires: dict[int, AsyncClient] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._stuck: list[Entry] = []
        self._give_up_s: float | None = None  # boot_s() time at which running jobs are given up
        self._ending: Ending | None = None

    @property
    def counts(self) -> Counter[str]:
        """What it did so far: claimed, completed, retried, dead, cancelled, released, refused …"""
        return self._desk.counts

    @property
    def held(self) -> int:
        """Jobs it holds now."""
        return self._table.held

    async def start(self) -> None:
        """Register and begin to claim. Raises what no waiting would mend (WrongEngine, ServerAuth …).

        Raises SettingsError when an isolated task would not be found by its process.
        """
        await self._isolates.begin(self.queues, self._heart.pulse)
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._client = self._connect()
        self._executor = Executor(
            self._table, self._heart, self._desk, self._isolates, lambda: self._watching.cancelling() > 0
        )
        self._keeper = Keeper(self._run, self._executor.dispatch)
        groups = [[queue] for queue in self.queues] if self._app.target().kind == "cluster" else [self.queues]
        for index, group in enumerate(groups):
            self._wires[index] = self._connect()
            posts = [self._post(queue) for queue in group]
            wire = partial(self._wires.__getitem__, index)
            self._claimers.append(Claimer(posts, wire, self._heart, _Intake(self)))
        try:
            await asyncio.gather(*(claimer.register() for claimer in self._claimers))
        except PASSING as error:
            events.emit("start_delayed", level=logging.WARNING, error=error)
        except BaseException:
            await self._leave()
            await self._close()
            raise
        self._executor.pulse()
        for claimer in self._claimers:
            claimer.start()
        self._watching = self._spawn(self._watch())

    async def wait(self) -> Ending:
        """Wait until it has ended, for whatever reason."""
        return await asyncio.shield(self._ended)

    async def drain(self) -> Ending:
        """Take nothing more, hand back what has not started, let the rest end within `grace`, and leave."""
        self._end(Ending.DRAINED, boot_s() + self._grace_s)
        return await self.wait()

    async def interrupt(self) -> Ending:
        """Cancel what runs and hand it back, without charging an attempt, and leave."""
        self._end(Ending.INTERRUPTED)
        return await self.wait()

    def _end(self, ending: Ending, give_up_s: float | None = None) -> None:
        """Begin to end; what is more urgent goes before what was begun."""
        if ending is Ending.INTERRUPTED:
            give_up_s = boot_s()
        if give_up_s is not None:
            self._give_up_s = min(self._give_up_s, give_up_s) if self._give_up_s is not None else give_up_s
        first = self._ending is None
        if first or ending in (Ending.INTERRUPTED, Ending.CONDEMNED):
            self._ending = ending
        if first:
            self._table.closed = True
            # At once: a slot that gets free must not start what stays behind.
            unstarted = self._table.unstarted()
            for entry in unstarted:
                self._desk.hand_back(entry)
            running = len(self._table.running)
            events.emit("leaving", ending=ending, running=running, handed_back=len(unstarted))
            self._spawn(self._shutdown())
        self._table.wake()

    # The way out.

    async def _shutdown(self) -> None:
        try:
            await asyncio.gather(*(claimer.stop() for claimer in self._claimers))
            for entry in self._table.unstarted():
                self._desk.hand_back(entry)
            await self._runs_over()
            await self._settled()
            for entry in self._stuck:
                self._executor.abandon(entry)
                self._desk.raised(entry, time_limit(entry))
            await self._settled()
            self._watching.cancel()
            await self._leave()
        except Exception as error:  # whatever it is, the process must come to its end
            events.emit("shutdown_failed", level=logging.ERROR, error=error)
        finally:
            await self._close()
            if not self._ended.done():
                self._ended.set_result(self._ending or Ending.DRAINED)

    async def _runs_over(self) -> None:
        """Wait for what runs; past the time to give up, cancel it, and hand back what stays."""
        while self._others() and (self._give_up_s is None or boot_s() < self._give_up_s):
            left_s = LOOK_S if self._give_up_s is None else min(LOOK_S, self._give_up_s - boot_s())
            await self._table.changed(max(0.01, left_s))
        if not self._others():
            return
        self._executor.interrupt(self._stuck)
        last_s = boot_s() + LAST_S
        while self._others() and boot_s() < last_s:
            await self._table.changed(0.05)
        for entry in self._others():
            self._executor.abandon(entry)
            self._desk.interrupted(entry)

    def _others(self) -> list[Entry]:
        return [entry for entry in self._table.running.values() if entry not in self._stuck]

    async def _settled(self) -> None:
        """Wait for the server's answers: through an outage, but not past the time to give up."""
        began_s = boot_s()
        draining = asyncio.ensure_future(self._desk.drained())
        while not draining.done():
            last_s = None if self._give_up_s is None else max(began_s, self._give_up_s)
            if last_s is not None and boot_s() > last_s + self._app.settings.deadline:
                events.emit("outcomes_given_up", level=logging.WARNING, outcomes=self._desk.backlog)
                self._desk.abandon()
                draining.cancel()
            await asyncio.wait((draining,), timeout=LOOK_S)

    async def _leave(self) -> None:
        """Give back whatever is still held, uncharged, and be no member any more."""
        for lease in [post.lease for claimer in self._claimers for post in claimer.posts]:
            if lease is not None and not lease.lost:
                await leave(lease, self._run)
                self._heart.leave(lease.queue, lease.worker)

    async def _close(self) -> None:
        self._executor.close()
        for task in list(self._background):
            if task is not asyncio.current_task():
                task.cancel()
        self._keeper.close()
        await self._isolates.close()
        for client in [self._client, *self._wires.values()]:
            await client.aclose()

    # What runs beside the claimers.

    async def _watch(self) -> None:
        started_s = boot_s()
        try:
            while True:
                await asyncio.sleep(BURST_S if self._burst else LOOK_S)
                try:
                    await self._look(started_s)
                except Exception as error:  # a mistake of ours must not stop the watch
                    events.emit("watch_failed", level=logging.ERROR, error=error)
        except asyncio.CancelledError:
            if self._ending is None:  # the program is being cancelled, with all its tasks
                self._end(Ending.INTERRUPTED)
            raise

    async def _look(self, started_s: float) -> None:
        self._executor.pulse()
        self._keeper.doubt(self._table.leases.values())
        self._executor.dispatch()  # what was in doubt may be good again
        if self._ending is not None:
            return
        before_s = boot_s() - BUFFER_S
        await self._hand_back_late(before_s)
        if (suspect := self._table.late_suspect(before_s)) is not None:
            self._desk.hand_back(suspect)
        if self._yields:
            waiting = [queue for queue in self.queues if self._heart.alone(queue) > 0]
            self._table.reserved = waiting[0] if waiting else None
        for index, claimer in enumerate(self._claimers):
            for post in claimer.stuck():
                events.emit("claimer_stuck", level=logging.ERROR, queue=post.queue)
                self._spawn(self._rebuild(index))
        over = self._burst and await self._nothing_left()
        if (over or (self._table.solo and self._no_suspect(started_s))) and self._ending is None:
            self._end(Ending.DONE)

    async def _hand_back_late(self, before_s: float) -> None:
        """Give others what has waited in a buffer since before this time."""
        late = self._table.overdue(before_s)
        recalled = [claimer.recall(entry.lease.queue) for entry in late for claimer in self._claimers]
        if any(recalled):
            await asyncio.sleep(RECALL_S)
        for entry in late:
            self._desk.hand_back(entry)

    async def _rebuild(self, index: int) -> None:
        """Replace a connection that gives nothing although jobs wait."""
        old, self._wires[index] = self._wires[index], self._connect()
        self._claimers[index].unblock()
        await old.aclose()

    async def _nothing_left(self) -> bool:
        leases = list(self._table.leases.values())
        if self._table.held or self._desk.backlog or len(leases) < len(self.queues):
            return False
        return await nothing_left(self._client, leases) and not self._table.held

    def _no_suspect(self, started_s: float) -> bool:
        quiet = not self._table.held and not any(self._heart.alone(queue) for queue in self.queues)
        return quiet and boot_s() - started_s > SOLO_S

    def _on_stuck(self, entry: Entry) -> None:
        """A handler's time is over and nothing here can stop it."""
        events.emit(
            "handler_stuck",
            level=logging.ERROR,
            queue=entry.lease.queue,
            job=entry.job.id,
            task=entry.job.task,
        )
        if self._replaces:
            self._executor.abandon(entry)
            self._desk.raised(entry, time_limit(entry))
        else:
            self._stuck.append(entry)
            self._end(Ending.CONDEMNED, boot_s() + self._grace_s)

    # Connections.

    def _connect(self) -> AsyncClient:
        return AsyncClient(self._app.target(), deadline=self._app.settings.deadline)

    async def _run(self, command: Command[Any]) -> Any:
        return await self._client.run(command)

    def _post(self, queue: str) -> Post:
        info = {
            "label": self._label,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        declared = self._app.queue(queue)
        return Post(
            queue,
            declared.keys,
            lambda: declared.aengine(self._client),
            json.dumps(info).encode(),
            self._label,
            block_max_s=BURST_S if self._burst else BLOCK_MAX_S,
        )

    def _spawn(self, coroutine: Any) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = self._loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


class _Intake:
    """Where the claimers put jobs: the table says how many, the desk takes them, the executor starts them."""

    def __init__(self, runner: Runner) -> None:
        self._table = runner._table
        self._desk = runner._desk
        self._executor = runner._executor
        self.room = self._table.room
        self.changed = self._table.changed
        self.enlisted = self._desk.enlisted

    def accept(self, lease: Lease, claim: Claim) -> None:
        self._desk.accept(lease, claim)
        self._executor.dispatch()
