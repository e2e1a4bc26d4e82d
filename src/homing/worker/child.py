"""One worker process: imports the app and runs its jobs; started and watched by a supervisor.

`python -m homing.worker.child SOCKET PAGE STACKS LEASH`, numbers of inherited files.
"""

import asyncio
import atexit
import contextlib
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from homing import events
from homing.errors import AppNotFound, HomingError, ServerError, ServerUnfit, SettingsError
from homing.worker import kin
from homing.worker.orders import (
    CONDEMNED,
    DONE,
    FAILED,
    HANDED_BACK,
    LOG_FORMAT,
    NO_SERVER,
    UNFIT,
    USAGE,
    Bye,
    Hello,
    Join,
    Leave,
    Ready,
    Said,
    Start,
    line,
    read_start,
)
from homing.worker.page import Joined, Page

if TYPE_CHECKING:
    from homing.app import App
    from homing.worker.runner import Ending, Runner


class Channel:
    """The socket to the supervisor. Its end is the supervisor's end, and ours."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._file = self._socket.makefile("rb")
        self._lock = threading.Lock()

    def start(self) -> Start:
        """The first line: what this child is to be."""
        return read_start(self._file.readline())

    def say(self, message: Said) -> None:
        with self._lock:
            self._socket.sendall(line(message))

    def listen(self, obey: Callable[[str], object]) -> None:
        """Hand each further line to `obey`, from a thread: also a loop that stands still must end."""

        def read() -> None:
            for text in self._file:
                obey(text.decode().strip())
            kin.kill_own_group()

        threading.Thread(target=read, name="homing-orders", daemon=True).start()


def main(arguments: list[str]) -> int:
    fds = [int(argument) for argument in arguments]
    for fd in fds:
        os.set_inheritable(fd, False)  # what handlers start has no business with them
    channel = Channel(fds[0])
    start = channel.start()
    kin.die_with(start.parent)
    kin.guard_group(fds[3])
    faulthandler.enable(file=fds[2])
    faulthandler.register(signal.SIGUSR2, file=fds[2])
    # Ctrl-C is for the supervisor to decide. Not SIG_IGN: the programs that handlers start would inherit it.
    signal.signal(signal.SIGINT, lambda *_: None)
    logging.basicConfig(level=start.log_level, format=LOG_FORMAT, stream=sys.stderr)
    code = _run(start, channel, Page(fds[1], lambda said: channel.say(_told(said))))
    if code != CONDEMNED:  # what the app registered for the end of its process
        atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(OSError):  # nobody is there to hear it
        channel.say(Bye(code))
    return code


def _run(start: Start, channel: Channel, page: Page) -> int:
    try:
        app = _app(start, channel)
        # What was imported stays: the collector need not look at it again while jobs come and go.
        gc.collect()
        gc.freeze()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_work(app, start, channel, page))
    except HomingError as error:
        print(f"Error: {error}", file=sys.stderr)
        return _code_of(error)
    except SystemExit as left:
        print(f"Error: {start.app} ended its process while it was imported: {left!r}", file=sys.stderr)
        return FAILED
    except Exception:
        traceback.print_exc()
        return FAILED


def _told(said: Joined | int) -> Said:
    return Join(said) if isinstance(said, Joined) else Leave(said)


def _code_of(error: HomingError) -> int:
    if isinstance(error, ServerUnfit):
        return UNFIT
    if isinstance(error, ServerError):
        return NO_SERVER
    return USAGE if isinstance(error, SettingsError | AppNotFound) else FAILED


def _app(start: Start, channel: Channel) -> "App":
    """The app, once its server has answered."""
    from homing.command import Command
    from homing.discovery import load_app

    app = load_app(start.app)
    target, settings = app.target(), app.settings
    folder = None if app.embedded_folder is None else str(app.embedded_folder.absolute())
    channel.say(
        Hello(
            target=replace(target, revive=None),
            prefix=settings.prefix,
            folder=folder,
            deadline_s=settings.deadline,
            stall_s=settings.stall,
            grace_s=settings.grace,
            verify_every_s=settings.verify_every,
        )
    )
    app.client.run(Command(("PING",), (), (), bool))
    if start.first:
        from homing.worker import fit

        fit.check(app.client, settings)
    return app


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _work(app: "App", start: Start, channel: Channel, page: Page) -> int:
    from homing.worker.runner import Runner
    from homing.worker.sizes import queues_of

    having = queues_of(app.tasks)
    queues = having if start.queues is None else start.queues
    if not queues:
        raise SettingsError(f"{start.app} has no task: declare one with @app.task, or give --queue")
    if strange := [queue for queue in queues if queue not in having]:
        events.emit("queues_without_a_task", level=logging.WARNING, queues=strange, tasks_are_in=having)
    runner = Runner(
        app,
        queues=queues,
        heart=page,
        concurrency=start.concurrency,
        threads=start.threads,
        burst=start.burst,
        solo=start.solo,
        grace=start.grace_s,
        spec=start.app,
    )
    stops = _Stops(runner)
    loop = asyncio.get_running_loop()
    channel.listen(lambda order: loop.call_soon_threadsafe(stops.obey, order))
    loop.add_signal_handler(signal.SIGTERM, stops.obey, "drain")
    await runner.start()
    stops.begin()
    channel.say(Ready(queues))
    return _exit_code(await runner.wait(), runner)


class _Stops:
    """Obeys `drain` and `interrupt`; what comes while the runner starts, as soon as it has."""

    def __init__(self, runner: "Runner") -> None:
        self._runner = runner
        self._tasks: set[asyncio.Task[Any]] = set()
        self._early: list[str] | None = []

    def begin(self) -> None:
        early, self._early = self._early or [], None
        for order in early:
            self.obey(order)

    def obey(self, order: str) -> None:
        if self._early is not None:
            self._early.append(order)
            return
        stop = self._runner.interrupt() if order == "interrupt" else self._runner.drain()
        task = asyncio.get_running_loop().create_task(stop)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _exit_code(ending: "Ending", runner: "Runner") -> int:
    if ending == "condemned":
        return CONDEMNED
    return HANDED_BACK if runner.counts["interrupted"] or runner.counts["untold"] else DONE


if __name__ == "__main__":
    # At once: threads of user code that nobody can stop must not keep it.
    os._exit(main(sys.argv[1:]))
