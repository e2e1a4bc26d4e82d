"""Handlers that misbehave: each has its end, the worker lives, and a hundred good jobs behind it all run."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from homing import App, Bury
from homing.engines.engine import EngineName
from homing.handle import remote_error
from homing.job import State
from tests.foreign import NEIGHBOURS, Site, dump
from tests.integration.cli_session import Shell
from tests.servers import Server


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class LyingKind(Exception):
    __module__ = None  # type: ignore[assignment]  # on purpose


class Untrue:
    """A result that breaks whoever looks at it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


def raises(error: BaseException | type[BaseException]) -> Callable[[], Any]:
    def handler() -> None:
        raise error

    return handler


def recursion() -> int:
    return recursion() + 1


def leaks_threads() -> None:
    for _ in range(10):
        threading.Thread(target=threading.Event().wait, args=(30,), daemon=True).start()


async def inner() -> str:
    await asyncio.sleep(0)
    return "awaited"


def deep_result() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


#: What the handler does, where its job ends, and words of the error or of why there is no result.
ROWS: list[tuple[str, Callable[[], Any], State, str]] = [
    ("stop-iteration", raises(StopIteration), State.DEAD, "StopIteration"),
    ("stop-async-iteration", raises(StopAsyncIteration), State.DEAD, "StopAsyncIteration"),
    ("system-exit", raises(SystemExit(3)), State.DEAD, "SystemExit"),
    ("keyboard-interrupt", raises(KeyboardInterrupt), State.DEAD, "KeyboardInterrupt"),
    ("generator-exit", raises(GeneratorExit), State.DEAD, "GeneratorExit"),
    ("cancelled-error", raises(asyncio.CancelledError), State.DEAD, "CancelledError"),
    (
        "group",
        raises(BaseExceptionGroup("many", [KeyboardInterrupt(), ValueError("x")])),
        State.DEAD,
        "Group",
    ),
    ("memory-error", raises(MemoryError), State.DEAD, "MemoryError"),
    ("recursion", recursion, State.DEAD, "RecursionError"),
    ("unsayable", raises(Unsayable), State.DEAD, "its __str__ raised RuntimeError"),
    ("kind-without-a-module", raises(LyingKind("x")), State.DEAD, "LyingKind"),
    ("long-message", raises(ValueError("x" * 10_000_000)), State.DEAD, "(cut)"),
    ("surrogate-message", raises(ValueError("\ud800\x00\x1b[2J")), State.DEAD, r"\ud800"),
    ("bury-nonsense", raises(Bury(reason=7)), State.DEAD, "7"),  # type: ignore[arg-type]
    ("result-set-of-objects", lambda: {object()}, State.COMPLETED, "has no form in JSON"),
    ("result-too-large", lambda: "x" * (2 << 20), State.COMPLETED, "the limit is 1,048,576"),
    ("result-nan", lambda: float("nan"), State.COMPLETED, "JSON has no nan"),
    ("result-untrue", Untrue, State.COMPLETED, "Untrue"),
    ("result-deep", deep_result, State.COMPLETED, "nested deeper"),
    ("result-exception-class", lambda: ValueError, State.COMPLETED, "has no form in JSON"),
    ("generator", lambda: (n for n in range(3)), State.DEAD, "generator"),
    ("leaks-threads", leaks_threads, State.COMPLETED, ""),
    ("changes-folder", lambda: os.chdir("/"), State.COMPLETED, ""),
]


def as_task(site: Site, kind: str, handler: Callable[[], Any]) -> Any:
    if kind == "thread":

        @site.app.task(queue=site.name, name="bad", retry=None)
        def bad() -> Any:
            return handler()

        return bad

    @site.app.task(queue=site.name, name="bad", retry=None)
    async def abad() -> Any:
        return handler()

    return abad


@pytest.mark.parametrize("engine", ["streams"], indirect=True)  # what a handler does reaches no engine
@pytest.mark.parametrize("kind", ["async", "thread"])
@pytest.mark.parametrize(("handler", "end", "says"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_handler_that_misbehaves_costs_its_own_job_alone(
    site: Site, kind: str, handler: Callable[[], Any], end: State, says: str
) -> None:
    here = Path.cwd()
    job = as_task(site, kind, handler).enqueue()
    try:
        dead = site.drain()
    finally:
        os.chdir(here)
    record = job.record()
    assert record.state is end
    if end is State.DEAD:
        error = remote_error(dead[job.id].error)
        assert says in error.type + error.message
        assert len(dead[job.id].error) < 60_000
        assert record.attempt == 1
    else:
        assert says in (record.result or b"").decode()
        assert (record.result or b"!").startswith(b"!") or not says


@pytest.mark.parametrize("engine", ["streams"], indirect=True)
def test_a_coroutine_that_a_sync_function_returns_is_awaited(site: Site) -> None:
    @site.app.task(queue=site.name)
    def returns_coroutine() -> Coroutine[Any, Any, str]:
        return inner()

    job = returns_coroutine.enqueue()
    assert site.drain() == {}
    assert job.result(timeout=2) == "awaited"


def test_without_result_ttl_no_result_is_kept(valkey: Server, engine: EngineName) -> None:
    from tests.foreign import site_on

    with site_on(valkey, engine, result_ttl=0) as site:

        @site.app.task(queue=site.name)
        async def seven() -> int:
            return 7

        job = seven.enqueue()
        assert site.drain() == {}
        record = job.record()
        assert (record.state, record.result, record.returned) == (State.COMPLETED, None, True)


def test_a_back_off_is_bounded_however_often_it_doubles() -> None:
    from homing import Backoff

    far = Backoff(times=1_000_000, base=10.0, cap=60.0)
    delays = [
        far.delay_s(attempt, ValueError(), lambda: 1.0) for attempt in (1, 2, 3, 4, 65, 5_000, 1_000_000)
    ]
    assert delays == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0]


KILLERS = """
import ctypes, os, sys
from homing import App

app = App({url!r}, prefix={prefix!r}, crash_max=1)

@app.task(queue="work", engine={engine!r})
async def good(number: int) -> int:
    return number

@app.task(queue="work")
def segfault() -> None:
    ctypes.string_at(0)

@app.task(queue="work")
def forks() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1]

@app.task(queue="work")
def closes() -> None:
    for fd in range(3):
        os.close(fd)
"""


@pytest.mark.parametrize("engine", ["lists"], indirect=True)
def test_a_handler_may_segfault_fork_or_close_what_is_not_its_own(
    valkey: Server, engine: EngineName, tmp_path: Path
) -> None:
    """What a death costs those that ran beside it is shown in integration/supervisor/test_deaths.py."""
    prefix = f"killers-{os.getpid()}"
    (tmp_path / "killers.py").write_text(KILLERS.format(url=valkey.url, prefix=prefix, engine=engine))
    names: dict[str, Any] = {}
    exec(compile((tmp_path / "killers.py").read_text(), "killers.py", "exec"), names)
    app: App = names["app"]
    with app:
        forks, closes = app.tasks["forks"].enqueue(), app.tasks["closes"].enqueue()
        good = app.tasks["good"].enqueue_many(app.tasks["good"].call(n) for n in range(NEIGHBOURS))
        said = Shell(tmp_path).homing("worker", "killers:app", "--burst")
        assert said.code == 0, said.err
        assert [job.result(timeout=2) for job in good] == list(range(NEIGHBOURS))
        assert [forks.state, closes.state] == [State.COMPLETED, State.COMPLETED]
        segfault, after = app.tasks["segfault"].enqueue(), app.tasks["good"].enqueue(7)
        said = Shell(tmp_path).homing("worker", "killers:app", "--burst")
        assert (said.code, after.result(timeout=2), segfault.state) == (0, 7, State.DEAD)
        error = remote_error(segfault.record().error)
        assert (error.type, "SIGSEGV" in error.message) == ("WorkerCrashed", True)
        assert app.queue("work").verify() == []
    with valkey.redis() as raw:
        for key in dump(raw, prefix):
            raw.unlink(key)
