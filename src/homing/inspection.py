"""Looking at a queue and putting it in order: what CLI, dashboard and tests ask, sync and async."""

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from homing import audit, limits
from homing.audit import Repaired
from homing.engines.engine import BATCH_MAX, Engine
from homing.handle import not_found
from homing.job import Counts, JobRecord, Page, State, WorkerRecord
from homing.keys import check_id
from homing.sender import Sender
from homing.steps import Steps, run

if TYPE_CHECKING:
    from homing.aclient import AsyncClient
    from homing.client import Client

#: The states `purge` takes.
PURGED = (State.WAITING, State.SCHEDULED, State.DEAD)


class Inspection:
    """The verbs of a queue that move no new work. Each asks the server anew."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.keys = sender.keys
        self.name = sender.name

    def engine(self, client: "Client") -> Engine:
        """The queue's engine, the queue being opened for it. Raises WrongEngine or NewerData."""
        from homing.steps import drive

        return drive(client, self.sender.opened())

    async def aengine(self, aclient: "AsyncClient") -> Engine:
        from homing.steps import adrive

        return await adrive(aclient, self.sender.opened())

    def counts(self) -> Counts:
        """How many jobs are where."""
        return self.sender.link.do(self._counts())

    async def acounts(self) -> Counts:
        return await self.sender.link.ado(self._counts())

    def peek(self, state: State | str = State.WAITING, *, cursor: str = "", limit: int = 50) -> Page:
        """A page of at most `limit` jobs in a state; go on with the page's cursor until it is empty.

        They come in their order, completed and cancelled ones in none; of these little more is kept than when they ended.
        """
        return self.sender.link.do(self._peek(limits.state(state), cursor, limit))

    async def apeek(self, state: State | str = State.WAITING, *, cursor: str = "", limit: int = 50) -> Page:
        return await self.sender.link.ado(self._peek(limits.state(state), cursor, limit))

    def pause(self) -> None:
        """Hand out no more jobs until `resume`; what runs goes on, and jobs may still be put in."""
        self.sender.link.do(self._pause())

    async def apause(self) -> None:
        await self.sender.link.ado(self._pause())

    def resume(self) -> None:
        self.sender.link.do(self._resume())

    async def aresume(self) -> None:
        await self.sender.link.ado(self._resume())

    def purge(self, state: State | str = State.WAITING) -> int:
        """Delete all jobs that are waiting, scheduled or dead; returns how many."""
        return self.sender.link.do(self._purge(limits.state(state, PURGED)))

    async def apurge(self, state: State | str = State.WAITING) -> int:
        return await self.sender.link.ado(self._purge(limits.state(state, PURGED)))

    def replay(self, ids: Iterable[str] | None = None) -> list[str]:
        """Run dead jobs again, as if new: these, or all. Returns the ids that were dead."""
        return self.sender.link.do(self._replay(ids))

    async def areplay(self, ids: Iterable[str] | None = None) -> list[str]:
        return await self.sender.link.ado(self._replay(ids))

    def remove(self, id: str) -> bool:
        """Delete a job with all traces; False when it is active. Raises JobNotFound."""
        return self.sender.link.do(self._remove(check_id(id)))

    async def aremove(self, id: str) -> bool:
        return await self.sender.link.ado(self._remove(check_id(id)))

    def cancel(self, id: str) -> bool:
        """End a job as cancelled; False when it had started or ended. Raises JobNotFound."""
        return self.sender.link.do(self._cancel(check_id(id)))

    async def acancel(self, id: str) -> bool:
        return await self.sender.link.ado(self._cancel(check_id(id)))

    def dead(self, limit: int = 100) -> list[JobRecord]:
        """The dead letters, oldest first, at most `limit`."""
        return self.sender.link.do(self._dead(limit))

    async def adead(self, limit: int = 100) -> list[JobRecord]:
        return await self.sender.link.ado(self._dead(limit))

    def workers(self) -> list[WorkerRecord]:
        """Who works on this queue now."""
        return self.sender.link.do(self._workers())

    async def aworkers(self) -> list[WorkerRecord]:
        return await self.sender.link.ado(self._workers())

    def statistics(self, minute: int | None = None) -> Mapping[str, int]:
        """The counters of one minute (server time in ms // 60,000), by default of the last whole one."""
        return self.sender.link.do(self._statistics(minute))

    async def astatistics(self, minute: int | None = None) -> Mapping[str, int]:
        return await self.sender.link.ado(self._statistics(minute))

    def verify(self, *, rate: float | None = None, payloads: bool = False) -> list[str]:
        """Prove that every job is in exactly one place and all counts add up; returns what is wrong.

        May run on a live queue: what is wrong is looked at twice. Looks at every job and at all keys of
        the server, at most `rate` a second; with `payloads` compares each payload with its checksum.
        """
        return self.sender.link.do(self._verify(rate, payloads))

    async def averify(self, *, rate: float | None = None, payloads: bool = False) -> list[str]:
        return await self.sender.link.ado(self._verify(rate, payloads))

    def repair(self, *, dry_run: bool = False) -> Repaired:
        """Mend what `verify` finds, on a live queue too; no job that has a body is deleted.

        Returns what was mended (with `dry_run`: would be), and what was left as it is, as sentences.
        """
        return self.sender.link.do(self._repair(dry_run))

    async def arepair(self, *, dry_run: bool = False) -> Repaired:
        return await self.sender.link.ado(self._repair(dry_run))

    def _counts(self) -> Steps[Counts]:
        engine = yield from self.sender.looked()
        return (yield from run(engine.counts()))

    def _peek(self, state: State, cursor: str, limit: int) -> Steps[Page]:
        engine = yield from self.sender.looked()
        limit = limits.whole(limit, "limit", minimum=1, maximum=BATCH_MAX)
        return (yield from run(engine.peek(state, cursor=cursor, limit=limit)))

    def _pause(self) -> Steps[None]:
        engine = yield from self.sender.opened()
        yield from run(engine.pause())

    def _resume(self) -> Steps[None]:
        engine = yield from self.sender.opened()
        yield from run(engine.resume())

    def _purge(self, state: State) -> Steps[int]:
        engine = yield from self.sender.looked()
        done = 0
        while (some := (yield from run(engine.purge(state)))) > 0:
            done += some
        return done

    def _replay(self, ids: Iterable[str] | None) -> Steps[list[str]]:
        if ids is not None:
            limits.many(ids, "ids", "job ids")
        engine = yield from self.sender.looked()
        if ids is None:
            every = [record.id for record in (yield from self._dead(None))]
        else:
            every = [check_id(each) for each in ids]
        done: list[str] = []
        for start in range(0, len(every), BATCH_MAX):
            done += yield from run(engine.replay(every[start : start + BATCH_MAX]))
        return done

    def _remove(self, job_id: str) -> Steps[bool]:
        engine = yield from self.sender.looked()
        state = yield from run(engine.remove(job_id))
        if state is None:
            raise not_found(f"{self.name}/{job_id}")
        return state is not State.ACTIVE

    def _cancel(self, job_id: str) -> Steps[bool]:
        engine = yield from self.sender.looked()
        state = yield from run(engine.cancel(job_id))
        if state is None:
            raise not_found(f"{self.name}/{job_id}")
        return state in (State.WAITING, State.SCHEDULED)

    def _dead(self, limit: int | None) -> Steps[list[JobRecord]]:
        if limit is not None:
            limits.whole(limit, "limit", minimum=1, maximum=1 << 53)
        engine = yield from self.sender.looked()
        found: list[JobRecord] = []
        cursor = ""
        while limit is None or len(found) < limit:
            size = BATCH_MAX if limit is None else min(limit - len(found), BATCH_MAX)
            page = yield from run(engine.peek(State.DEAD, cursor=cursor, limit=size))
            found += page.jobs
            cursor = page.cursor
            if not cursor:
                break
        return found

    def _workers(self) -> Steps[list[WorkerRecord]]:
        engine = yield from self.sender.looked()
        return (yield from run(engine.workers()))

    def _statistics(self, minute: int | None) -> Steps[Mapping[str, int]]:
        engine = yield from self.sender.looked()
        return (yield from run(engine.statistics(int(time.time() // 60) - 1 if minute is None else minute)))

    def _verify(self, rate: float | None, payloads: bool) -> Steps[list[str]]:
        engine = yield from self.sender.looked()
        return [problem.says for problem in (yield from audit.verify(engine, rate=rate, payloads=payloads))]

    def _repair(self, dry_run: bool) -> Steps[Repaired]:
        engine = yield from self.sender.looked()
        return (yield from audit.repair(engine, dry=dry_run))
