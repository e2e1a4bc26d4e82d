"""The queue as the conformance tests see it: engine verbs, one at a time, at a time of their choosing.

`queue.now_ms` stands still until a test moves it. `queue.whole()` is all there is to see.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from msgspec.structs import replace

from homing.command import Command
from homing.engines.engine import Engine, ReclaimReason
from homing.job import (
    Ack,
    Again,
    Claim,
    Claimed,
    Counts,
    Dead,
    Decision,
    Enqueued,
    HandBack,
    JobRecord,
    Mended,
    NewJob,
    Problem,
    Reclaimed,
    Registered,
    Settled,
    Settlement,
    State,
    Ticked,
    WorkerRecord,
)
from homing.keys import Keys
from tests.conformance.jobs import ERROR, LEASE_MS, MINUTE_MS, ids, settlement

T = TypeVar("T")
Run = Callable[[Command[Any]], Any]


@dataclass(frozen=True)
class Whole:
    """All that can be seen of a queue. Ids are in the order in which they will be, or were, handled."""

    waiting: list[str] = field(default_factory=list)
    scheduled: list[str] = field(default_factory=list)
    active: dict[str, list[str]] = field(default_factory=dict)  # by worker, without those that hold none
    dead: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)  # sorted
    cancelled: list[str] = field(default_factory=list)  # sorted
    workers: list[str] = field(default_factory=list)  # sorted
    suspects: int = 0
    ids: int = 0
    replies: int = 0
    missing: int = 0
    taken: int = 0
    refused: int = 0
    paused: bool = False
    problems: list[str] = field(default_factory=list)  # what verify found
    strays: list[str] = field(default_factory=list)  # keys of jobs and workers that are not


class Queue:
    """One queue, its engine, a client to run commands, and a foreign client (`raw`).

    It begins at the server's next full minute: an entry of a stream says the server's own time.
    """

    def __init__(self, engine: Engine, run: Run, raw: Any) -> None:
        self.engine = engine
        self.keys: Keys = engine.keys  # type: ignore[attr-defined]
        self.raw = raw
        seconds, _ = raw.time()
        self.start_ms = (int(seconds) // 60 + 1) * MINUTE_MS
        self.now_ms = self.start_ms
        self._run = run
        self._numbers = count(1)
        self._lanes = count(1)
        self._workers = count(1)

    def near(self, found_ms: int, expected_ms: int) -> bool:
        """Whether a time is the expected one; streams tell the server's own, a little earlier."""
        early_ms = 0 if self.engine.name == "lists" else 2 * MINUTE_MS
        return expected_ms - early_ms <= found_ms <= expected_ms

    def do(self, command: Command[T]) -> T:
        answer: T = self._run(command)
        return answer

    # Verbs, with numbers and lanes made up where a test does not name them.

    def open(self, **settings: int) -> str:
        return self.do(self.engine.open(settings))

    def enqueue(
        self, *jobs: NewJob, lane: str | None = None, number: int = 1, after_ms: int = 0
    ) -> list[Enqueued]:
        self.now_ms += after_ms
        lane = lane or f"lane-{next(self._lanes)}"
        return self.do(self.engine.enqueue(jobs, lane=lane, number=number, now_ms=self.now_ms))

    def register(self, worker: str | None = None, **settings: int) -> str:
        """Make a worker a member; ids are w1, w2 …"""
        worker = worker or f"w{next(self._workers)}"
        self.registered(worker, settings=settings)
        return worker

    def registered(
        self, worker: str, info: bytes = b"{}", settings: Mapping[str, int] | None = None
    ) -> Registered:
        return self.do(self.engine.register(worker, info=info, settings=settings, now_ms=self.now_ms))

    def claim(self, worker: str, limit: int = 100, number: int | None = None) -> list[Claimed]:
        return self.claim_whole(worker, limit, number).jobs

    def claim_one(self, worker: str) -> Claimed:
        """The next job."""
        [job] = self.claim(worker, limit=1)
        return job

    def claim_whole(self, worker: str, limit: int = 100, number: int | None = None) -> Claim:
        number = next(self._numbers) if number is None else number
        return self.do(self.engine.claim(worker, limit=limit, number=number, now_ms=self.now_ms))

    def held(self, worker: str, *known: str, number: int | None = None) -> Claim:
        number = next(self._numbers) if number is None else number
        return self.do(self.engine.held(worker, known=known, number=number, now_ms=self.now_ms))

    def settle(self, worker: str, *settlements: Settlement, number: int = 0, lean: bool = False) -> Settled:
        return self.do(self.engine.settle(worker, settlements, number=number, lean=lean, now_ms=self.now_ms))

    def decide(self, worker: str, job: Claimed, decision: Decision, *, lean: bool = False) -> Settled:
        return self.settle(worker, settlement(job, decision), lean=lean)

    def ack(self, worker: str, *jobs: Claimed, result: bytes = b"") -> Settled:
        return self.settle(worker, *(settlement(job, Ack(result)) for job in jobs))

    def again(self, worker: str, job: Claimed, delay_ms: int, attempt: int = 1, meta: bytes = b"") -> Settled:
        return self.decide(worker, job, Again(delay_ms, attempt, meta))

    def bury(self, worker: str, *jobs: Claimed, attempt: int = 1) -> Settled:
        return self.settle(worker, *(settlement(job, Dead(ERROR, attempt)) for job in jobs))

    def hand_back(self, worker: str, *jobs: Claimed) -> Settled:
        return self.settle(worker, *(settlement(job, HandBack()) for job in jobs))

    def tick(self, *workers: str, after_ms: int = 0) -> Ticked:
        """Time goes on by `after_ms`, at once, then one tick."""
        self.now_ms += after_ms
        return self.do(self.engine.tick(workers, now_ms=self.now_ms))

    def tick_past_lease(self, *workers: str) -> Ticked:
        """Seconds pass, each with its tick, until whoever is not among `workers` has lapsed."""
        for _ in range(LEASE_MS // 1_000):
            self.tick(*workers, after_ms=1_000)
        return self.tick(*workers, after_ms=1)

    def reclaim(
        self, worker: str, reason: ReclaimReason = "left", *started: str, error: bytes = ERROR
    ) -> Reclaimed:
        return self.do(
            self.engine.reclaim(worker, reason=reason, started=started, error=error, now_ms=self.now_ms)
        )

    def acquit(self, *job_ids: str) -> int:
        return self.do(self.engine.acquit(job_ids))

    def cancel(self, job_id: str) -> State | None:
        return self.do(self.engine.cancel(job_id, now_ms=self.now_ms))

    def remove(self, job_id: str) -> State | None:
        return self.do(self.engine.remove(job_id))

    def replay(self, *job_ids: str) -> list[str]:
        return self.do(self.engine.replay(job_ids, now_ms=self.now_ms))

    def pause(self) -> None:
        self.do(self.engine.pause())

    def resume(self) -> None:
        self.do(self.engine.resume())

    def purge(self, state: State, limit: int = 1_000) -> int:
        return self.do(self.engine.purge(state, limit=limit, now_ms=self.now_ms))

    def counts(self) -> Counts:
        return self.do(self.engine.counts())

    def job(self, job_id: str) -> JobRecord | None:
        return self.do(self.engine.job(job_id))

    def record(self, job_id: str) -> JobRecord:
        """The job, which must exist."""
        job = self.job(job_id)
        assert job is not None, f"there is no job {job_id}"
        return job

    def workers(self) -> list[WorkerRecord]:
        return self.do(self.engine.workers(now_ms=self.now_ms))

    def follow(self, *job_ids: str, process: str = "p") -> list[JobRecord | None]:
        return self.do(self.engine.follow(job_ids, process=process))

    def statistics(self, now_ms: int | None = None) -> Mapping[str, int]:
        """Of the minute of this time, or of now."""
        return self.do(self.engine.statistics((now_ms or self.now_ms) // MINUTE_MS))

    # What several verbs make together.

    def peek(self, state: State, limit: int = 1_000) -> list[JobRecord]:
        """All jobs in a state, page by page."""
        found: list[JobRecord] = []
        cursor = ""
        while True:
            page = self.do(self.engine.peek(state, cursor=cursor, limit=limit))
            found += page.jobs
            cursor = page.cursor
            if not cursor:
                return found

    def verify(self, limit: int = 1_000) -> list[str]:
        """All problems; also that no id was looked at twice."""
        problems, seen = self._audit(limit)
        twice = [one for one in sorted(set(seen)) if seen.count(one) > 1]
        return [problem.says for problem in problems] + [f"job {one} was seen twice" for one in twice]

    def problems(self) -> list[Problem]:
        return self._audit(1_000)[0]

    def _audit(self, limit: int) -> tuple[list[Problem], list[str]]:
        problems: list[Problem] = []
        seen: list[str] = []
        cursor = ""
        while True:
            page = self.do(self.engine.verify(cursor=cursor, limit=limit))
            problems += page.problems
            seen += page.ids
            cursor = page.cursor
            if not cursor:
                break
        return problems, seen

    def repair(self, subject: str, *, dry: bool = False) -> Mended:
        return self.do(self.engine.repair(subject, dry=dry, now_ms=self.now_ms))

    def mend(self) -> list[str]:
        """Repair what verify finds, until that mends nothing more; what was mended, by subject."""
        done: list[str] = []
        while True:
            before = len(done)
            for subject in dict.fromkeys(problem.subject for problem in self.problems()):
                answer = Mended("mended", more=True)
                while answer.more:
                    assert len(done) < 100, f"repair mends {subject} again and again"
                    answer = self.repair(subject)
                    done += [subject] if answer.outcome == "mended" else []
            if len(done) == before:
                return done

    def whole(self) -> Whole:
        """The whole state; that all ways to look at it agree is asserted on the way."""
        jobs = {state: self.peek(state) for state in State}
        assert all(job.state is state for state, found in jobs.items() for job in found)
        active: dict[str, list[str]] = {}
        for job in jobs[State.ACTIVE]:
            active.setdefault(str(job.worker), []).append(job.id)
        workers = {worker.id: worker.holding for worker in self.workers()}
        seen = self.counts()
        whole = Whole(
            waiting=ids(jobs[State.WAITING]),
            scheduled=ids(jobs[State.SCHEDULED]),
            active=active,
            dead=ids(jobs[State.DEAD]),
            completed=sorted(ids(jobs[State.COMPLETED])),
            cancelled=sorted(ids(jobs[State.CANCELLED])),
            workers=sorted(workers),
            suspects=seen.suspects,
            ids=seen.ids,
            replies=seen.replies,
            missing=seen.missing,
            taken=seen.taken,
            refused=seen.refused,
            paused=seen.paused,
            problems=self.verify(),
            strays=self.strays(jobs, set(workers)),
        )
        assert {worker: holding for worker, holding in workers.items() if holding} == {
            worker: len(held) for worker, held in active.items()
        }
        assert seen == replace(
            seen,
            waiting=len(whole.waiting),
            scheduled=len(whole.scheduled),
            active=len(jobs[State.ACTIVE]),
            dead=len(whole.dead),
            finished=len(whole.completed) + len(whole.cancelled),
            workers=len(whole.workers),
        )
        return whole

    # What a foreign client sees.

    def names(self) -> list[str]:
        """The queue's keys, without the queue's own part of their names."""
        start = len(self.keys.base) + 1
        found: list[bytes] = self.raw.keys(f"{self.keys.base}:*")
        return sorted(name.decode()[start:] for name in found)

    def strays(self, jobs: Mapping[State, Sequence[JobRecord]], workers: set[str]) -> list[str]:
        """Keys and consumers of jobs and workers that are not there (any more)."""
        stored = {
            job.id
            for state in (State.WAITING, State.SCHEDULED, State.ACTIVE, State.DEAD)
            for job in jobs[state]
        }
        found = []
        for name in self.names():
            kind, _, owner = name.partition(":")
            known = workers if kind in {"active", "worker"} else stored
            if kind in {"active", "worker", "job", "raw"} and owner not in known:
                found.append(name)
            elif kind == "stream":
                consumers = self._consumers(f"{self.keys.base}:{name}") - {"returned", "alone"}
                found += [f"{name} {worker}" for worker in sorted(consumers - workers)]
        return found

    def _consumers(self, stream: str) -> set[str]:
        groups = {one["name"] for one in self.raw.xinfo_groups(stream)}
        if b"workers" not in groups:
            return set()
        return {one["name"].decode() for one in self.raw.xinfo_consumers(stream, "workers")}

    def ttl_s(self, name: str) -> int:
        """Seconds until a key goes: -1 when it stays, -2 when it is not there."""
        return int(self.raw.ttl(f"{self.keys.base}:{name}"))

    def field(self, key: str, name: str) -> bytes | None:
        value: bytes | None = self.raw.hget(self.keys(key), name)
        return value

    def told(self, process: str = "p") -> list[bytes]:
        """What a process was told on its reply list, oldest first."""
        found: list[bytes] = self.raw.lrange(self.keys.reply(process), 0, -1)
        return found

    def rung(self) -> bool:
        """Whether the bell was rung since it was last asked; there is never more than one token."""
        tokens: list[bytes] = self.raw.lrange(self.keys.bell, 0, -1)
        self.raw.delete(self.keys.bell)
        assert len(tokens) <= 1, "the bell has more than one token"
        return bool(tokens)

    def writes(self) -> int:
        """How many writes the server counted so far, also those that changed nothing."""
        return int(self.raw.info("persistence")["rdb_changes_since_last_save"])

    def dump(self) -> dict[str, Any]:
        """All keys and what is in them, as the server tells it."""
        return {name: self._content(f"{self.keys.base}:{name}") for name in self.names()}

    def _content(self, key: str) -> Any:
        match self.raw.type(key):
            case b"hash":
                return self.raw.hgetall(key)
            case b"list":
                return self.raw.lrange(key, 0, -1)
            case b"zset":
                return self.raw.zrange(key, 0, -1, withscores=True)
            case b"stream":
                owned = []
                if self.raw.xinfo_groups(key):
                    pending = self.raw.xpending_range(key, "workers", "-", "+", 1_000)
                    owned = [(one["message_id"], one["consumer"]) for one in pending]
                return self.raw.xrange(key), owned
            case _:
                return self.raw.get(key)

    @contextmanager
    def full_server(self) -> Iterator[None]:
        """While the block lasts the server has no memory left (noeviction)."""
        self.raw.config_set("maxmemory", 1)
        try:
            yield
        finally:
            self.raw.config_set("maxmemory", 0)

    def foreign(self, fields: Mapping[str, str], priority: int = 0, job_id: str = "") -> str:
        """What another program does to enqueue a job; returns the id under which it will be known."""
        if self.engine.name == "lists":
            job_id = job_id or "foreign"
            self.raw.hset(self.keys.job(job_id), mapping=dict(fields))
            self.raw.lpush(self.keys.waiting(priority), job_id)
            return job_id
        own = {"id": job_id} if job_id else {}
        entry: bytes = self.raw.xadd(self.keys.stream(priority), {**own, **fields})
        return job_id or f"{priority}.{entry.decode()}"
