"""What the README shows is run as it stands there, and the stories in the docs are the ones told here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Server
from tools.stories import PAGE, ROOT, page

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


class Desk:
    """A folder in which somebody types what the README says."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.environment = os.environ | {"HOMING_URL": url, "HOMING_PREFIX": f"readme-{os.getpid()}"}

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def desk(valkey: Server, tmp_path: Path) -> Desk:
    return Desk(tmp_path, valkey.url)


def test_the_tasks_of_the_readme_run_and_give_the_result_it_shows(desk: Desk) -> None:
    tasks, calls, _ = blocks("python")
    (desk.folder / "tasks.py").write_text(tasks)
    (desk.folder / "calls.py").write_text(calls + "\nprint(job.result())\n")
    worker = subprocess.Popen(
        [sys.executable, "-m", "homing.cli.main", "worker", "tasks:app"],
        cwd=desk.folder,
        env=desk.environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert desk.run("calls.py") == "sent to alice@example.com\n"
    finally:
        worker.terminate()
        worker.wait(20)


def test_the_messages_of_the_readme_arrive(desk: Desk) -> None:
    *_, messages = blocks("python")
    (desk.folder / "messages.py").write_text(messages.replace(".consume()", ".consume(burst=True)", 1))
    assert desk.run("messages.py") == "bob@example.com\n"


def test_every_command_of_the_readme_is_there(desk: Desk) -> None:
    section = README.split("## The command")[1]
    named = re.search(r"`homing demo`, (.*?)\. Everything", section, re.DOTALL)
    assert named is not None
    listed = re.findall(r"`([^`]+)`", named[1])
    assert len(listed) == 14
    for words in listed:
        command, *verbs = words.split()
        said = desk.run("-m", "homing.cli.main", command, "--help")
        assert all(verb in said for verb in "|".join(verbs).split("|"))


def test_the_page_of_stories_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(), "write it anew: python tools/stories.py"
