"""Whoever of a worker's processes dies, what it had started does not live on."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.supervisor.conftest import Site


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


def test_a_supervisor_that_stood_still_costs_its_children_their_jobs_and_nothing_else(site: Site) -> None:
    first = site.worker(concurrency=5)
    for n in range(5):
        site.put("until", n, "go")
    site.wait_for(lambda: len(site.seen("start")) == 5)
    [left_alone] = {pid for _, pid, _ in site.seen("start")}
    site.worker(concurrency=5)
    site.wait_for(lambda: site.queue.counts().workers == 2)
    os.kill(first.process.pid, signal.SIGSTOP)
    site.wait_for(lambda: len(site.seen("start")) == 10)  # the lease lapsed: the other has them now
    site.touch("go")
    site.wait_for(lambda: len(site.seen("end")) == 10 and site.empty())
    assert (site.queue.counts().finished, alive(left_alone)) == (5, True)
    os.kill(first.process.pid, signal.SIGCONT)
    # Its child was not killed, and works again under a new id.
    site.wait_for(lambda: site.queue.counts().workers == 2)
    (site.folder / "go").unlink()
    for n in range(10, 20):
        site.put("until", n, "go")
    site.wait_for(lambda: {pid for n, pid, _ in site.seen("start") if n >= 10} >= {left_alone})
    site.touch("go")
    site.wait_for(site.empty)
    assert site.queue.counts().finished == 15
