"""The engine contract over Lua scripts: both engines bear the same script names and arguments."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from msgspec.structs import replace

from homing.command import Argument, Command, Script, call, load, prepared
from homing.engines import answers
from homing.engines.batches import Words, groups_of, run_of_one, runs_of
from homing.engines.engine import BATCH_MAX, SETTINGS, EngineName, ReclaimReason
from homing.errors import SettingsError
from homing.job import (
    Audit,
    Claim,
    Counts,
    Enqueued,
    JobRecord,
    Mended,
    NewJob,
    Page,
    Reclaimed,
    Registered,
    Settled,
    Settlement,
    State,
    Ticked,
    WorkerRecord,
)
from homing.keys import Keys


def _now(now_ms: int | None) -> Argument:
    return "" if now_ms is None else now_ms


def _at_most(count: int, what: str) -> None:
    if count > BATCH_MAX:
        raise ValueError(f"{count} {what} in one call, at most {BATCH_MAX}: split the batch")


def _pairs(settings: Mapping[str, int] | None) -> list[Argument]:
    flat: list[Argument] = []
    for name, value in (settings or {}).items():
        if name not in SETTINGS:
            raise SettingsError(f"{name!r} is no setting of a queue: use one of {', '.join(SETTINGS)}")
        flat += (name, value)
    return flat


class ScriptedEngine:
    """All verbs of `engine.Engine`; a subclass says its name, where its scripts are, how a job is told to them, and
    how they tell what was claimed.
    """

    name: EngineName
    package: ClassVar[str]
    words: ClassVar[Words]
    claimed: ClassVar[Callable[[list[Any]], Claim]]

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def _script(self, name: str) -> Script:
        return load(self.package, name)

    def _place(self, ref: bytes) -> tuple[bytes, bytes | None]:
        """The priority and, on streams, the entry of a job in a worker's hands."""
        raise NotImplementedError

    def open(self, settings: Mapping[str, int] | None = None) -> Command[str]:
        return call(self._script("open"), self.keys, bytes.decode, rest=_pairs(settings))

    def enqueue(
        self, jobs: Sequence[NewJob], *, lane: str, number: int, now_ms: int | None = None
    ) -> Command[list[Enqueued]]:
        (script, names), many, words = self._enqueued, len(jobs), type(self).words
        told: Sequence[Argument]
        decode: Callable[[bytes], list[Enqueued]]
        if many == 1:
            told, decode = run_of_one(jobs[0], words), answers.position_of_one
        else:
            _at_most(many, "jobs")
            told, decode = runs_of(jobs, words), answers.Positions(many)
        now = "" if now_ms is None else now_ms
        return Command(script, names, (now, lane, number, *told), decode, self.keys.queue)

    @cached_property
    def _enqueued(self) -> tuple[Script, tuple[str, ...]]:
        return prepared(self._script("enqueue"), self.keys, "now_ms", "lane", "number")

    def register(
        self,
        worker: str,
        *,
        info: bytes = b"{}",
        settings: Mapping[str, int] | None = None,
        now_ms: int | None = None,
    ) -> Command[Registered]:
        return call(
            self._script("register"),
            self.keys,
            answers.registered,
            now_ms=_now(now_ms),
            worker=worker,
            info=info,
            rest=_pairs(settings),
        )

    def claim(self, worker: str, *, limit: int, number: int, now_ms: int | None = None) -> Command[Claim]:
        _at_most(limit, "jobs")
        return call(
            self._script("claim"),
            self.keys,
            type(self).claimed,
            resend=False,
            now_ms=_now(now_ms),
            worker=worker,
            limit=limit,
            number=number,
        )

    def held(
        self, worker: str, *, known: Sequence[str], number: int, now_ms: int | None = None
    ) -> Command[Claim]:
        return call(
            self._script("held"),
            self.keys,
            type(self).claimed,
            resend=False,
            now_ms=_now(now_ms),
            worker=worker,
            number=number,
            rest=known,
        )

    def settle(
        self,
        worker: str,
        settlements: Sequence[Settlement],
        *,
        number: int = 0,
        lean: bool = False,
        now_ms: int | None = None,
    ) -> Command[Settled]:
        _at_most(len(settlements), "settlements")
        return call(
            load(self.package, "settle", lean=True) if lean else self._script("settle"),
            self.keys,
            answers.settled,
            now_ms=_now(now_ms),
            worker=worker,
            lean=1 if lean else 0,
            number=number,
            rest=groups_of(settlements, self._place),
        )

    def tick(self, workers: Sequence[str], *, now_ms: int | None = None) -> Command[Ticked]:
        return call(self._script("tick"), self.keys, answers.ticked, now_ms=_now(now_ms), rest=workers)

    def reclaim(
        self,
        worker: str,
        *,
        reason: ReclaimReason,
        started: Sequence[str] = (),
        error: bytes = b"{}",
        now_ms: int | None = None,
    ) -> Command[Reclaimed]:
        return call(
            self._script("reclaim"),
            self.keys,
            answers.reclaimed,
            now_ms=_now(now_ms),
            worker=worker,
            reason=reason,
            error=error,
            rest=started,
        )

    def acquit(self, job_ids: Sequence[str]) -> Command[int]:
        _at_most(len(job_ids), "jobs")
        return call(self._script("acquit"), self.keys, int, resend=False, rest=job_ids)

    def cancel(self, job_id: str, *, now_ms: int | None = None) -> Command[State | None]:
        command = call(self._script("cancel"), self.keys, answers.state, now_ms=_now(now_ms), id=job_id)
        return replace(command, decode_again=answers.cancelled_again)

    def remove(self, job_id: str) -> Command[State | None]:
        command = call(self._script("remove"), self.keys, answers.state, id=job_id)
        return replace(command, decode_again=answers.removed_again)

    def replay(self, job_ids: Sequence[str], *, now_ms: int | None = None) -> Command[list[str]]:
        _at_most(len(job_ids), "jobs")
        return call(self._script("replay"), self.keys, answers.ids, now_ms=_now(now_ms), rest=job_ids)

    def pause(self) -> Command[None]:
        return call(self._script("pause"), self.keys, answers.nothing)

    def resume(self) -> Command[None]:
        return call(self._script("resume"), self.keys, answers.nothing)

    def purge(self, state: State, *, limit: int = BATCH_MAX, now_ms: int | None = None) -> Command[int]:
        _at_most(limit, "jobs")
        if state not in {State.WAITING, State.SCHEDULED, State.DEAD}:
            raise SettingsError(f"jobs that are {state} cannot be purged: use waiting, scheduled or dead")
        return call(self._script("purge"), self.keys, int, now_ms=_now(now_ms), state=str(state), limit=limit)

    def counts(self) -> Command[Counts]:
        return call(self._script("counts"), self.keys, answers.counts)

    def peek(self, state: State, *, cursor: str = "", limit: int = 50) -> Command[Page]:
        _at_most(limit, "jobs")
        return call(
            self._script("peek"),
            self.keys,
            answers.PageOf(self.keys.queue),
            state=str(state),
            cursor=cursor,
            limit=limit,
        )

    def job(self, job_id: str) -> Command[JobRecord | None]:
        return call(self._script("job"), self.keys, answers.RecordOf(self.keys.queue), id=job_id)

    def workers(self, *, now_ms: int | None = None) -> Command[list[WorkerRecord]]:
        return call(self._script("workers"), self.keys, answers.workers)

    def follow(self, job_ids: Sequence[str], *, process: str) -> Command[list[JobRecord | None]]:
        _at_most(len(job_ids), "jobs")
        return call(
            self._script("follow"),
            self.keys,
            answers.RecordsOf(self.keys.queue),
            process=process,
            rest=job_ids,
        )

    def statistics(self, minute: int) -> Command[Mapping[str, int]]:
        return call(self._script("statistics"), self.keys, answers.numbers, minute=minute)

    def verify(self, *, cursor: str = "", limit: int = 200) -> Command[Audit]:
        _at_most(limit, "jobs")
        return call(self._script("verify"), self.keys, answers.audit, cursor=cursor, limit=limit)

    def turn(self, *, every_ms: int, now_ms: int | None = None) -> Command[str | None]:
        return call(self._script("turn"), self.keys, answers.turn, now_ms=_now(now_ms), every_ms=every_ms)

    def turned(self, cursor: str) -> Command[int]:
        return Command(("HSET",), (self.keys.meta,), ("verify_cursor", cursor), int, self.keys.queue)

    def repair(self, subject: str, *, dry: bool = False, now_ms: int | None = None) -> Command[Mended]:
        return call(
            self._script("repair"),
            self.keys,
            answers.mended,
            now_ms=_now(now_ms),
            dry=1 if dry else 0,
            subject=subject,
        )
