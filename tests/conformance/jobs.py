"""Jobs for the conformance tests, and what makes variants of them."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from homing.ids import ALPHABET, ID_LENGTH
from homing.job import Claimed, Decision, JobRecord, NewJob, Settlement

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LEASE_MS = 10_000
ERROR = b'{"type":"SMTPError","message":"550 no such mailbox"}'

A = NewJob("a", "send", b'[["alice@example.com"],{}]', b'{"timeout":3}')
B = NewJob("b", "send", b'[["bob@example.com"],{}]')
C = NewJob("c", "send", b'[["carol@example.com"],{}]')
D = NewJob("d", "send", b'[["dave@example.com"],{}]')


def many(number: int, prefix: str = "j", **changes: Any) -> list[NewJob]:
    """Jobs j0000, j0001 …"""
    return [NewJob(f"{prefix}{i:04}", "send", **changes) for i in range(number)]


def made_at(ms: int, number: int) -> str:
    """An id as we make them: its millisecond, a number of 12 bits, and letters that do not matter."""
    letters = [ALPHABET[ms >> shift & 63] for shift in range(36, -6, -6)]
    letters += ALPHABET[number >> 6 & 63], ALPHABET[number & 63]
    return f"{''.join(letters)}{number:x}".ljust(ID_LENGTH, "x")


def later(job: NewJob, delay_ms: int) -> NewJob:
    return replace(job, delay_ms=delay_ms)


def at_priority(job: NewJob, priority: int) -> NewJob:
    return replace(job, priority=priority)


def chosen(job: NewJob) -> NewJob:
    """The job, its id chosen by the caller."""
    return replace(job, own_id=True)


def awaited(job: NewJob, process: str = "p") -> NewJob:
    """The job, its end awaited by a process."""
    return replace(job, reply=process)


def ids(jobs: Iterable[Claimed | JobRecord | NewJob]) -> list[str]:
    return [job.id for job in jobs]


def settlement(job: Claimed, decision: Decision, wait_ms: int = 0, run_ms: int = 0) -> Settlement:
    return Settlement(job.id, job.ref, decision, wait_ms, run_ms)
