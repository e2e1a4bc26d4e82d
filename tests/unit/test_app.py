"""Declaring tasks and queues, and everything that is refused before a server is asked."""

import asyncio
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import homing
from homing import App, Backoff, Fixed, Linear, Task
from homing.errors import EncodeError, PayloadTooLarge, ServerUnreachable, SettingsError, WrongKind
from homing.meta import Meta
from homing.task import Call

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def app() -> App:
    return App(NOWHERE, prefix="unit")


def test_the_public_names_are_all_there() -> None:
    assert {name: getattr(homing, name).__name__.rpartition(".")[2] for name in homing.__all__} == {
        name: name for name in homing.__all__
    }
    assert set(homing.__all__) <= set(dir(homing))
    with pytest.raises(AttributeError, match="has no attribute 'Ap'"):
        _ = homing.Ap


def test_importing_takes_neither_redis_nor_asyncio() -> None:
    code = "from homing import App; import sys; print([m for m in ('redis', 'asyncio', 'click') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_making_an_app_and_its_tasks_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOMING_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    app = App()

    @app.task
    def add(a: int, b: int) -> int:
        return a + b

    app.queue("emails", engine="lists")
    assert (add(1, 2), list(tmp_path.iterdir())) == (3, [])
    app.close()


def test_a_task_keeps_its_function(app: App) -> None:
    @app.task(queue="emails", retry=5, timeout=timedelta(seconds=30), priority=7)
    async def send_email(to: str) -> str:
        """Send it."""
        return to

    assert (send_email.name, send_email.queue, send_email.kind) == ("send_email", "emails", "async")
    assert (send_email.retry, send_email.timeout_s, send_email.priority) == (Backoff(times=5), 30.0, 7)
    assert (vars(send_email)["__name__"], send_email.__doc__) == ("send_email", "Send it.")
    assert asyncio.run(send_email("bob")) == "bob"
    assert (app.tasks, list(app.queues)) == ({"send_email": send_email}, ["emails"])


@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, "thread"), ({"isolation": "process"}, "process"), ({"retry": Fixed(1, 2)}, "thread")],
)
def test_how_a_task_is_run(app: App, options: dict[str, Any], kind: str) -> None:
    @app.task(**options)
    def work() -> None: ...

    assert work.kind == kind


def test_two_tasks_of_one_name_are_refused_with_both_places(app: App) -> None:
    @app.task(name="send")
    def one() -> None: ...

    with pytest.raises(SettingsError, match=r"test_app\.py:\d+ and .*test_app\.py:\d+.*another name"):

        @app.task(name="send")
        def two() -> None: ...

    assert app.tasks["send"] is one


def test_threads_that_first_use_a_queue_together_share_its_sender(app: App) -> None:
    """What is declared of the queue later must reach all of them."""
    both = threading.Barrier(2)

    class Slow(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            found = super().get(key, default)
            both.wait(10)
            return found

    app._senders = Slow()
    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(app._sender, ["emails", "emails"])
    assert one is two


def test_a_reloaded_module_may_register_again(app: App) -> None:
    def declare() -> Task[[], None]:
        @app.task
        def work() -> None: ...

        return work

    assert declare() is not declare()
    assert list(app.tasks) == ["work"]


def test_one_task_takes_the_messages_of_a_queue(app: App) -> None:
    @app.task(queue="outbox", messages=True)
    def one(recipient: str) -> None: ...

    with pytest.raises(SettingsError, match="take the messages of queue 'outbox'"):

        @app.task(queue="outbox", messages=True)
        def two(recipient: str) -> None: ...


class Thing:
    def method(self) -> None: ...


def gives() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda: None, "lambda"),
        (functools.partial(print, 1), "partial"),
        (Thing().method, "method"),
        (Thing, "class"),
        (gives, "yield"),
        (3, "int"),
    ],
)
def test_what_no_worker_could_run_is_refused(app: App, function: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        app.task(function)
    assert app.tasks == {}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": "5"}, "timeout=5"),
        ({"retry": -1}, "retry"),
        ({"retry": True}, "retry"),
        ({"retry": Backoff}, "Backoff"),
        ({"queue": "a}{b"}, "queue name"),
        ({"queue": ""}, "queue name"),
        ({"queue": None}, "queue must be a str"),
        ({"name": "a b"}, "task name"),
        ({"name": 3}, "name of a task"),
        ({"priority": 101}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"isolation": "thread"}, "isolation"),
        ({"engine": "lsits"}, "'lists' or 'streams'"),
    ],
)
def test_options_of_a_task_that_break_a_rule(app: App, options: dict[str, Any], why: str) -> None:
    def work() -> None: ...

    with pytest.raises((SettingsError, TypeError), match=why):
        app.task(**options)(work)
    assert (app.tasks, app.queues) == ({}, {})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"delay": float("nan")}, "delay"),
        ({"delay": -5}, "delay"),
        ({"delay": float("inf")}, "delay"),
        ({"delay": 1e20}, "delay"),
        ({"delay": timedelta.max}, "delay"),
        ({"delay": True}, "delay"),
        ({"delay": "5"}, "delay=5"),
        ({"at": datetime(2030, 1, 1)}, "tzinfo"),  # noqa: DTZ001 - that is the point
        ({"at": datetime.max.replace(tzinfo=UTC)}, "ten years"),
        ({"at": datetime.now(UTC), "delay": 1}, "give one of them"),
        ({"id": "a b"}, "job id"),
        ({"id": 5}, "id must be a str"),
        ({"id": "x" * 65}, "1 to 64"),
        ({"timeout": 0}, "timeout"),
        ({"priority": -101}, "priority"),
        ({"queue": "ü"}, "queue name"),
        ({"retry": lambda _error, _attempt: None}, "cannot travel"),
    ],
)
def test_options_of_one_job_that_break_a_rule(app: App, options: dict[str, Any], why: str) -> None:
    @app.task
    def work() -> None: ...

    with pytest.raises((SettingsError, TypeError), match=why):
        work.options(**options)


def test_options_of_one_job_travel_with_it(app: App) -> None:
    @app.task(priority=3)
    def work() -> None: ...

    bound = work.options(delay=1.5, id="welcome-42", timeout=2, retry=Linear(times=2, step=1), queue="other")
    job = bound.call().new_job()
    assert (job.id, job.own_id, job.task, job.delay_ms, job.priority) == ("welcome-42", True, "work", 1500, 3)
    assert bound.call().queue == "other"
    meta = Meta.read(job.meta)
    assert (meta.timeout_s, meta.retry) == (2.0, {"kind": "linear", "times": 2, "step": 1.0, "cap": 3600.0})
    assert work.call().new_job().meta == b""


def test_a_time_that_is_past_means_now(app: App) -> None:
    @app.task
    def work() -> None: ...

    assert work.options(at=datetime(2001, 1, 1, tzinfo=UTC)).call().new_job().delay_ms == 0
    soon = work.options(at=datetime.now(UTC) + timedelta(seconds=60)).call().new_job()
    assert 58_000 < soon.delay_ms <= 60_000


def test_one_call_enqueued_twice_is_two_jobs(app: App) -> None:
    @app.task
    def work() -> None: ...

    call: Call[None] = work.call()
    assert call.new_job().id != call.new_job().id


def test_wrong_arguments_fail_in_the_callers_face(app: App) -> None:
    @app.task
    def send(to: str, *, copies: int = 1) -> None: ...

    with pytest.raises(TypeError, match="to"):
        send.enqueue()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="copies"):
        send.enqueue("bob", copies="2")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cc"):
        send.enqueue("bob", cc="x")  # type: ignore[call-arg]

    @app.task
    def keep(value: Any) -> None: ...

    with pytest.raises(EncodeError, match=r"parameter value: args\[0\]\.a\[1\]"):
        keep.enqueue({"a": [1, object()]})
    with pytest.raises(PayloadTooLarge):
        keep.enqueue("x" * (1 << 20))


def test_the_limit_of_a_payload_can_be_set() -> None:
    app = App(NOWHERE, payload_max=100)

    @app.task
    def keep(value: str) -> None: ...

    with pytest.raises(PayloadTooLarge, match="100"):
        keep.call("x" * 100)
    with pytest.raises(PayloadTooLarge):
        app.queue("q").put("x" * 100)


def test_a_queue_has_one_engine_in_a_program(app: App) -> None:
    @app.task(queue="outbox")
    def work() -> None: ...

    assert app.queue("outbox").wanted is None
    assert app.queue("outbox", engine="lists") is app.queue("outbox")
    assert app.queue("outbox").wanted == "lists"
    with pytest.raises(SettingsError, match="choose one"):
        app.queue("outbox", engine="streams")


def test_settings_that_are_none_are_refused() -> None:
    with pytest.raises(SettingsError, match="did you mean deadline"):
        App(NOWHERE, deadlin=3)
    with pytest.raises(SettingsError, match="prefix"):
        App(NOWHERE, prefix="a b")
    with pytest.raises(TypeError, match="URL"):
        _ = App(42).client


def test_no_server_is_a_typed_error_within_the_deadline_and_hides_the_password() -> None:
    app = App("redis://me:secret@127.0.0.1:1/0", deadline=0.2)
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:1") as raised:
        app.queue("q").put("x")
    assert "secret" not in str(raised.value) + repr(app)


def test_no_option_is_accepted_and_ignored(app: App) -> None:
    @app.task
    def work() -> None: ...

    with pytest.raises(TypeError, match="unique_for"):
        work.options(unique_for=3600)  # type: ignore[call-arg]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_makes_its_own_clients(app: App) -> None:
    before = app.client
    pid = os.fork()
    if pid == 0:
        os._exit(0 if app.client is not before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert app.client is before


def test_one_value_where_many_are_meant_is_refused_and_not_taken_apart(app: App) -> None:
    """The app's server does not exist: what is refused here was never sent."""

    @app.task
    def work(number: int) -> None: ...

    queue = app.queue("outbox")
    calls: list[Any] = [work.call(1), 2]
    for wrong, says in (
        (lambda: queue.put_many({"recipient": "a@example.com"}), "payloads must be a list .* of messages"),
        (lambda: queue.put_many("abc"), "payloads must be a list"),
        (lambda: queue.put_many(5), "not int 5"),  # type: ignore[arg-type]
        (lambda: queue.replay("abc"), "ids must be a list .* of job ids, not str 'abc'"),
        (lambda: work.enqueue_many(work.call(1)), r"calls must be a list .* of task\.call\(\.\.\.\)"),  # type: ignore[arg-type]
        (lambda: work.enqueue_many(calls), r"made by task\.call\(\.\.\.\), not 2"),
        (lambda: app.worker(queues=5), "queues must be a list .* of queue names, not int 5"),  # type: ignore[arg-type]
        (lambda: app.worker(label=5), "label must be a text, not int 5"),  # type: ignore[arg-type]
        (lambda: app.task(messages="yes")(work.function), "messages must be"),  # type: ignore[call-overload]
    ):
        with pytest.raises(WrongKind, match=says):
            wrong()
    with pytest.raises(SettingsError, match="threads must be 1 to 1000"):
        app.worker(threads=1_001)


def test_a_state_that_is_none_is_told_which_there_are(app: App) -> None:
    queue = app.queue("outbox")
    with pytest.raises(SettingsError, match=r"one of scheduled, waiting, active, .*, not 'finished'"):
        queue.peek("finished")
    with pytest.raises(SettingsError, match=r"one of waiting, scheduled, dead, not .*active"):
        queue.purge("active")
    with pytest.raises(SettingsError, match="limit must be 1 to"):
        queue.dead(limit=0)
