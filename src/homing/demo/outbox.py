"""The mails of the demo, as they lie in outbox.csv."""

import csv
import io
from dataclasses import dataclass
from importlib.resources import files

from homing.demo.mail import message_id


@dataclass(frozen=True, slots=True)
class Mail:
    recipient: str
    subject: str
    body: str

    @property
    def message_id(self) -> str:
        return message_id(self.recipient, self.subject, self.body)


def mails() -> list[Mail]:
    """All mails of the outbox, in the order of the file."""
    text = (files("homing.demo") / "outbox.csv").read_text(encoding="utf-8")
    return [Mail(**row) for row in csv.DictReader(io.StringIO(text, newline=""))]
