"""Whoever of a worker's processes dies, what it had started does not live on."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.supervisor.conftest import Site

LEASE_S = 2.0


@pytest.fixture
def engine() -> str:
    """Processes die alike with both engines."""
    return "streams"


def alive(pid: int) -> bool:
    """Whether it runs; the dead that nobody waited for do not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("task", ["family", "family_apart"])
@pytest.mark.parametrize("who", ["supervisor", "child"])
def test_a_program_that_a_handler_started_dies_with_its_worker(site: Site, task: str, who: str) -> None:
    worker = site.worker()
    site.put(task, 1)
    site.wait_for(lambda: site.seen("started"))
    [(_, started, _)] = site.seen("started")
    assert alive(started)
    died_s = time.monotonic()
    os.kill(worker.process.pid if who == "supervisor" else worker.children()[0], signal.SIGKILL)
    site.wait_for(lambda: not alive(started), 5.0)
    assert time.monotonic() - died_s < 1.0


def test_a_child_that_is_told_to_go_drains_and_another_takes_its_place(site: Site) -> None:
    worker = site.worker()
    first = site.put("until", 1, "go")
    site.wait_for(lambda: site.seen("start"))
    [child] = worker.children()
    os.kill(child, signal.SIGTERM)
    site.wait_for(lambda: site.queue.counts().active == 1)
    site.touch("go")
    site.wait_for(lambda: not alive(child))
    second = site.put("sleep", 2, 0.0)
    site.wait_for(lambda: site.state(second) == "completed")
    assert site.state(first) == "completed"
    assert [n for n, _, _ in site.seen("start")] == [1, 2]


def test_a_child_that_cannot_start_again_is_tried_later_and_later(site: Site) -> None:
    worker = site.worker()
    site.wait_for(lambda: "child_ready" in worker.said())
    source = (site.folder / "tasks.py").read_text()
    (site.folder / "tasks.py").write_text("raise RuntimeError('a bad deploy')\n")
    os.kill(worker.children()[0], signal.SIGKILL)
    site.wait_for(lambda: worker.said().count("RuntimeError: a bad deploy") == 3)
    (site.folder / "tasks.py").write_text(source)
    job = site.put("sleep", 1, 0.0)
    site.wait_for(lambda: site.state(job) == "completed")
    worker.stop()
    assert worker.code() == 0


def test_a_supervisor_that_stands_still_does_not_hold_its_child_up(site: Site) -> None:
    worker = site.worker(stall=2)
    held = site.put("until", 1, "go")
    site.wait_for(lambda: site.seen("start"))
    [child] = worker.children()
    stopped_s = time.monotonic()
    os.kill(worker.process.pid, signal.SIGSTOP)
    site.wait_for(lambda: time.monotonic() - stopped_s > 2 * LEASE_S)
    # Nobody keeps its lease now: it asks the server itself before it starts another job.
    meanwhile = site.put("sleep", 2, 0.0)
    site.wait_for(lambda: site.state(meanwhile) == "completed")
    os.kill(worker.process.pid, signal.SIGCONT)
    site.touch("go")
    site.wait_for(lambda: site.state(held) == "completed")
    assert worker.children() == [child]
    assert [(n, pid) for n, pid, _ in site.seen("end")] == [(2, child), (1, child)]
    worker.stop()
    assert worker.code() == 0
