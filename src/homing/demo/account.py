"""What a mail server accepted, deferred and refused: an append-only file that knows nothing of Redis."""

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ACCEPTED, DEFERRED, REFUSED = 250, 451, 550


class Ledger:
    """Writes the account: one JSON line for each answer, in the file before the answer is given."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, answer: int, recipient: str, message_id: str = "") -> None:
        line = {"answer": answer, "recipient": recipient, "id": message_id, "at": round(time.time(), 3)}
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Account:
    """How often each mail was accepted (250) and deferred (451), and each address refused (550)."""

    accepted: Counter[str] = field(default_factory=Counter)  # by message id
    deferred: Counter[str] = field(default_factory=Counter)  # by message id
    refused: Counter[str] = field(default_factory=Counter)  # by address

    @property
    def duplicates(self) -> int:
        """Mails accepted once more than needed, each time counted."""
        return self.accepted.total() - len(self.accepted)


def read(path: Path) -> Account:
    """The account so far; a line that is still being written is left for the next look."""
    account = Account()
    if not path.exists():
        return account
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        entry = json.loads(line)
        match entry["answer"]:
            case 250:
                account.accepted[entry["id"]] += 1
            case 451:
                account.deferred[entry["id"]] += 1
            case _:
                account.refused[entry["recipient"]] += 1
    return account
