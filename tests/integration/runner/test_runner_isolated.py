"""Tasks in processes of their own: a death fails one job, a time limit kills, nothing outlives the worker."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from homing import App, State
from homing.handle import Job
from tests.integration.runner.until import until


@pytest.fixture
async def tasks(url: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModuleType]:
    monkeypatch.setenv("HOMING_TEST_URL", url)
    monkeypatch.setenv("HOMING_TEST_PREFIX", prefix)
    import importlib

    from tests.integration.runner import tasks_apart

    module = importlib.reload(tasks_apart)
    yield module
    await module.app.aclose()


async def work(app: App, **options: Any) -> None:
    await asyncio.wait_for(app.worker(burst=True, isolates=1, **options).run(), 30)


def error(job: Job[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(job.record().error)
    return found


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_isolated_tasks_run_elsewhere_in_one_process_that_leads_its_group(tasks: ModuleType) -> None:
    jobs = [tasks.where.enqueue(), tasks.where.enqueue()]
    total = tasks.add.enqueue(2, 3)
    await work(tasks.app)
    (pid, group, attempt, queue), second = (json.loads(job.record().result or b"") for job in jobs)
    assert (pid != os.getpid(), group, attempt, queue, second[0]) == (True, pid, 1, "apart", pid)
    assert total.record().result == b"5"
    assert gone(pid)


async def test_a_function_made_a_task_by_a_plain_call_is_found(tasks: ModuleType) -> None:
    job = tasks.app.tasks["double"].enqueue(21)
    await work(tasks.app)
    assert job.record().result == b"42"


async def test_a_process_that_dies_fails_its_job_alone_by_its_policy(tasks: ModuleType) -> None:
    dead, left, raised, good = (
        tasks.dies.enqueue(),
        tasks.leaves.enqueue(),
        tasks.fails.enqueue(),
        tasks.add.enqueue(1, 1),
    )
    await work(tasks.app)
    assert [job.state for job in (dead, left, raised, good)] == [State.DEAD] * 3 + [State.COMPLETED]
    assert (dead.record().attempt, error(dead)["type"]) == (2, "homing.errors.WorkerCrashed")
    assert "SIGSEGV" in error(dead)["message"]
    assert "exited with 7" in error(left)["message"]
    assert error(raised)["type"] == "SystemExit"


async def test_a_time_limit_kills_the_process_with_all_it_started(tasks: ModuleType, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    late, good = tasks.hangs.enqueue(str(pids)), tasks.add.enqueue(1, 1)
    await work(tasks.app)
    assert (error(late)["type"], good.state) == ("homing.errors.TimeLimitExceeded", State.COMPLETED)
    await until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


async def test_an_interrupted_one_goes_back_uncharged(tasks: ModuleType, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    job = tasks.sleeps.enqueue(str(pid_file))
    worker = tasks.app.worker(isolates=1)
    await worker.start()
    await until(pid_file.exists)
    await worker.interrupt()
    worker._ticker.close()
    record = job.record()
    assert (record.state, record.attempt, worker.counts["released"]) == (State.WAITING, 0, 1)
    assert gone(int(pid_file.read_text()))
