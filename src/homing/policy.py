"""What the end of one run means for its job: an outcome and a policy in, a decision out. Pure.

Everything about retries and times is also found here: `policy.Backoff`, `policy.seconds`, …
"""

import logging
import math
import random as dice
from dataclasses import dataclass

import msgspec

from homing import codec, events
from homing.checksum import checksum
from homing.errors import DecodeError, JobCorrupted, JobNotSigned, SettingsError, UnknownTask
from homing.job import Ack, Again, Bury, Cancel, Cancelled, Claimed, Dead, Decision, Outcome, Retry
from homing.limits import delay_until, priority, seconds, when
from homing.meta import Meta
from homing.retries import (
    Asking,
    Backoff,
    Delays,
    Fixed,
    Linear,
    Never,
    Policy,
    Random,
    as_policy,
    dump,
    load,
)

__all__ = [
    "Asking", "Backoff", "Delays", "Fixed", "Linear", "Never", "Policy", "Raised", "Returned",
    "as_policy", "corrupted", "decide", "delay_until", "dump", "load", "not_signed", "priority", "seconds",
    "unknown_task", "when",
]  # fmt: skip

#: The waits for a worker that knows a job's task.
_UNKNOWN_MIN_MS, _UNKNOWN_MAX_MS = 1_000, 10_000


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler returned; the value may be a Retry, Bury or Cancel."""

    value: object = None


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler, or what came before it, raised."""

    error: BaseException


def decide(
    job: Claimed,
    end: Returned | Raised,
    policy: Policy,
    *,
    result_max_bytes: int = codec.PAYLOAD_MAX_BYTES,
    random: Random = dice.random,
) -> Decision:
    """What becomes of a job after this run. Never raises.

    A `Retry(delay=…)` runs again whatever the policy says, without a delay as the policy says; a
    policy in the job's meta goes before its task's. What does not decode is buried at once, since
    another run would end the same way.
    """
    told = end.value if isinstance(end, Returned) else end.error
    if isinstance(end, Returned) and not isinstance(
        told, Outcome
    ):  # most of all: nothing of its past is asked
        return Ack(_result(job, told, result_max_bytes))
    attempt = job.attempt + 1
    meta = _meta(job)
    match told:
        case Outcome():
            return _as_told(told, attempt, meta, _own(meta, policy), random)
        case DecodeError():
            return _dead(told, attempt, meta, "it does not decode: another run would end the same way")
        case UnknownTask():
            return _dead(told, attempt, meta, "nobody knows its task")
        case _:
            assert isinstance(end, Raised)
            return _by_policy(end.error, attempt, meta, _own(meta, policy), random)


def unknown_task(
    job: Claimed, *, now_ms: int, patience_ms: int, problem: str = "", random: Random = dice.random
) -> Decision:
    """What becomes of a job whose task is not registered here: another worker may know it.

    It comes back uncharged after 1 to 10 seconds, until `patience_ms` after the first time; then it
    is buried, because of `problem` where it says more. `now_ms` is server time.
    """
    meta = _meta(job)
    since_ms = now_ms if meta.unknown_since_ms is None else meta.unknown_since_ms
    waited_ms = max(0, now_ms - since_ms)
    if waited_ms >= patience_ms:
        missing = f"no task named {job.task!r:.200} is registered" if job.task else "no task takes messages"
        remedy = "start one that has it" if job.task else "start one with a task of messages=True"
        error = UnknownTask(
            problem or f"{missing} in the workers of this queue: {remedy}, and replay the job"
        )
        return _dead(error, job.attempt, meta, f"no worker knew its task for {waited_ms / 1000:g} s")
    # Waiting as long as it has waited doubles the delay each time; the jitter spreads a whole batch.
    delay_ms = min(max(waited_ms, _UNKNOWN_MIN_MS), _UNKNOWN_MAX_MS) * (0.5 + random() / 2)
    delay_ms = min(math.ceil(delay_ms), patience_ms - waited_ms)
    return Again(delay_ms, job.attempt, msgspec.structs.replace(meta, unknown_since_ms=since_ms).write())


def corrupted(job: Claimed) -> Dead:
    """What becomes of a job whose checksum does not match: the dead letters, whole, uncharged."""
    error = JobCorrupted(
        f"the payload, or the name of the task, is not what was enqueued: its checksum is "
        f"{checksum(job.task, job.payload).decode()}, beside it stands {job.sum[:20].decode('utf-8', 'replace')!r}; "
        "replayed it is buried again, unless its hash is mended: to run it as it is, delete the hash's field `sum` first"
    )
    return _dead(error, job.attempt, _meta(job), "corrupted")


def not_signed(job: Claimed, fault: str) -> Dead:
    """What becomes of a job whose signature is missing or wrong: the dead letters, whole, uncharged."""
    error = JobNotSigned(
        f"{fault}: it did not run; whoever may put jobs in signs them with a key of signing_keys, "
        "and replayed as it is it is buried again"
    )
    return _dead(error, job.attempt, _meta(job), "signature")


def _as_told(outcome: Outcome, attempt: int, meta: Meta, policy: Policy, random: Random) -> Decision:
    match outcome:
        case Retry(delay=None):
            return _by_policy(outcome, attempt, meta, policy, random)
        case Retry(delay=delay):
            try:
                return _again(outcome, attempt, meta, seconds(delay, "Retry(delay)"))
            except SettingsError as broken:
                return _dead(outcome, attempt, meta, str(broken))
        case Cancel(reason=reason):
            return Cancelled(reason)
        case Bury(reason=reason):
            return _dead(outcome, attempt, meta, str(reason) or "its handler buried it")
    return _dead(
        outcome, attempt, meta, f"{codec.type_name(outcome)} is no outcome: Retry, Bury and Cancel are"
    )


def _by_policy(error: BaseException, attempt: int, meta: Meta, policy: Policy, random: Random) -> Decision:
    try:
        delay_s = policy.delay_s(attempt, error, random)
        delay_s = None if delay_s is None else seconds(delay_s, "the policy's delay")
    except BaseException as broken:  # a retry function is user code
        told = f"{codec.type_name(broken)}: {codec.safe_message(broken, 500)}"
        return _dead(error, attempt, meta, f"its retry function failed: {told}")
    if delay_s is None:
        return _dead(error, attempt, meta, f"no runs left after {attempt}")
    return _again(error, attempt, meta, delay_s)


def _again(error: BaseException, attempt: int, meta: Meta, delay_s: float) -> Again:
    return Again(math.ceil(delay_s * 1000), attempt, meta.after(attempt, error).write())


def _dead(error: BaseException, attempt: int, meta: Meta, reason: str) -> Dead:
    attempts = meta.after(attempt, error).errors
    return Dead(codec.encode_error(error, reason=reason, attempts=attempts), attempt)


def _result(job: Claimed, value: object, limit: int) -> bytes:
    """The result as JSON, or why there is none behind a `!`, which no JSON begins with, and an event: the
    work is done, and must not be done again for it.
    """
    try:
        return codec.encode_result(value, limit)
    except Exception as error:  # what JSON cannot carry, or too large; the value's own methods too
        events.emit("result_dropped", level=logging.WARNING, job=job.id, task=job.task, error=error)
        return b"!" + codec.safe_message(error, 500).encode("utf-8", "replace")


def _meta(job: Claimed) -> Meta:
    """The job's meta; nothing in place of what does not decode, which its run has told already."""
    try:
        return Meta.read(job.meta)
    except DecodeError:
        return Meta()


def _own(meta: Meta, policy: Policy) -> Policy:
    """The job's own policy, if it brought one that can be read."""
    try:
        return policy if meta.retry is None else load(meta.retry)
    except SettingsError as error:
        events.emit("retry_unreadable", level=logging.WARNING, error=error)
        return policy
