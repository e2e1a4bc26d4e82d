"""The parent of worker processes: starts them, keeps their leases, gives back what a dead one held.

It imports no user code. Its main thread forks, since what dies with its parent dies with that thread.
"""

import logging
import math
import os
import selectors
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Self

import msgspec

from homing import events
from homing.client import Client, prepare
from homing.delivery.heart import boot_s
from homing.embedded import Membership, join
from homing.errors import SettingsError
from homing.keys import check_queue
from homing.limits import seconds, whole
from homing.worker import kin
from homing.worker.children import Child
from homing.worker.keeping import Keeping
from homing.worker.orders import DONE, FAILED, HANDED_BACK, LOG_FORMAT, Hello, Start
from homing.worker.patrol import Patrol
from homing.worker.reclaimer import Owed, Reclaimer

#: How often the supervisor looks up when nothing tells it to.
LOOK_S = 0.5
#: A child that lived shorter than this is started again later and later.
YOUNG_S = 5.0
RESTART_S, RESTART_MAX_S = 0.1, 10.0
#: A child that was told to stop has its grace, this long to end its handlers, and in an outage the
#: deadlines of its last claim, of looking what that took, of the outcomes and of its leave.
LEAVE_S, LEAVE_CALLS = 5.0, 4
#: What a third stop signal ends with.
KILLED = 130


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What `homing worker` was asked for; None leaves it to the app's settings. Times in seconds."""

    app: str
    queues: Sequence[str] | None = None
    processes: int = 1
    concurrency: int | None = None
    threads: int | None = None
    burst: bool = False
    grace: float | None = None
    stall: float | None = None
    log_level: int = logging.INFO

    def __post_init__(self) -> None:
        for queue in self.queues or ():
            check_queue(queue)
        whole(self.processes, "processes", minimum=1, maximum=1024)
        for name, maximum in (("concurrency", 10_000), ("threads", 1_000)):
            if (value := getattr(self, name)) is not None:
                whole(value, name, minimum=1, maximum=maximum)
        for name in ("grace", "stall"):
            if (given := getattr(self, name)) is not None:
                seconds(given, name)
        if self.stall is not None and self.stall < 1:
            raise SettingsError(f"stall must be at least 1 s, not {self.stall!r}")


def run(options: WorkerOptions) -> int:
    """Work until told to stop, or in burst until nothing is left; returns the exit code.

    0 done, 75 when running jobs were handed back, 130 after a third signal; 1, 2, 69 or 78 when the first
    child could not start, which has said why.
    """
    logging.basicConfig(level=options.log_level, format=LOG_FORMAT, stream=sys.stderr)
    with Supervisor(options) as supervisor:
        return supervisor.run()


class Supervisor:
    """`with Supervisor(options) as one: one.run()`; its end kills what is left of its children."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._start = Start(
            app=options.app,
            parent=os.getpid(),
            queues=None if options.queues is None else list(options.queues),
            concurrency=options.concurrency,
            threads=options.threads,
            grace_s=options.grace,
            burst=options.burst,
            log_level=options.log_level,
        )
        self._children: list[Child] = []
        self._due: list[tuple[float, Start]] = []  # when to start which child again
        self._failures = 0
        self._ever_ready = False
        self._stops = 0  # stop signals so far
        self._heard = 0  # of those acted on
        self._code = DONE
        self._suspects: deque[str] = deque()  # queues, from the ticking thread
        self._gone_s = math.inf  # boot_s() time at which every child must be gone
        self._selector = selectors.DefaultSelector()
        self._client: Client | None = None
        self._reclaimer: Reclaimer | None = None
        self._stall_s = 300.0
        self._grace_s = 0.0 if options.grace is None else options.grace
        self._leave_s = LEAVE_S
        self._keeping: Keeping | None = None
        self._membership: Membership | None = None

    def __enter__(self) -> Self:
        self._bell, ringer = socket.socketpair()
        self._bell.setblocking(False)
        ringer.setblocking(False)
        self._ringer = ringer
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._old_wakeup = signal.set_wakeup_fd(ringer.fileno(), warn_on_full_buffer=False)
        self._old_handlers = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.kill()
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        if self._keeping is not None:
            self._keeping.close()
        if self._client is not None:
            self._client.close()
        if self._membership is not None:
            self._membership.close()
        self._selector.close()
        self._bell.close()
        self._ringer.close()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stops += 1

    def run(self) -> int:
        """The exit code, once every child has ended and is not to be started again."""
        self._spawn(msgspec.structs.replace(self._start, first=True))
        prepare()  # while the child imports its app: its lease must be kept from its first second on
        while self._children or self._due or (self._owes() and not self._stops):
            self._wait()
            kin.reap_orphans({child.pid for child in self._children})
            for child in list(self._children):
                self._look_after(child)
            # A child that works is asked to end: what it said of itself may have waited for us till now.
            self._obey()
            if self._reclaimer is not None:
                self._reclaimer.work()
            self._start_solo()
            self._start_due()
        if self._heard >= 3:
            return KILLED
        if self._reclaimer is not None:
            self._reclaimer.work(now=True)
        return self._code

    def _owes(self) -> bool:
        return self._reclaimer is not None and self._reclaimer.owes

    # What happens.

    def _wait(self) -> None:
        next_s = min((at_s for at_s, _ in self._due), default=boot_s() + LOOK_S)
        if self._heard == self._stops:
            for key, _ in self._selector.select(max(0.0, min(LOOK_S, next_s - boot_s()))):
                if key.fileobj is self._bell:
                    self._bell.recv(4096)

    def _obey(self) -> None:
        """The first stop signal drains, the second interrupts, the third kills."""
        while self._heard < self._stops:
            self._heard += 1
            self._due.clear()
            how = ("drain", "interrupt", "kill")[min(self._heard, 3) - 1]
            self._gone_s = boot_s() + self._leave_s + (self._grace_s if how == "drain" else 0.0)
            events.emit("stopping", how=how)
            for child in self._children:
                if how == "kill" or child.hello is None:  # one that still imports its app has nothing to end
                    child.stop()
                else:
                    child.order(how)

    def _look_after(self, child: Child) -> None:
        was_ready, open_ended = child.ready, child.read()
        if not open_ended:
            self._unregister(child)
        if child.hello is not None and self._client is None:
            self._meet(child.hello)
        code = child.ended()
        if code is not None:
            child.read()  # its last words
        if child.ready and not was_ready:
            self._is_ready(child)
        if code is not None:
            self._bury(child, code)
        elif child.stalled(self._stall_s):
            self._give_up(child, "child_stalled")
            child.kill()
        elif boot_s() > self._gone_s and not child.stopped:
            self._give_up(child, "child_overstays")
            self._code = HANDED_BACK
            child.stop()

    def _give_up(self, child: Child, why: str) -> None:
        events.emit(why, level=logging.ERROR, pid=child.pid)
        child.dump()
        _log_stacks(child)

    def _is_ready(self, child: Child) -> None:
        events.emit("child_ready", pid=child.pid, solo=child.what.solo)
        if not self._ever_ready:
            self._ever_ready = True
            self._due += [(boot_s(), self._start)] * (self._options.processes - 1 if self._stops == 0 else 0)

    def _meet(self, hello: Hello) -> None:
        """The first child knows where the server is: from now on its leases are kept from here."""
        target = hello.target
        if hello.folder is not None:
            self._membership = join(Path(hello.folder))
            target = replace(target, revive=self._membership.revive)
        self._client = Client(target, deadline=hello.deadline_s)
        self._reclaimer = Reclaimer(self._client, hello.prefix)
        self._stall_s = hello.stall_s if self._options.stall is None else self._options.stall
        self._grace_s = hello.grace_s if self._options.grace is None else self._options.grace
        self._leave_s = LEAVE_S + LEAVE_CALLS * hello.deadline_s
        ticking = Client(target, deadline=hello.deadline_s)
        self._keeping = Keeping(
            ticking,
            hello.prefix,
            lambda: list(self._children),
            self._suspects.append,
            Patrol(ticking, hello.verify_every_s),
        )

    # Children.

    def _spawn(self, start: Start) -> None:
        child = Child(start)
        self._children.append(child)
        self._selector.register(child.socket, selectors.EVENT_READ)
        events.emit("child_started", pid=child.pid, solo=start.solo)

    def _unregister(self, child: Child) -> None:
        if child.socket in self._selector.get_map():
            self._selector.unregister(child.socket)

    def _bury(self, child: Child, code: int) -> None:
        """A child has ended: give back what it held, and start another where one is due."""
        self._children.remove(child)
        self._unregister(child)
        crashed = not child.said_bye and not child.stopped
        if crashed and not child.still_s:
            _log_stacks(child)
        error = child.crash(code)
        if self._reclaimer is not None:
            self._reclaimer.owe(
                Owed(member, started, error, died=crashed) for member, started in child.running()
            )
        lived_s = boot_s() - child.started_s
        child.close()
        events.emit(
            "child_ended",
            level=logging.WARNING if crashed else logging.INFO,
            pid=child.pid,
            code=code,
            lived_s=round(lived_s, 1),
        )
        if code == HANDED_BACK and self._stops:
            self._code = HANDED_BACK
        if self._stops or child.what.solo or (self._options.burst and code == DONE and not crashed):
            return
        if self._ever_ready:
            self._restart_later(child.what, lived_s)
        else:
            self._code = code if code > 0 else FAILED

    def _restart_later(self, start: Start, lived_s: float) -> None:
        self._failures = 0 if lived_s >= YOUNG_S else self._failures + 1
        rest_s = 0.0
        if self._failures > 1:
            rest_s = min(RESTART_MAX_S, RESTART_S * 2 ** min(self._failures - 2, 10))
        self._due.append((boot_s() + rest_s, msgspec.structs.replace(start, first=False)))

    def _start_due(self) -> None:
        now_s = boot_s()
        due = [start for at_s, start in self._due if at_s <= now_s]
        self._due = [(at_s, start) for at_s, start in self._due if at_s > now_s]
        for start in due:
            try:
                self._spawn(start)
            except OSError as error:  # out of processes or memory
                events.emit("child_not_started", level=logging.ERROR, error=error)
                if not start.solo:  # the next tick asks for that one again
                    self._restart_later(start, 0.0)

    def _start_solo(self) -> None:
        """Suspects wait for a worker with nothing else: start one, if none is there for their queue."""
        queues = {self._suspects.popleft() for _ in range(len(self._suspects))}
        solo = {queue for child in self._children if child.what.solo for queue in child.what.queues or ()}
        if self._stops == 0 and self._ever_ready:
            for queue in queues - solo:
                alone = msgspec.structs.replace(self._start, queues=[queue], solo=True, burst=False)
                self._due.append((boot_s(), alone))


def _log_stacks(child: Child) -> None:
    if stacks := child.stacks():
        logging.getLogger("homing").error("stacks of child %d:\n%s", child.pid, stacks)
