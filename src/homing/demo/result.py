"""What the demo measured, at the receiving end and in the queue. No I/O."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from homing.demo.account import Account
from homing.demo.mail import message_id
from homing.demo.outbox import Mail
from homing.job import JobRecord


@dataclass(frozen=True, slots=True)
class Progress:
    sent: int
    retried: int
    dead: int
    waiting: int
    running: int

    def __str__(self) -> str:
        return (
            f"{self.sent:>3} sent, {self.retried:>2} retried, {self.dead:>2} dead, "
            f"{self.waiting:>3} waiting, {self.running:>2} running"
        )


@dataclass(frozen=True, slots=True)
class Result:
    """One engine's delivery of the whole outbox.

    sent: mails the SMTP server accepted. retried: its answers 451. dead: mails in the dead letters with
    the server's 550. duplicates: mails it accepted again. lost: mails that are in neither account.
    """

    engine: str
    sent: int
    retried: int
    dead: int
    killed: int
    duplicates: int
    lost: int
    seconds: float


def measure(
    engine: str,
    letters: Sequence[Mail],
    account: Account,
    dead: Sequence[JobRecord],
    *,
    killed: int,
    seconds: float,
) -> Result:
    """Count from the server's account and the dead letters, mail by mail."""
    buried = {_letter(job) for job in dead}
    refused = {one.message_id for one in letters if one.message_id in buried}
    lost = [
        one for one in letters if one.message_id not in account.accepted and one.message_id not in refused
    ]
    return Result(
        engine=engine,
        sent=len(account.accepted),
        retried=account.deferred.total(),
        dead=len(refused),
        killed=killed,
        duplicates=account.duplicates,
        lost=len(lost),
        seconds=round(seconds, 1),
    )


def _letter(job: JobRecord) -> str:
    """The message id of the mail that a job carries."""
    args, kwargs = json.loads(job.payload)
    return message_id(*args, **kwargs)


def epitaph(job: JobRecord) -> tuple[str, str]:
    """Whom a dead mail was for, and what its error said."""
    (recipient, *_), _ = json.loads(job.payload)
    return recipient, json.loads(job.error)["message"]
