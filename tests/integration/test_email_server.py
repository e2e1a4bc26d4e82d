"""The demo's SMTP server and outbox, spoken to with the standard library."""

import smtplib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from homing.demo import mail
from homing.demo.account import Account, read
from homing.demo.outbox import Mail, mails


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "accepted.jsonl"


@pytest.fixture
def _server(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    command = [sys.executable, "-m", "homing.demo.smtp", "--port", "0", "--account", str(ledger), "--leash"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        monkeypatch.setenv("SMTP_SERVER", process.stdout.readline().split()[-1])
        yield
        process.stdin.close()
        assert process.wait(10) == 0


def send(letter: Mail) -> None:
    mail.send(letter.recipient, letter.subject, letter.body)


def test_the_outbox_holds_over_200_varied_mails() -> None:
    letters = mails()
    assert len(letters) >= 200
    assert len({letter.message_id for letter in letters}) == len(letters)
    assert len({letter.body for letter in letters}) > 0.95 * len(letters)
    assert max(len(letter.body) for letter in letters) > 10_000
    assert any(not letter.recipient.isascii() for letter in letters)
    assert any('"' in letter.body and "," in letter.body and "\n" in letter.body for letter in letters)


@pytest.mark.usefixtures("_server")
def test_every_mail_of_the_outbox_passes_smtp_with_its_moods(ledger: Path) -> None:
    letters, left = mails(), mails()
    refused: list[Mail] = []
    for _ in range(3):
        again: list[Mail] = []
        for letter in left:
            try:
                send(letter)
            except smtplib.SMTPException as error:
                (refused if mail.is_refused(error) else again).append(letter)
        left = again
    account = read(ledger)
    busy = Counter(
        {one.message_id: 2 for one in letters if one.recipient.rstrip(">").endswith("@busy.example")}
    )
    assert left == []
    assert set(account.accepted) | {one.message_id for one in refused} == {one.message_id for one in letters}
    assert (account.duplicates, account.deferred, account.refused.total()) == (0, busy, len(refused))
    assert all("@gone.example" in one.recipient for one in refused)
    assert len(busy) >= 10 <= len(refused)


@pytest.mark.usefixtures("_server")
def test_a_mail_sent_twice_is_seen_as_a_duplicate(ledger: Path) -> None:
    send(mails()[0])
    send(mails()[0])
    assert read(ledger).duplicates == 1


@pytest.mark.usefixtures("_server")
def test_a_mail_with_lines_that_start_with_dots_is_accepted_once(ledger: Path) -> None:
    letter = Mail("Zoë <zoe@example.com>", "dots", ".\n..\n. and so on\n" + "x" * 2_000)
    send(letter)
    assert read(ledger) == Account(accepted=Counter({letter.message_id: 1}))


def test_an_account_whose_last_line_is_half_written_is_read_up_to_it(ledger: Path) -> None:
    ledger.write_text('{"answer": 250, "recipient": "a@b.c", "id": "1"}\n{"answer": 2')
    assert read(ledger).accepted == Counter({"1": 1})
