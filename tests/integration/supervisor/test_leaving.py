"""A worker that is told to stop ends, whatever its children are doing, and blames no job for it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homing import App
from homing.engines.engine import EngineName
from tests.integration.supervisor.conftest import Site, Worker, site_on
from tests.integration.waiting import wait_for
from tests.servers import Server, running, start


@pytest.fixture
def engine() -> str:
    """How a tree ends does not depend on the engine."""
    return "streams"


def module(site: Site, name: str, code: str) -> str:
    (site.folder / f"{name}.py").write_text(f"from tasks import app, here\n{code}\n")
    return f"{name}:app"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_the_app_is_imported_ends_at_once(site: Site, number: int) -> None:
    code = "(here / 'importing').touch()\nimport threading\nthreading.Event().wait()"
    worker = site.worker(app=module(site, "slow", code), processes=2)
    site.wait_for((site.folder / "importing").exists)
    worker.stop(number)
    assert worker.code(5.0) == 0


def test_a_stop_right_after_the_start_leaves_nothing_behind(site: Site) -> None:
    worker = site.worker(processes=3)
    site.wait_for(lambda: "child_started" in worker.said())
    worker.stop()
    assert worker.code() == 0
    assert site.queue.counts().workers == 0


def test_a_stop_while_a_child_registers_is_obeyed_once_it_has(site: Site, valkey: Server) -> None:
    worker = site.worker()
    # The child connects for its loop once its app has answered; from then on it hears orders.
    with valkey.redis() as raw:
        site.wait_for(lambda: "child_started" in worker.said())
        raw.execute_command("CLIENT", "PAUSE", 20_000, "WRITE")
        try:
            site.wait_for(lambda: _waits_for_an_answer(worker))
            worker.stop()
            site.wait_for(lambda: "stopping" in worker.said())
        finally:
            raw.execute_command("CLIENT", "UNPAUSE")
    assert worker.code() == 0
    assert "failed" not in worker.said()
    assert site.queue.counts().workers == 0


def _waits_for_an_answer(worker: Worker) -> bool:
    """Whether the child has begun to register: it listens to orders from a thread of its own."""
    names = [
        task.read_text().strip()
        for pid in worker.children()
        for task in Path(f"/proc/{pid}/task").glob("*/comm")
    ]
    return len(names) > 1


def test_a_supervisor_can_keep_leases_before_a_child_has_any(site: Site) -> None:
    code = (
        "import json, sys\n"
        "from homing.worker.supervisor import Supervisor, WorkerOptions, run\n"
        "meet = Supervisor._meet\n"
        "def met(self, hello):\n"
        "    print('redis.connection' in sys.modules)\n"
        "    meet(self, hello)\n"
        "Supervisor._meet = met\n"
        "sys.exit(run(WorkerOptions(app='tasks:app', burst=True)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=site.folder, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"True\n")


def test_an_app_that_exits_when_imported_is_named(site: Site) -> None:
    worker = site.worker(app=module(site, "leaves", "import sys\nsys.exit(0)"))
    assert worker.code() == 1
    assert "leaves:app ended its process while it was imported" in worker.said()
    assert "Traceback" not in worker.said()


def test_what_the_app_registered_for_its_end_is_called(site: Site) -> None:
    code = "import atexit\natexit.register((here / 'flushed').touch)"
    assert site.worker(app=module(site, "flushes", code), burst=True).code() == 0
    assert (site.folder / "flushed").exists()


def test_a_burst_over_nothing_is_a_success_every_time(site: Site) -> None:
    workers = [site.worker(burst=True) for _ in range(4)]
    assert [worker.code() for worker in workers] == [0] * 4


@pytest.mark.parametrize("code", [0, 75, 86])
def test_a_handler_that_exits_like_a_worker_is_still_a_crash(site: Site, code: int) -> None:
    @site.app.task(queue="work")
    def leave(code: int) -> None: ...

    app = module(
        site, "leavers", "import os\n@app.task(queue='work')\ndef leave(code: int) -> None: os._exit(code)"
    )
    site.worker(app=app)
    job = leave.enqueue(code)
    site.wait_for(lambda: job.state == "dead", 30.0)
    record = job.record()
    assert record is not None
    assert (record.crashes, f"exited with {code}," in record.error.decode()) == (3, True)


def test_a_segmentation_fault_is_told_with_its_place(site: Site) -> None:
    code = "import ctypes\n@app.task(queue='work')\ndef fault() -> None: ctypes.string_at(0)"

    @site.app.task(queue="work")
    def fault() -> None: ...

    worker = site.worker(app=module(site, "faults", code))
    job = fault.enqueue()
    site.wait_for(lambda: job.state == "dead", 30.0)
    record = job.record()
    assert record is not None
    assert "was killed by SIGSEGV" in record.error.decode()
    assert "in fault" in record.error.decode()
    assert "in fault" in worker.said()


def test_a_third_signal_charges_nobody(site: Site) -> None:
    worker = site.worker()
    job = site.put("block", 1)
    site.wait_for(lambda: site.seen("start"))
    for how in ("drain", "interrupt", "kill"):
        worker.stop()
        site.wait_for(lambda how=how: f"how={how}" in worker.said())  # type: ignore[misc]
    assert worker.code() == 130
    record = site.app.job("work", job).record()
    assert record is not None
    assert (record.state, record.attempt, record.crashes, record.suspicions) == ("waiting", 0, 0, 0)


def test_a_loop_that_stands_still_does_not_keep_a_worker_that_is_to_stop(site: Site) -> None:
    tasks = site.folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace("app = App(", "app = App(deadline=0.5, url="))
    worker = site.worker(grace=0.1)
    job = site.put("block", 1)
    site.wait_for(lambda: site.seen("start"))
    worker.stop()
    assert worker.code() == 75
    assert "in block" in worker.said()
    record = site.app.job("work", job).record()
    assert record is not None
    assert (record.state, record.attempt, record.crashes) == ("waiting", 0, 0)


@pytest.mark.parametrize("engine", ["lists", "streams"])
def test_what_a_child_held_that_died_in_an_outage_is_given_back_after_it(
    tmp_path: Path, engine: EngineName
) -> None:
    (tmp_path / "site").mkdir()
    keeps = {"appendonly": "yes", "appendfsync": "always"}
    with contextlib.ExitStack() as until_the_end:
        server = until_the_end.enter_context(running("valkey-9.1", **keeps))
        again = until_the_end.enter_context(contextlib.ExitStack())
        site = until_the_end.enter_context(site_on(server, tmp_path / "site", engine))
        site.app.client.run(site.queue.engine(site.app.client).open({"lease_ms": 60_000}))
        worker = site.worker()
        jobs = [site.put("until", n, "go") for n in range(5)]
        site.wait_for(lambda: len(site.seen("start")) == 5)
        server.stop()
        os.kill(worker.children()[0], signal.SIGKILL)
        site.wait_for(lambda: "reclaim_delayed" in worker.said())
        again.enter_context(start("valkey-9.1", server.folder, **keeps))
        back_s = time.monotonic()
        site.wait_for(lambda: len(site.seen("start")) == 10, 30.0)
        assert time.monotonic() - back_s < 20  # and not the minute of the lease
        site.touch("go")
        site.wait_for(lambda: {site.state(job) for job in jobs} == {"completed"})


def test_a_worker_that_ends_in_an_outage_says_that_work_was_left(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    keeps = {"appendonly": "yes", "appendfsync": "always"}
    with contextlib.ExitStack() as until_the_end:
        server = until_the_end.enter_context(running("valkey-9.1", **keeps))
        again = until_the_end.enter_context(contextlib.ExitStack())
        site = until_the_end.enter_context(site_on(server, tmp_path / "site", "streams"))
        tasks = site.folder / "tasks.py"
        tasks.write_text(tasks.read_text().replace("app = App(", "app = App(deadline=0.5, url="))
        worker = site.worker(grace=1)
        job = site.put("until", 1, "go")
        site.wait_for(lambda: site.seen("start"))
        server.stop()
        worker.stop()
        site.touch("go")
        assert worker.code() == 75
        assert "outcomes_given_up outcomes=1" in worker.said()
        assert "child_overstays" not in worker.said()
        again.enter_context(start("valkey-9.1", server.folder, **keeps))
        site.worker()
        site.wait_for(lambda: site.state(job) == "completed")
        assert len(site.seen("end")) == 2


def test_without_a_url_the_worker_keeps_the_embedded_server_until_it_ends(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from homing import App\napp = App()\n@app.task\ndef double(n: int) -> int:\n    return 2 * n\n"
    )
    folder = tmp_path / ".homing"
    with App(folder=folder) as app:
        queue = app.queue("default")
        site = Site(tmp_path, app, queue)
        worker = site.worker(burst=False)
        try:
            _one_job_and_a_killed_child(app, worker)
            assert _servers_in(folder)
        finally:
            worker.stop()
        assert worker.code() == 0
    wait_for(lambda: not _servers_in(folder), 10.0)


def _one_job_and_a_killed_child(app: App, worker: Worker) -> None:
    @app.task
    def double(n: int) -> int:
        raise NotImplementedError

    assert double.enqueue(2).result(timeout=20) == 4
    os.kill(worker.children()[0], signal.SIGKILL)
    assert double.enqueue(4).result(timeout=20) == 8


def _servers_in(folder: Path) -> list[int]:
    """Pids of processes that work in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found
