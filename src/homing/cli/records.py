"""How a stored job is shown: as a row, in full, and as JSON."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from homing.cli.output import Cell, json_of, text_of, when
from homing.errors import JobNotFound, SettingsError

if TYPE_CHECKING:
    from homing.cli.server import Administration
    from homing.engines.engine import Engine
    from homing.job import JobRecord, State

#: Jobs asked for in one round trip.
PAGE = 200


def parse_address(address: str) -> tuple[str, str]:
    """QUEUE/ID as its two parts; SettingsError with the form when it is none."""
    queue, slash, job_id = address.partition("/")
    if not (queue and slash and job_id):
        raise SettingsError(f"{address!r} is no job's address: write QUEUE/ID, as in emails/welcome-42")
    from homing.keys import check_id, check_queue

    return check_queue(queue), check_id(job_id)


def pages(server: "Administration", engine: "Engine", state: "State", limit: int) -> list["JobRecord"]:
    """The first `limit` jobs in a state, in the queue's order."""
    return list(islice(_walk(server, engine, state, limit), limit))


def _walk(server: "Administration", engine: "Engine", state: "State", limit: int) -> Iterator["JobRecord"]:
    cursor = ""
    while True:
        page = server.client.run(engine.peek(state, cursor=cursor, limit=min(limit, PAGE)))
        yield from page.jobs
        if not (cursor := page.cursor):
            return


def not_found(queue: str, job_id: str) -> JobNotFound:
    return JobNotFound(
        f"queue {queue!r} has no job {job_id!r}: it never had it, or it ended and was forgotten"
    )


def json_record(job: "JobRecord") -> dict[str, Any]:
    """The job as one JSON object; payload, meta, error and result as the values they hold."""
    from msgspec.structs import asdict

    value = asdict(job)
    for name in ("payload", "meta", "error", "result"):
        value[name] = json_of(value[name])
    return value


def payload_of(job: "JobRecord") -> str:
    if job.fields is not None:
        return " ".join(f"{name}={value}" for name, value in job.fields.items())
    return text_of(job.payload)


def kept_whole(job: "JobRecord") -> bool:
    """Whether more is known of a job than that it ended."""
    return job.state not in ("completed", "cancelled")


def task_of(job: "JobRecord") -> str:
    return (job.task or "(message)") if kept_whole(job) else ""


def error_of(job: "JobRecord") -> tuple[str, str]:
    """The type and the message of a dead job's error."""
    error = json_of(job.error)
    if not isinstance(error, dict):
        return "", str(error or "")
    return str(error.get("type", "")), str(error.get("message", "") or error.get("reason", ""))


def in_full(job: "JobRecord") -> dict[str, Cell]:
    """All that is known of a job, name by name; what is empty is left out."""
    fields: dict[str, Cell] = {
        "job": f"{job.queue}/{job.id}",
        "state": str(job.state),
        "task": task_of(job),
        "payload": payload_of(job),
        "corrupted": "the payload or the task's name is not what was enqueued" if job.corrupted else None,
        "meta": text_of(job.meta),
        "attempts": job.attempt if kept_whole(job) else None,
        "priority": job.priority if kept_whole(job) else None,
        "created": when(job.created_ms),
        "due": when(job.due_ms),
        "worker": job.worker,
        "ended": when(job.ended_ms),
        "result": text_of(job.result) if job.result is not None else None,
        "crashes": job.crashes or None,
        "suspicions": job.suspicions or None,
    }
    if job.error:
        error = json_of(job.error)
        kind, message = error_of(job)
        fields["error"] = f"{kind}: {message}" if kind else message
        if isinstance(error, dict):
            fields["reason"] = str(error.get("reason") or "")
            fields["traceback"] = str(error.get("traceback") or "").rstrip()
    return {name: value for name, value in fields.items() if value not in (None, "")}
