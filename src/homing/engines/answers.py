"""How the scripts' replies (RESP2, bytes) become values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homing.checksum import checksum
from homing.ids import ALPHABET, made_ms
from homing.job import (
    Audit,
    Claim,
    Claimed,
    Counts,
    Enqueued,
    JobRecord,
    Mended,
    Page,
    Problem,
    Reclaimed,
    Registered,
    Settled,
    State,
    Ticked,
    WorkerRecord,
)

#: Names in a job's hash or entry that are not a foreign message's own fields.
OWN_FIELDS = frozenset({
    "id", "task", "payload", "args", "kwargs", "meta", "state", "attempt", "priority", "created_ms", "due_ms",
    "dead_ms", "ended_ms", "error", "worker", "raw", "result", "returned", "crashes", "suspicions",
})  # fmt: skip
#: What an id may hold, and one that an entry begins with.
_ID_LETTERS = f"{ALPHABET}.:".encode()
_ID_FIRST = re.compile(rb"[A-Za-z0-9_.:-]{1,64}(?=\s|\Z)")


#: The sum of a job whose parts are not where they should be: it matches none.
DAMAGED = b"damaged"


def nothing(_: object) -> None:
    return None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _whole(value: Any) -> int:
    """The number stored, or 0 where somebody stored something else."""
    try:
        return int(value)
    except ValueError:
        return 0


def _positive(value: int) -> int | None:
    return None if value < 0 else value


@dataclass(frozen=True, slots=True)
class Positions:
    """An enqueue's answer: the positions of the taken ids, of so many jobs."""

    count: int

    def __call__(self, reply: bytes) -> list[Enqueued]:
        if not reply:
            return [Enqueued.STORED] * self.count
        taken = {int(position) for position in reply.split(b",")}
        return [Enqueued.EXISTS if i in taken else Enqueued.STORED for i in range(1, self.count + 1)]


def position_of_one(reply: bytes) -> list[Enqueued]:
    """The same for a single job."""
    return Positions(1)(reply) if reply else [Enqueued.STORED]


def registered(reply: list[int]) -> Registered:
    return Registered(lease_ms=reply[0], now_ms=reply[1], paused=bool(reply[2]))


def _foreign(payload: bytes | None, flat: Sequence[bytes]) -> tuple[bytes, dict[str, str] | None]:
    """The payload, or the own fields, of a job that another program stored without a payload."""
    if payload is not None:
        return payload, None
    stored = dict(zip(flat[::2], flat[1::2], strict=True))
    if b"args" in stored or b"kwargs" in stored:
        return b"[%b,%b]" % (stored.get(b"args", b"[]"), stored.get(b"kwargs", b"{}")), None
    own = {_text(name): value for name, value in stored.items()}
    return b"", {name: _text(value) for name, value in own.items() if name not in OWN_FIELDS}


def _since(ref: bytes) -> int:
    """The time in a stream entry's id, from `entry` or `priority/entry`."""
    return int(ref.rpartition(b"/")[2].partition(b"-")[0])


def _told_apart(
    job_id: str, ref: bytes, task: str, payload: bytes | None, stored_sum: bytes, rest: Sequence[Any]
) -> Claimed:
    """A job with a past, with a meta or of another program."""
    attempt, meta, since_ms, flat = rest
    fields = None
    if payload is None:
        payload, fields = _foreign(None, flat)
        stored_sum = b""  # of a message's own fields one may be called so
    return Claimed(
        job_id, ref, task, payload, _whole(attempt), meta, since_ms, fields=fields, sum=stored_sum
    )  # fmt: skip


def _parts_of(told: bytes) -> tuple[bytes, bytes, bytes]:
    """Sum, task and payload of `<sum> <task>`, a line end and the payload."""
    head, line_end, payload = told.partition(b"\n")
    stored_sum, space, task = head.partition(b" ")
    if line_end and space and stored_sum:
        return stored_sum, task, payload
    return DAMAGED, b"", told


def claim_of_hashes(reply: list[Any]) -> Claim:
    """Jobs as (id, ref, whole)*; of some [whole or nil, task, payload, sum, attempt, meta, since, fields] is the third."""
    now, due, paused, more, token, alone, flat = reply
    number, only, jobs = int(token), bool(alone), list[Claimed]()
    names: dict[bytes, str] = {}
    values, near, near_ms = iter(flat), b"", now
    for told_id, ref, told in zip(*[values] * 3, strict=True):
        job_id = told_id.decode()
        if type(told) is bytes:
            if told_id[:7] != near:  # neighbours were made together
                near, near_ms = told_id[:7], made_ms(job_id) or now
            stored_sum, task, payload = _parts_of(told)
            name = names.get(task)
            if name is None:
                name = names[task] = _text(task)
            job = Claimed(job_id, ref, name, payload, 0, b"", near_ms, number, only, None, stored_sum)
        else:
            whole, task, payload, stored_sum, attempt, meta, since, fields = told
            if whole is not None:
                stored_sum, task, payload = _parts_of(whole)
            past = attempt, meta, _whole(since) if since else made_ms(job_id) or now, fields
            job = _told_apart(job_id, ref, _text(task), payload, stored_sum, past)
            job.token, job.alone = number, only
        jobs.append(job)
    return Claim(jobs=jobs, now_ms=now, due_in_ms=_positive(due), paused=bool(paused), more=bool(more))


def _id_of(told: bytes, ref: bytes) -> bytes:
    """As the scripts name a job: by what its entry begins with, or when no key may be named so by the entry."""
    if found := _ID_FIRST.match(told):
        return found[0]
    priority, _, entry = ref.rpartition(b"/")
    return b"%b.%b" % (priority or b"0", entry)


def claim_of_entries(reply: list[Any]) -> Claim:
    """Jobs as (ref, whole)*, of which some are (ref, [id, task, payload, sum, attempt, meta, fields])*."""
    now, due, paused, more, token, alone, flat = reply
    number, only, jobs = int(token), bool(alone), list[Claimed]()
    names: dict[bytes, str] = {}
    values, near, since_ms = iter(flat), b"", 0
    for ref, told in zip(values, values, strict=True):
        ms = ref.partition(b"-")[0]
        if ms != near:  # neighbours came together
            near, since_ms = ms, _since(ref)
        if type(told) is list:
            job_id, task, payload, stored_sum, *past = told
            apart = (*past[:2], since_ms, past[2])
            job = _told_apart(_text(job_id), ref, _text(task), payload, stored_sum, apart)
            job.token, job.alone = number, only
            jobs.append(job)
            continue
        head, line_end, payload = told.partition(b"\n")
        try:
            job_id, stored_sum, task = head.split(b" ", 2)
            if job_id.translate(None, _ID_LETTERS):
                line_end = b""
        except ValueError:
            line_end = b""
        if not (line_end and stored_sum):  # damaged between its parts, or in its id
            job_id, stored_sum, task, payload = _id_of(told, ref), DAMAGED, b"", told
        name = names.get(task)
        if name is None:
            name = names[task] = _text(task)
        jobs.append(
            Claimed(job_id.decode(), ref, name, payload, 0, b"", since_ms, number, only, None, stored_sum)
        )
    return Claim(jobs=jobs, now_ms=now, due_in_ms=_positive(due), paused=bool(paused), more=bool(more))


def settled(reply: list[Any]) -> Settled:
    return Settled(reply[0], [_text(job_id) for job_id in reply[1]], bool(reply[2]))


def ticked(reply: list[Any]) -> Ticked:
    return Ticked(
        now_ms=reply[0],
        lost=[_text(worker) for worker in reply[1]],
        lapsed=[_text(worker) for worker in reply[2]],
        promoted=reply[3],
        more=bool(reply[4]),
        due_in_ms=_positive(reply[5]),
        waiting=reply[6],
        alone=reply[7],
    )


def reclaimed(reply: list[int]) -> Reclaimed:
    return Reclaimed(moved=reply[0], buried=reply[1], more=bool(reply[2]), alive=bool(reply[3]))


def state(reply: bytes) -> State | None:
    return State(reply.decode()) if reply else None


def cancelled_again(reply: bytes) -> State | None:
    """An earlier copy of the call may have run: what is cancelled by now was waiting then."""
    found = state(reply)
    return State.WAITING if found is State.CANCELLED else found


def removed_again(reply: bytes) -> State | None:
    """The same: what is not there by now was there then, in whatever state."""
    return state(reply) or State.WAITING


def ids(reply: list[bytes]) -> list[str]:
    return [_text(job_id) for job_id in reply]


def counts(reply: list[Any]) -> Counts:
    found: dict[str, Any] = {
        name.decode(): number for name, number in zip(reply[::2], reply[1::2], strict=True)
    }
    return Counts(**found | {"paused": bool(found["paused"])})


def numbers(reply: list[bytes]) -> Mapping[str, int]:
    return {_text(name): int(number) for name, number in zip(reply[::2], reply[1::2], strict=True)}


def workers(reply: list[Any]) -> list[WorkerRecord]:
    return [
        WorkerRecord(_text(worker), info, expires, holding)
        for worker, info, expires, holding in zip(*[iter(reply)] * 4, strict=True)
    ]


def audit(reply: list[Any]) -> Audit:
    flat = ids(reply[1])
    return Audit(
        problems=[Problem(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)],
        ids=ids(reply[2]),
        cursor=_text(reply[0]),
        unsure=ids(reply[3]),
    )


def turn(reply: list[Any]) -> str | None:
    return _text(reply[1]) if reply[0] else None


def mended(reply: list[Any]) -> Mended:
    outcome: Any = _text(reply[0])
    return Mended(outcome, _text(reply[1]), bool(reply[2]))


def record(queue: str, flat: list[Any]) -> JobRecord | None:
    """A job's record from names and values; of a name that comes twice the first holds."""
    if not flat:
        return None
    stored: dict[bytes, Any] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        stored.setdefault(name, value)
    if (whole := stored.pop(b"homing", None)) is not None:
        stored[b"sum"], stored[b"task"], stored[b"payload"] = _parts_of(whole)
    payload, fields = stored.get(b"payload", b""), None
    task, stored_sum = _text(stored.get(b"task", b"")), stored.get(b"sum")
    where = State(stored[b"state"].decode())
    if not payload and where not in {State.COMPLETED, State.CANCELLED}:
        raw = [part for pair in stored.items() for part in pair]
        payload, fields = _foreign(None, raw)
    due, ended, worker = stored.get(b"due_ms"), stored.get(b"ended_ms"), stored.get(b"worker")
    job_id = _text(stored[b"id"])
    return JobRecord(
        id=job_id,
        queue=queue,
        state=where,
        task=task,
        payload=payload,
        corrupted=b"payload" in stored and bool(stored_sum) and stored_sum != checksum(task, payload),
        fields=fields,
        meta=stored.get(b"meta", b""),
        attempt=_whole(stored.get(b"attempt", 0)),
        priority=_whole(stored.get(b"priority", 0)),
        created_ms=_whole(stored[b"created_ms"]) if b"created_ms" in stored else made_ms(job_id) or 0,
        due_ms=_whole(due) if due is not None and where is State.SCHEDULED else None,
        worker=_text(worker) if worker is not None and where is State.ACTIVE else None,
        ended_ms=_whole(ended or stored[b"dead_ms"]) if ended or b"dead_ms" in stored else None,
        error=stored.get(b"error", b""),
        result=stored.get(b"result"),
        returned=bool(stored.get(b"returned")),
        crashes=_whole(stored.get(b"crashes", 0)),
        suspicions=_whole(stored.get(b"suspicions", 0)),
    )


@dataclass(frozen=True, slots=True)
class RecordOf:
    queue: str

    def __call__(self, reply: list[Any]) -> JobRecord | None:
        return record(self.queue, reply)


@dataclass(frozen=True, slots=True)
class RecordsOf:
    queue: str

    def __call__(self, reply: list[Any]) -> list[JobRecord | None]:
        return [record(self.queue, flat) for flat in reply]


@dataclass(frozen=True, slots=True)
class PageOf:
    queue: str

    def __call__(self, reply: list[Any]) -> Page:
        found = (record(self.queue, flat) for flat in reply[1])
        return Page([one for one in found if one is not None], _text(reply[0]))
