"""An engine on a real server and its model, given the same verbs: any difference in any answer is a failure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as dataclass_replace
from typing import Any

from msgspec.structs import replace

from homing.command import Command
from homing.engines.engine import Engine, ReclaimReason
from homing.errors import HomingError
from homing.job import Claim, Claimed, JobRecord, NewJob, Settlement, State
from tests.conformance.driver import Queue
from tests.conformance.jobs import ERROR, MINUTE_MS
from tests.model.rooms import Job
from tests.model.state import Model


class Different(AssertionError):
    """The engine did not do what the model does; `where` is the engine and the verb."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where


@dataclass(slots=True)
class Call:
    """One command for the engine, and what its model says about it."""

    what: str
    command: Command[Any]
    expected: Callable[[], Any]
    seen: Callable[[Any], Any] = lambda answer: answer  # what is compared of the engine's answer


def _nothing(_: object) -> None:
    return None


def _plain(*words: str | bytes | int) -> Command[Any]:
    return Command((words[0],), (), words[1:], lambda reply: reply)


def _timeless(record: JobRecord | None) -> JobRecord | None:
    """A record without the time of its enqueue, which streams keep by the server's own clock."""
    return None if record is None else replace(record, created_ms=0)


class Twin:
    """One queue twice. `now_ms` is everybody's clock."""

    def __init__(self, queue: Queue, model: Model) -> None:
        self.queue = queue
        self.model = model
        self.engine: Engine = queue.engine
        self._refs: dict[tuple[str, bytes], bytes] = {}  # (id, model's ref) -> engine's ref
        self._told: set[str] = set()

    # Verbs: each makes a Call.

    def open(self, settings: dict[str, int]) -> Call:
        return Call("open", self.engine.open(settings), lambda: self.model.open(settings), seen=_nothing)

    def enqueue(self, jobs: Sequence[NewJob], lane: str, number: int, now_ms: int) -> Call:
        return Call(
            "enqueue",
            self.engine.enqueue(jobs, lane=lane, number=number, now_ms=now_ms),
            lambda: self.model.enqueue(jobs, lane, number, now_ms),
        )

    def register(self, worker: str, settings: dict[str, int], now_ms: int) -> Call:
        return Call(
            "register",
            self.engine.register(worker, settings=settings, now_ms=now_ms),
            lambda: self.model.register(worker, settings, now_ms),
        )

    def claim(self, worker: str, limit: int, number: int, now_ms: int) -> Call:
        return Call(
            "claim",
            self.engine.claim(worker, limit=limit, number=number, now_ms=now_ms),
            lambda: self.model.claim(worker, limit, number, now_ms),
            seen=self._claimed,
        )

    def held(self, worker: str, known: Sequence[str], number: int, now_ms: int) -> Call:
        return Call(
            "held",
            self.engine.held(worker, known=known, number=number, now_ms=now_ms),
            lambda: self.model.held(worker, known, number, now_ms),
            seen=self._claimed,
        )

    def _claimed(self, claim: Claim) -> Claim:
        """The claim in the model's words: a delivery is named by its serial, and times are left out."""
        return replace(claim, jobs=[self._in_model_words(job) for job in claim.jobs])

    def _in_model_words(self, claimed: Claimed) -> Claimed:
        job = self.model.jobs.get(claimed.id)
        ref = str(job.serial).encode() if job is not None else b"?"
        self._refs[claimed.id, ref] = claimed.ref
        return replace(claimed, ref=ref, since_ms=0)

    def settle(
        self, worker: str, settlements: Sequence[Settlement], number: int, now_ms: int, *, lean: bool
    ) -> Call:
        """Settlements name deliveries in the model's words."""
        real = [replace(one, ref=self._refs.get((one.id, one.ref), b"0/0-1")) for one in settlements]
        return Call(
            "settle",
            self.engine.settle(worker, real, number=number, lean=lean, now_ms=now_ms),
            lambda: self.model.settle(worker, settlements, number, now_ms, lean=lean),
        )

    def tick(self, workers: Sequence[str], now_ms: int) -> Call:
        return Call(
            "tick", self.engine.tick(workers, now_ms=now_ms), lambda: self.model.tick(workers, now_ms)
        )

    def reclaim(self, worker: str, reason: ReclaimReason, started: Sequence[str], now_ms: int) -> Call:
        return Call(
            "reclaim",
            self.engine.reclaim(worker, reason=reason, started=started, error=ERROR, now_ms=now_ms),
            lambda: self.model.reclaim(worker, reason, started, ERROR, now_ms),
        )

    def acquit(self, ids: Sequence[str]) -> Call:
        return Call("acquit", self.engine.acquit(ids), lambda: self.model.acquit(ids))

    def cancel(self, job_id: str, now_ms: int) -> Call:
        return Call(
            "cancel", self.engine.cancel(job_id, now_ms=now_ms), lambda: self.model.cancel(job_id, now_ms)
        )

    def remove(self, job_id: str) -> Call:
        return Call("remove", self.engine.remove(job_id), lambda: self.model.remove(job_id))

    def replay(self, ids: Sequence[str], now_ms: int) -> Call:
        return Call("replay", self.engine.replay(ids, now_ms=now_ms), lambda: self.model.replay(ids, now_ms))

    def pause(self) -> Call:
        return Call("pause", self.engine.pause(), self.model.pause)

    def resume(self) -> Call:
        return Call("resume", self.engine.resume(), self.model.resume)

    def purge(self, state: State, limit: int, now_ms: int) -> Call:
        return Call(
            "purge",
            self.engine.purge(state, limit=limit, now_ms=now_ms),
            lambda: self.model.purge(state, limit, now_ms),
        )

    def follow(self, ids: Sequence[str], process: str) -> Call:
        self._told.add(process)
        return Call(
            "follow",
            self.engine.follow(ids, process=process),
            lambda: self.model.follow(ids, process),
            seen=lambda records: [_timeless(one) for one in records],
        )

    def job(self, job_id: str) -> Call:
        return Call("job", self.engine.job(job_id), lambda: self.model.job(job_id), seen=_timeless)

    def workers(self) -> Call:
        return Call("workers", self.engine.workers(), self.model.workers)

    def statistics(self, now_ms: int) -> Call:
        minute = now_ms // MINUTE_MS
        return Call(
            "statistics",
            self.engine.statistics(minute),
            lambda: dict(self.model.beside.statistics.get(minute, {})),
            seen=dict,
        )

    def told(self, process: str) -> Call:
        """What a process was told, in any order: engines end the jobs of one call in their own."""
        return Call(
            "told",
            _plain("LRANGE", self.queue.keys.reply(process), 0, -1),
            lambda: sorted(self.model.beside.told.get(process, [])),
            seen=lambda items: sorted(item.decode() for item in items),
        )

    def listen(self) -> Call:
        """A worker hears the bell, if it rang."""

        def heard() -> bool:
            rang, self.model.bell = self.model.bell, False
            return rang

        return Call(
            "listen", _plain("LPOP", self.queue.keys.bell), heard, seen=lambda reply: reply is not None
        )

    def foreign(self, name: str, priority: int, fields: dict[str, str]) -> list[Call]:
        """Another program enqueues a message of plain fields, with the means of this engine."""
        flat = [part for pair in fields.items() for part in pair]
        keys = self.queue.keys
        own_fields = {name: value for name, value in fields.items() if name != "task"}
        job = Job(name, task=fields.get("task", ""), fields=own_fields, priority=priority)
        if self.engine.name == "lists":
            own = ["priority", str(priority)] if priority else []
            return [
                Call("foreign", _plain("HSET", keys.job(name), *flat, *own), lambda: None, seen=_nothing),
                Call(
                    "foreign",
                    _plain("LPUSH", keys.waiting(priority), name),
                    self._arrives(job),
                    seen=_nothing,
                ),
            ]

        def named(entry: bytes) -> None:
            job.id = f"{priority}.{entry.decode()}"
            self.model.foreign(job)

        return [Call("foreign", _plain("XADD", keys.stream(priority), "*", *flat), lambda: None, seen=named)]

    def _arrives(self, job: Job) -> Callable[[], None]:
        return lambda: self.model.foreign(job)

    # Comparing.

    def looks(self) -> list[Call]:
        """What is looked at after every step: how many jobs are where, and the bell."""
        return [
            Call("counts", self.engine.counts(), self.model.counts),
            Call("bell", _plain("EXISTS", self.queue.keys.bell), lambda: self.model.bell, seen=bool),
        ]

    def compare(self, call: Call, answer: Any) -> None:
        """The model does it too."""
        if isinstance(answer, HomingError):
            found: Any = type(answer)
        try:
            expected = call.expected()
        except HomingError as error:
            expected = type(error)
        if not isinstance(answer, HomingError):
            found = call.seen(answer)
        if found != expected:
            raise Different(f"{self.engine.name} {call.what}", _difference(found, expected))

    def compare_whole(self) -> None:
        """The whole state, with verify and stray keys, and each job's record."""
        found, expected = self.queue.whole(), self.model.whole()
        if self.engine.name == "lists":  # its hash is there before the queue knows of its list
            expected = dataclass_replace(expected, strays=[f"job:{one}" for one in self.model.unannounced()])
        if found != expected:
            raise Different(f"{self.engine.name} whole", _difference(found, expected))


def _difference(found: Any, expected: Any) -> str:
    """Both, or of two values of the same class the fields that differ."""
    if type(found) is not type(expected) or isinstance(found, type | list | dict | str):
        return f"engine {found!r}, model {expected!r}"
    names = getattr(found, "__struct_fields__", None) or tuple(
        one.name for one in (fields(found) if hasattr(found, "__dataclass_fields__") else ())
    )
    parts = [
        f"{name}: engine {getattr(found, name)!r}, model {getattr(expected, name)!r}"
        for name in names
        if getattr(found, name) != getattr(expected, name)
    ]
    return "; ".join(parts) or f"engine {found!r}, model {expected!r}"
