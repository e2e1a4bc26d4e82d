"""Nothing is lost when processes of a worker die, and little time."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.supervisor.conftest import Site

LEASE_S = 2.0


def alive(pid: int) -> bool:
    """Whether it is there and no zombie: those wait for init, which takes its time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_killed_in_the_middle_of_100_jobs_gives_all_back_within_two_seconds(site: Site) -> None:
    site.worker()
    for n in range(100):
        site.put("until", n, "go")
    site.wait_for(lambda: len(site.seen("start")) == 100)
    [killed] = {pid for _, pid, _ in site.seen("start")}
    died_s = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    site.wait_for(lambda: len(site.seen("start")) == 200)
    again = [at - died_s for _, pid, at in site.seen("start") if pid != killed]
    assert len(again) == 100
    assert max(again) < 2.0
    site.touch("go")
    site.wait_for(site.empty)
    assert sorted(n for n, _, _ in site.seen("end")) == list(range(100))


def test_a_killed_tree_gives_its_jobs_to_another_worker_within_lease_and_two_seconds(site: Site) -> None:
    first = site.worker()
    for n in range(20):
        site.put("until", n, "go")
    site.wait_for(lambda: len(site.seen("start")) == 20)
    site.worker()
    site.wait_for(lambda: site.queue.counts().workers == 2)
    died_s = time.monotonic()
    first.signal_all(signal.SIGKILL)
    site.wait_for(lambda: len(site.seen("start")) == 40)
    assert max(at for _, _, at in site.seen("start")) - died_s < LEASE_S + 2.0
    site.touch("go")
    site.wait_for(site.empty)
    assert sorted(n for n, _, _ in site.seen("end")) == list(range(20))


def test_a_tree_that_stood_still_for_two_leases_is_refused_and_every_job_ends_once(site: Site) -> None:
    first = site.worker(concurrency=10)
    for n in range(10):
        site.put("until", n, "go")
    site.wait_for(lambda: len(site.seen("start")) == 10)
    stalled = {pid for _, pid, _ in site.seen("start")}
    site.worker(concurrency=10)
    site.wait_for(lambda: site.queue.counts().workers == 2)
    stood_s = time.monotonic()
    first.signal_all(signal.SIGSTOP)
    site.wait_for(lambda: len(site.seen("start")) == 20)
    site.touch("go")
    site.wait_for(site.empty)
    site.wait_for(lambda: time.monotonic() - stood_s > 2 * LEASE_S)
    # What woke up says that its ten jobs have ended, and nobody believes it.
    first.signal_all(signal.SIGCONT)
    site.wait_for(lambda: len(site.seen("end")) == 20)
    site.wait_for(lambda: site.queue.counts().workers == 2)
    ended_by_the_other = [n for n, pid, _ in site.seen("end") if pid not in stalled]
    assert sorted(ended_by_the_other) == list(range(10))
    counts = site.queue.counts()
    assert (counts.finished, counts.active, counts.waiting) == (10, 0, 0)
    assert "lease_lost" in first.said()


def test_a_tree_that_was_taken_for_dead_clears_the_names_of_what_it_ran(site: Site) -> None:
    first = site.worker(concurrency=1)
    job = site.app.job("work", site.put("until", 0, "go"))

    def suspicions() -> int:
        record = job.record()
        return record.suspicions if record else 0

    site.wait_for(lambda: site.seen("start"))
    site.worker(concurrency=1)
    site.wait_for(lambda: site.queue.counts().workers == 2)
    site.queue.pause()
    first.signal_all(signal.SIGSTOP)
    site.wait_for(lambda: suspicions() == 1)
    first.signal_all(signal.SIGCONT)
    site.touch("go")
    site.wait_for(lambda: suspicions() == 0)
    site.queue.resume()
    site.wait_for(site.empty)
    assert len(site.seen("end")) == 2


def test_children_and_what_they_started_die_with_their_supervisor(site: Site) -> None:
    worker = site.worker()
    site.put("apart", 1)
    site.put("until", 2, "never")
    site.wait_for(lambda: site.seen("apart") and site.seen("start"))
    below = [pid for pid in worker.tree() if pid != worker.process.pid]
    assert len(below) >= 2
    died_s = time.monotonic()
    worker.process.kill()
    site.wait_for(lambda: not any(alive(pid) for pid in below), 5.0)
    assert time.monotonic() - died_s < 1.0


def test_a_job_that_takes_its_process_down_is_tried_alone_and_then_buried(site: Site) -> None:
    site.worker()
    job = site.put("die", 1)
    site.wait_for(lambda: site.state(job) == "dead", 30.0)
    record = site.app.job("work", job).record()
    assert record is not None
    assert (record.crashes, record.attempt) == (3, 0)
    assert b"WorkerCrashed" in record.error
    assert b"exited with 7" in record.error
    assert len(site.seen("start")) == 3


def test_the_neighbours_of_a_job_that_kills_processes_all_end_and_none_is_buried_with_it(site: Site) -> None:
    site.worker(concurrency=101)
    neighbours = [site.put("until", n, "go") for n in range(100)]
    site.wait_for(lambda: len(site.seen("start")) == 100)
    killer = site.put("die", 999)
    site.wait_for(lambda: [n for n, _, _ in site.seen("start")].count(999) == 2, 30.0)
    site.touch("go")
    site.wait_for(lambda: site.state(killer) == "dead", 30.0)
    site.wait_for(site.empty, 30.0)
    assert {site.state(job) for job in neighbours} == {"completed"}
    assert sorted(n for n, _, _ in site.seen("end")) == list(range(100))


def test_a_loop_that_stands_still_is_killed_and_its_stacks_are_kept(site: Site) -> None:
    worker = site.worker(stall=1)
    job = site.put("block", 1)
    site.wait_for(lambda: site.state(job) == "dead", 40.0)
    assert "in block" in worker.said()
    record = site.app.job("work", job).record()
    assert record is not None
    assert b"in block" in record.error
    assert b"SIGKILL" in record.error


def test_a_stuck_thread_costs_its_process_and_not_its_neighbours(site: Site) -> None:
    site.worker(grace=0.2)
    neighbour = site.put("until", 2, "go")
    site.wait_for(lambda: len(site.seen("start")) == 1)
    job = site.put("stuck", 1)
    site.wait_for(lambda: site.state(job) == "dead")
    site.touch("go")
    site.wait_for(site.empty)
    assert site.state(neighbour) == "completed"
    assert len([n for n, _, _ in site.seen("start") if n == 1]) == 2
    record = site.app.job("work", job).record()
    assert record is not None
    assert (record.attempt, record.crashes) == (2, 0)
    assert b"TimeLimitExceeded" in record.error


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_the_worker_goes_on_after_its_child_was_killed(site: Site, number: int) -> None:
    worker = site.worker()
    site.wait_for(lambda: "child_ready" in worker.said())
    os.kill(worker.children()[0], number)
    job = site.put("sleep", 1, 0.0)
    site.wait_for(lambda: site.state(job) == "completed")
