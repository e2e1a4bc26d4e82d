"""The server goes away, comes back, is full, or is another one than yesterday."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from homing import App, Queue
from homing.engines.engine import EngineName
from homing.errors import NewerData, QueueFull, ServerUnreachable
from homing.job import Counts
from tests.integration.queues.waiting import eventually
from tests.servers import Server, running, start

NAME = "valkey-9.1"


@pytest.fixture
def server() -> Iterator[Server]:
    with running(NAME) as server:
        yield server


@pytest.fixture
def app(server: Server) -> Iterator[App]:
    with App(server.url, deadline=1) as app:
        yield app


class Consumer:
    """A consumer in a thread, that acks everything."""

    def __init__(self, queue: Queue) -> None:
        self.taken: list[object] = []
        self.errors: list[BaseException] = []
        self._queue = queue
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        eventually(lambda: queue.counts().workers == 1)

    def _work(self) -> None:
        try:
            for job in self._queue.consume(idle=30):
                with job:
                    self.taken.append(job.payload)
                if job.payload == "stop":
                    return
        except BaseException as error:
            self.errors.append(error)

    def stop(self) -> None:
        self._queue.put("stop")
        self._thread.join()
        assert self.errors == []


def test_a_consumer_whose_connections_are_cut_goes_on(app: App, server: Server, queue: Queue) -> None:
    consumer = Consumer(queue)
    with server.redis() as plain:
        for number in range(5):
            plain.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            queue.put(number)
            eventually(lambda number=number: number in consumer.taken)  # type: ignore[misc]
    consumer.stop()
    assert (consumer.taken[:-1], queue.verify()) == ([0, 1, 2, 3, 4], [])


def test_a_consumer_outlasts_a_restart_of_the_server(tmp_path: Path, engine: EngineName) -> None:
    keeps = {"appendonly": "yes", "appendfsync": "always"}
    server = start(NAME, tmp_path / "data", **keeps)
    with App(server.url, deadline=1) as app:
        queue = app.queue("outbox", engine=engine)
        consumer = Consumer(queue)
        queue.put("before")
        eventually(lambda: consumer.taken == ["before"])
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        with pytest.raises(ServerUnreachable):
            queue.put("nowhere")
        with start(NAME, tmp_path / "data", **keeps):
            queue.put("after")
            eventually(lambda: consumer.taken == ["before", "after"])
            consumer.stop()
            # An ack that was sent again is refused and counted: the first one had done it.
            assert (replace(queue.counts(), refused=0), queue.verify()) == (Counts(finished=3), [])


def test_a_consumer_registers_again_on_a_server_that_lost_everything(
    app: App, server: Server, queue: Queue
) -> None:
    consumer = Consumer(queue)
    with server.redis() as plain:
        plain.flushall()
    queue.put("after")
    eventually(lambda: consumer.taken == ["after"])
    consumer.stop()


def test_the_ack_of_a_message_outlasts_an_outage(app: App, server: Server, queue: Queue) -> None:
    """The server stands still for longer than the client's deadline: the `with` waits for its answer."""
    queue.put("x")
    with queue.consume(block=False) as jobs:
        for job in jobs:
            with job:
                os.kill(server.pid, signal.SIGSTOP)
                threading.Timer(1.5, os.kill, (server.pid, signal.SIGCONT)).start()
    assert (replace(queue.counts(), refused=0), queue.verify()) == (Counts(finished=1), [])


@pytest.mark.exact_answers("a full server cannot say of a try whose answer was lost whether it ran")
def test_a_full_server_takes_nothing_in_and_still_drains(app: App, server: Server, queue: Queue) -> None:
    queue.put_many(["x" * 1000] * 500)
    with server.redis() as plain:
        plain.config_set("maxmemory", 1)
        with pytest.raises(QueueFull):
            queue.put("one too many")
        taken = 0
        for job in queue.consume(block=False, prefetch=50):
            with job:
                taken += 1
        assert (taken, queue.counts().waiting, queue.counts().active) == (500, 0, 0)
        plain.config_set("maxmemory", 0)
    queue.put("room again")
    assert queue.verify() == []


def test_a_first_call_without_a_server_says_so(server: Server, app: App, queue: Queue) -> None:
    server.stop()
    with pytest.raises(ServerUnreachable):
        next(iter(queue.consume()))


def test_a_queue_of_a_newer_release_is_refused(app: App, server: Server, queue: Queue) -> None:
    queue.put("x")
    with server.redis() as plain:
        plain.hset(queue.keys.meta, "version", "2")
    with App(server.url) as other, pytest.raises(NewerData, match="upgrade"):
        other.queue("outbox").put("y")


@pytest.mark.exact_answers("a full server cannot say of a try whose answer was lost whether it ran")
def test_what_was_stored_before_an_error_is_told(app: App, server: Server, queue: Queue) -> None:
    queue.put("opens")

    def payloads() -> Iterator[str]:
        yield from ["x"] * 1_500

    with server.redis() as plain:
        plain.config_set("maxmemory", 1)
        with pytest.raises(QueueFull) as raised:
            queue.put_many(payloads())
        plain.config_set("maxmemory", 0)
    assert raised.value.__notes__ == ["0 jobs of this call were stored in queue 'outbox' before it"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_puts_over_connections_of_its_own(app: App, queue: Queue) -> None:
    queue.put("parent")
    queue.put("parent")  # the second knows its way
    theirs = queue.sender.link.client
    pid = os.fork()
    if pid == 0:
        try:
            queue.put("child")
            queue.put("child")
            os._exit(int(queue.sender.link.client is theirs))
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    queue.put("parent again")
    assert queue.counts() == Counts(waiting=5)
