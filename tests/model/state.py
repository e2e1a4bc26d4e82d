"""One queue as plain Python values: what each verb of an engine changes, and what it answers.

No I/O and no clock: each verb takes `now_ms`. It answers with the values of `homing.job`, or raises
what an engine raises. Where engines may differ they differ in their `Room`.
"""

from collections.abc import Mapping, Sequence

from homing.checksum import checksum
from homing.errors import ClaimRefused, LeaseLost, QueueFull
from homing.job import (
    Ack,
    Again,
    Cancelled,
    Claim,
    Claimed,
    Dead,
    Enqueued,
    HandBack,
    JobRecord,
    NewJob,
    Reclaimed,
    Registered,
    Settled,
    Settlement,
    State,
    Ticked,
)
from tests.model.ends import FOREVER, Marks
from tests.model.rooms import Job
from tests.model.stored import Stored

LANES_MS, SLOW_MS = 900_000, 10_000
PROMOTE_MIN = 100
PRUNE_MAX = 100
NAMES = {Ack: "acked", Again: "retried", Dead: "buried", HandBack: "released", Cancelled: "cancelled"}


class Model(Stored):
    """One queue: its verbs."""

    def open(self, settings: Mapping[str, int]) -> None:
        self.beside.settings.update(settings)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused, self.bell = False, True

    def enqueue(self, jobs: Sequence[NewJob], lane: str, number: int, now_ms: int) -> list[Enqueued]:
        last, taken_then = self.lanes.get(lane) or self.lanes_old.get(lane) or (0, set())
        if last >= number:
            self.lanes[lane] = (last, taken_then)
            return [Enqueued.EXISTS if i in taken_then else Enqueued.STORED for i in range(len(jobs))]
        soonest, now = self._due_in(0), now_ms
        ids = self.beside.ids
        own: set[str] = set()
        answer: list[Enqueued] = []
        for job in jobs:
            taken = job.own_id and (job.id in own or ids.get(job.id, 0) > now or job.id in self.jobs)
            answer.append(Enqueued.EXISTS if taken else Enqueued.STORED)
            own |= {job.id} if job.own_id and not taken else set()
        if own and len(ids) + len(own) > self.beside.settings["ids_max"]:
            self.beside.free_ids(now)
            if len(ids) + len(own) > self.beside.settings["ids_max"]:
                raise QueueFull("ids_max")
        stored = [job for job, became in zip(jobs, answer, strict=True) if became is Enqueued.STORED]
        for one in stored:
            new = self.jobs[one.id] = Job(one.id, one.task, one.payload, None, one.meta, one.priority)
            if one.delay_ms > 0:
                new.state, new.due_ms = State.SCHEDULED, now + one.delay_ms
                self.bell |= soonest is None or new.due_ms < soonest
            else:
                self._waits(new)
                self.room.arrive(new)
                self.bell = True
            if one.reply:
                self.beside.waiters[one.id] = [one.reply]
            if one.own_id:
                ids[one.id] = FOREVER
        self._know({job.priority for job in jobs})
        self._rotate(now)
        self.lanes[lane] = (number, {i for i, became in enumerate(answer) if became is Enqueued.EXISTS})
        self.beside.count(now, enqueued=len(stored))
        return answer

    def foreign(self, job: Job) -> None:
        """Another program adds a job: no bell, no counter, no priority announced."""
        self._waits(job)
        self.jobs[job.id] = job
        self.room.arrive(job)

    def register(self, worker: str, settings: Mapping[str, int], now_ms: int) -> Registered:
        copy = self.members.is_one(worker) or worker in self.lanes or worker in self.lanes_old
        if not copy:
            self.beside.settings.update(settings)
            self.members.advance(now_ms)
            self.members.add(worker)
            self.lanes[worker] = (1, set())
        return Registered(self.beside.settings["lease_ms"], now_ms, self.paused)

    def _refuse(self, worker: str, number: int | None = None) -> None:
        if not self.members.is_one(worker):
            raise LeaseLost(worker)
        if number is not None:
            if number <= self.members.number[worker]:
                raise ClaimRefused(worker)
            self.members.number[worker] = number

    def claim(self, worker: str, limit: int, number: int, now_ms: int) -> Claim:
        self._refuse(worker, number)
        self.members.advance(now_ms)
        if self.paused:
            return Claim([], now_ms, self._due_in(now_ms), paused=True)
        _, more = self._promote(now_ms, max(limit, PROMOTE_MIN))
        held, alone = self.members.held[worker], self.members.alone
        if worker in alone:
            if held:
                limit = 0
            else:
                del alone[worker]
        taken = self.room.take(limit, self.priorities, idle=not held, suspect=self.beside.suspect)
        for job in taken.jobs:
            job.state, job.worker = State.ACTIVE, worker
            held.append(job)
        if taken.alone:
            alone[worker] = taken.jobs[0].id
        if taken.put_apart or (taken.jobs and (taken.alone or len(taken.jobs) == limit)):
            apart = 0 if taken.alone or taken.put_apart else self.room.apart(self.priorities)
            more = more or len(self.room.order(self.priorities)) > apart
            self.bell |= more
        return self._handed(taken.jobs, now_ms, alone=taken.alone, more=more and not taken.alone)

    def _handed(self, jobs: list[Job], now_ms: int, *, alone: bool, more: bool = False) -> Claim:
        if jobs:
            self.token = max(self.token + 1, now_ms * 1000)
        found = [
            Claimed(
                job.id,
                str(job.serial).encode(),
                job.task,
                job.payload,
                job.attempt,
                job.meta,
                0,
                self.token,
                alone,
                job.fields,
                checksum(job.task, job.payload) if job.fields is None else b"",
            )
            for job in jobs
        ]
        return Claim(found, now_ms, self._due_in(now_ms), self.paused, more)

    def held(self, worker: str, known: Sequence[str], number: int, now_ms: int) -> Claim:
        self._refuse(worker, number)
        jobs = [job for job in self.holding(worker) if job.id not in known]
        return self._handed(jobs, now_ms, alone=worker in self.members.alone)

    def settle(
        self, worker: str, settlements: Sequence[Settlement], number: int, now_ms: int, *, lean: bool
    ) -> Settled:
        self._refuse(worker)
        if number:
            if number <= self.members.settled.get(worker, 0):
                return Settled(0, [], repeated=True)
            self.members.settled[worker] = number
        soonest = self._due_in(0)
        done: list[tuple[Settlement, Job]] = []
        refused: list[str] = []
        for one in settlements:
            job = self.jobs.get(one.id)
            mine = job is not None and job in self.members.held[worker]
            if job is None or not mine or (self.room.strict_refs and one.ref != str(job.serial).encode()):
                refused.append(one.id)
                continue
            self.members.held[worker].remove(job)
            done.append((one, job))
            if not lean:
                self._count_run(one, now_ms)
        ends = [end for one, job in done if (end := self._decide(one, job, soonest, now_ms)) is not None]
        back = [job for one, job in done if isinstance(one.decision, HandBack)]
        self._back(back)
        self.beside.finish(ends, now_ms, lean=lean)
        self.refused += len(refused)
        if not lean:
            self.beside.count(now_ms, refused=len(refused))
        return Settled(len(done), refused)

    def _count_run(self, one: Settlement, now_ms: int) -> None:
        self.beside.count(now_ms, **{NAMES[type(one.decision)]: 1})
        if not isinstance(one.decision, HandBack):
            for name, ms in (("wait", one.wait_ms), ("run", one.run_ms)):
                self.beside.count(now_ms, **{f"{name}:{(ms + 1).bit_length() - 1}": 1})

    def _decide(
        self, one: Settlement, job: Job, soonest: int | None, now_ms: int
    ) -> tuple[str, State, bytes] | None:
        match one.decision:
            case Ack(result):
                del self.jobs[job.id]
                return job.id, State.COMPLETED, result
            case Cancelled(reason):
                del self.jobs[job.id]
                return job.id, State.CANCELLED, reason.encode()
            case Again(delay_ms, attempt, meta):
                job.state, job.worker, job.due_ms = State.SCHEDULED, "", now_ms + delay_ms
                job.attempt, job.meta = attempt, meta or job.meta
                self.bell |= soonest is None or job.due_ms < soonest
            case Dead(error, attempt):
                job.attempt = attempt
                self._bury(job, error, now_ms)
            case HandBack():
                pass
        return None

    def _back(self, jobs: list[Job]) -> None:
        for job in jobs:
            job.state, job.worker = State.WAITING, ""
        self.room.back(jobs, self.beside.suspect)
        self.bell |= bool(jobs)

    def _bury(self, job: Job, error: bytes, now_ms: int) -> None:
        job.state, job.worker, job.due_ms = State.DEAD, "", None
        job.dead_ms, job.error = now_ms, error
        self.beside.reply(job.id, "dead", error)
        over = len(dead := self.dead()) - self.beside.settings["dead_max"]
        for old in dead[: min(max(over, 0), 2)]:
            self._forget_dead(old, now_ms)

    def _forget_dead(self, job: Job, now_ms: int) -> None:
        del self.jobs[job.id]
        self.beside.release(job.id, now_ms + self.beside.settings["id_ttl_ms"])

    def _promote(self, now_ms: int, limit: int) -> tuple[int, bool]:
        due = [job for job in self.scheduled() if (job.due_ms or 0) <= now_ms]
        for job in due[:limit]:
            self._waits(job)
            self.room.due(job, suspect=self.beside.suspect(job.id))
        return len(due[:limit]), len(due) > limit

    def tick(self, workers: Sequence[str], now_ms: int) -> Ticked:
        self.members.advance(now_ms)
        lost, lapsed = self.members.keep(workers)
        promoted, more = self._promote(now_ms, 1000)
        self.bell |= promoted > 0
        more |= self._prune(now_ms)
        self._rotate(now_ms)
        if abs(now_ms - self.slow_ms) >= SLOW_MS:
            self._know(self.room.found())
            self.slow_ms = now_ms
        waiting = 0 if self.paused else len(self.room.order(self.priorities))
        alone = 0 if self.paused else self.room.apart(self.priorities)
        return Ticked(now_ms, lost, lapsed, promoted, more, self._due_in(now_ms), waiting, alone)

    def _prune(self, now_ms: int) -> bool:
        settings, dead = self.beside.settings, self.dead()
        old = [job for job in dead if (job.dead_ms or 0) <= now_ms - settings["dead_ttl_ms"]][:PRUNE_MAX]
        over = max(len(dead) - len(old) - settings["dead_max"], 0)
        old += dead[len(old) : len(old) + min(over, PRUNE_MAX)]
        for job in old:
            self._forget_dead(job, now_ms)
        self.beside.free_ids(now_ms)
        return len(old) >= PRUNE_MAX

    def _rotate(self, now_ms: int) -> None:
        age_ms = None if self.lanes_ms is None else now_ms - self.lanes_ms
        if age_ms is not None and 0 <= age_ms < LANES_MS:
            return
        if age_ms is not None and age_ms >= LANES_MS:
            self.lanes, self.lanes_old = {}, self.lanes
        self.lanes_ms = now_ms

    def reclaim(
        self, worker: str, reason: str, started: Sequence[str], error: bytes, now_ms: int
    ) -> Reclaimed:
        if worker not in self.members.expiry:
            return Reclaimed(0, 0, more=False)
        self.members.advance(now_ms)
        if reason == "lapsed" and self.members.expiry[worker] >= self.members.clock_ms:
            return Reclaimed(0, 0, more=False, alive=True)
        held, buried = self.members.held[worker], 0
        for job in self.room.reclaimed(held, self.priorities):
            if reason != "left" and (reason == "lapsed" or job.id in started):
                self.beside.mark(job.id, seen=reason == "died")
            if self.beside.marks.get(job.id, Marks()).condemned(self.beside.settings["crash_max"]):
                self._bury(job, error, now_ms)
                buried += 1
        back = [job for job in held if job.state is State.ACTIVE]
        self._back(back)
        self.members.remove(worker)
        self.beside.count(now_ms, reclaimed=len(back), buried=buried)
        return Reclaimed(len(back), buried, more=False)

    def acquit(self, ids: Sequence[str]) -> int:
        taken = [job_id for job_id in ids if self.beside.acquit(job_id)]
        for job_id in taken:
            job = self.jobs.get(job_id)
            if job is not None and job.state is State.WAITING and not self.beside.suspect(job_id):
                self.bell |= self.room.free(job)
        return len(taken)

    def cancel(self, job_id: str, now_ms: int) -> State | None:
        job = self.jobs.get(job_id)
        if job is None:
            ended = self.beside.ended(job_id)
            return None if ended is None else ended.state
        state = job.state
        if state in {State.WAITING, State.SCHEDULED}:
            self._drop(job)
            self.beside.finish([(job_id, State.CANCELLED, b"")], now_ms, lean=False)
            self.beside.count(now_ms, cancelled=1)
        return state

    def _drop(self, job: Job) -> None:
        if job.state is State.WAITING:
            self.room.drop(job)
        del self.jobs[job.id]

    def remove(self, job_id: str) -> State | None:
        job, ended = self.jobs.get(job_id), self.beside.ended(job_id)
        if job is None and ended is None:
            return None
        if job is not None:
            if job.state is State.ACTIVE:
                return State.ACTIVE
            self._drop(job)
        self.beside.forget(job_id)
        self.beside.reply(job_id, "cancelled", b"")
        return (job or ended).state  # type: ignore[union-attr]

    def replay(self, ids: Sequence[str], now_ms: int) -> list[str]:
        replayed = []
        for job_id in ids:
            job = self.jobs.get(job_id)
            if job is None or job.state is not State.DEAD:
                continue
            job.attempt, job.error, job.dead_ms = 0, b"", None
            self.beside.marks.pop(job_id, None)
            self._waits(job)
            self.room.arrive(job)
            replayed.append(job_id)
        self.beside.count(now_ms, replayed=len(replayed))
        self.bell |= bool(replayed)
        return replayed

    def purge(self, state: State, limit: int, now_ms: int) -> int:
        if state is State.DEAD:
            for job in (dead := self.dead()[:limit]):
                self._forget_dead(job, now_ms)
            return len(dead)
        jobs = self.scheduled() if state is State.SCHEDULED else self.room.order(self.priorities)
        for job in jobs[:limit]:
            self._drop(job)
            self.beside.reply(job.id, "cancelled", b"")
            self.beside.release(job.id, now_ms + self.beside.settings["id_ttl_ms"])
        return len(jobs[:limit])

    def follow(self, ids: Sequence[str], process: str) -> list[JobRecord | None]:
        for job_id in ids:
            if job_id in self.jobs and self.jobs[job_id].state is not State.DEAD:
                self.beside.follow(job_id, process)
        return [self.job(job_id) for job_id in ids]
