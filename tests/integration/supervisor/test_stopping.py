"""Stopping a worker: the first signal drains, the second hands back, the third kills."""

import signal

from tests.integration.supervisor.conftest import RUN, Site


def test_the_first_signal_lets_running_jobs_end_and_hands_the_rest_back(site: Site) -> None:
    worker = site.worker(concurrency=2)
    jobs = [site.put("until", n, "go") for n in range(6)]
    site.wait_for(lambda: len(site.seen("start")) == 2)
    worker.stop()
    site.wait_for(lambda: "stopping how=drain" in worker.said())
    site.wait_for(lambda: "leaving ending=drained running=2" in worker.said())  # its process heard of it
    site.touch("go")
    assert worker.code() == 0
    assert sorted(n for n, _, _ in site.seen("end")) == [0, 1]  # each looks for the file by itself
    assert [site.state(job) for job in jobs] == ["completed"] * 2 + ["waiting"] * 4
    assert [site.attempts(job) for job in jobs[2:]] == [0] * 4
    assert site.queue.counts().workers == 0


#: A supervisor that is behind: its child works before it has read a word of it, and then it is told to stop.
BEHIND = f"""
import os, signal, time
from homing.worker import supervisor

def prepare():
    until_s = time.monotonic() + 20
    while not os.path.exists("witness") and time.monotonic() < until_s:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

supervisor.prepare = prepare
{RUN}
"""


def test_a_child_that_works_is_asked_to_drain_also_when_nobody_has_heard_of_it_yet(site: Site) -> None:
    job = site.put("until", 1, "go")
    worker = site.worker(program=BEHIND)
    site.wait_for(lambda: "stopping how=drain" in worker.said())
    site.wait_for(lambda: "leaving ending=drained running=1" in worker.said())
    site.touch("go")
    assert worker.code() == 0
    assert (site.state(job), len(site.seen("start"))) == ("completed", 1)


def test_the_second_signal_hands_running_jobs_back_without_an_attempt_and_exits_75(site: Site) -> None:
    worker = site.worker()
    jobs = [site.put("until", n, "never") for n in range(3)]
    site.wait_for(lambda: len(site.seen("start")) == 3)
    worker.stop()
    site.wait_for(lambda: "how=drain" in worker.said())
    worker.stop()
    assert worker.code() == 75
    assert [(site.state(job), site.attempts(job)) for job in jobs] == [("waiting", 0)] * 3
    assert (site.queue.counts().workers, site.queue.counts().suspects) == (0, 0)


def test_the_third_signal_kills_and_its_jobs_go_back_all_the_same(site: Site) -> None:
    worker = site.worker()
    job = site.put("block", 1)
    site.wait_for(lambda: len(site.seen("start")) == 1)
    for how in ("drain", "interrupt", "kill"):
        worker.stop(signal.SIGINT)
        site.wait_for(lambda how=how: f"how={how}" in worker.said())  # type: ignore[misc]
    assert worker.code() == 130
    assert site.state(job) == "waiting"


def test_rolling_restarts_under_load_run_every_job_once(site: Site) -> None:
    workers = [site.worker(concurrency=10) for _ in range(2)]
    for n in range(400):
        site.put("sleep", n, 0.01)
    for _ in range(3):
        site.wait_for(lambda: "child_ready" in workers[-1].said())
        old = workers.pop(0)
        old.stop()
        assert old.code() == 0
        workers.append(site.worker(concurrency=10))
    site.wait_for(site.empty)
    assert sorted(n for n, _, _ in site.seen("start")) == list(range(400))
    assert sorted(n for n, _, _ in site.seen("end")) == list(range(400))


def test_burst_ends_when_nothing_is_left_also_what_was_due_later(site: Site) -> None:
    jobs = [site.put("sleep", n, 0.0) for n in range(50)]
    jobs.append(site.put("sleep", 99, 0.0, delay=0.5))
    worker = site.worker(burst=True, processes=2)
    assert worker.code() == 0
    assert {site.state(job) for job in jobs} == {"completed"}
    assert site.queue.counts().workers == 0
