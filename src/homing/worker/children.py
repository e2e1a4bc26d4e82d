"""One child of a supervisor: its process, its page, its socket, and the members it announced."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from homing.delivery.heart import boot_s
from homing.worker.orders import Bye, Hello, Join, Leave, Lines, Ready, Start, line
from homing.worker.page import PAGE_BYTES, Joined, PageView

#: A child that stands still gets this long to write its stacks down.
STACKS_S = 1.0
#: A loop may stand still for the longest time limit of what runs, and this much longer.
LIMIT_MARGIN_S = 5.0
#: An app may take this long to be imported, or as long as a loop may stand still.
IMPORT_S = 60.0
#: Of the time between two looks this much counts: what passed while we slept did not pass for the child.
LOOK_MAX_S = 1.0
#: The end of the stacks that goes with the dead letter.
STACKS_BYTES = 16_384


class Stillness:
    """How long a pulse has stood still, in time that its watcher was awake.

    A machine that slept, or a tree that was stopped, finds an old pulse and no stall.
    """

    def __init__(self, now_s: float) -> None:
        self._pulse_s = 0.0
        self._looked_s = now_s
        self._still_s = 0.0

    def look(self, pulse_s: float, now_s: float) -> float:
        """Seconds since this pulse was new; to be called often."""
        step_s = min(max(now_s - self._looked_s, 0.0), LOOK_MAX_S)
        self._still_s = self._still_s + step_s if pulse_s == self._pulse_s else 0.0
        self._pulse_s, self._looked_s = pulse_s, now_s
        return self._still_s


class Child:
    """A process that was started, until it was waited for."""

    def __init__(self, start: Start) -> None:
        self.what = start
        self.started_s = boot_s()
        #: Index -> member, as last announced. Read by the ticking thread: replaced, never changed.
        self.members: dict[int, Joined] = {}
        self.hello: Hello | None = None
        self.ready = False
        self.said_bye = False
        self.still_s = 0.0  # for how long it had stood still when it was killed for that
        self.stopped = False  # killed because it was to stop: no fault of what it ran
        self._stillness = Stillness(self.started_s)
        self._lines = Lines()
        self._page = _shared_file(PAGE_BYTES)
        self._stacks = _shared_file(0)
        self.view = PageView(self._page.fileno())
        self.socket, theirs = socket.socketpair()
        # Ends with this process: what tells the child's group, whoever of it is left.
        leash, self._leash = os.pipe()
        fds = (theirs.fileno(), self._page.fileno(), self._stacks.fileno(), leash)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "homing.worker.child", *map(str, fds)],
                stdin=subprocess.DEVNULL,
                pass_fds=fds,
                process_group=0,  # it leads a group: all that it starts ends with it, and Ctrl-C is not for it
            )
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()
            os.close(leash)
        self.pid = self._process.pid
        with contextlib.suppress(ConnectionError):  # it has ended already, which shows
            self.socket.sendall(line(start))
        self.socket.setblocking(False)

    def read(self) -> bool:
        """Take in what it said; False when nothing more will come."""
        while True:
            try:
                received = self.socket.recv(65_536)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            if not received:
                return False
            for said in self._lines.feed(received):
                self._note(said)

    def _note(self, said: object) -> None:
        match said:
            case Hello():
                self.hello = said
            case Ready():
                self.ready = True
            case Bye():
                self.said_bye = True
            case Join(member):
                self.members = {**self.members, member.index: member}
            case Leave(index):
                self.members = {key: one for key, one in self.members.items() if key != index}

    def order(self, text: str) -> None:
        """Say `drain` or `interrupt`. A child that does not listen, since it is gone or closed what was
        not its own, is killed.
        """
        try:
            self.socket.sendall(text.encode() + b"\n")
        except OSError:
            self.stop()

    def ended(self) -> int | None:
        """Its exit code (negative: a signal), None while it lives.

        Once it has ended its group is killed, and only then it is waited for: until then nobody else
        can get its number.
        """
        if self._process.returncode is None and self._is_over():
            self._kill_group()
            self._process.wait()
        return self._process.returncode

    def _is_over(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS, before Python 3.13
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def stalled(self, stall_s: float) -> bool:
        """Whether its loop has stood still for too long; a running job's own limit counts."""
        pulse_s, limit_s = self.view.pulse()
        still_s = self._stillness.look(pulse_s, boot_s())
        allowed_s = limit_s + LIMIT_MARGIN_S if limit_s else 0.0 if pulse_s else IMPORT_S
        if still_s <= max(stall_s, allowed_s):
            return False
        self.still_s = still_s
        return True

    def dump(self) -> None:
        """Have it write the stacks of all its threads down."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR2)
        end_s = boot_s() + STACKS_S
        before, size = -1, 0
        while boot_s() < end_s and (size == 0 or size != before):
            select.select((), (), (), 0.05)
            before, size = size, os.fstat(self._stacks.fileno()).st_size

    def stacks(self) -> str:
        """What it was doing when it was asked, or when it crashed; empty when it could not say."""
        size = os.fstat(self._stacks.fileno()).st_size
        tail = os.pread(self._stacks.fileno(), STACKS_BYTES, max(0, size - STACKS_BYTES))
        return tail.decode("utf-8", "replace")

    def crash(self, code: int) -> bytes:
        """What a job is buried with that took this process down too often, as JSON."""
        error = {
            "type": "WorkerCrashed",
            "message": f"the process that ran this job {self._how(code)}, more often than crash_max allows",
            "traceback": self.stacks(),
            "reason": "crashed",
        }
        return json.dumps(error).encode()

    def _how(self, code: int) -> str:
        if code >= 0:
            return f"exited with {code}"
        name = _signal_name(-code)
        if self.still_s:
            return f"stood still for {self.still_s:.0f} s and was killed by {name}"
        hint = " (by another program, or for want of memory)" if code == -signal.SIGKILL else ""
        return f"was killed by {name}{hint}"

    def stop(self) -> None:
        """End it now, because it is to stop: nothing that it ran is to blame."""
        self.stopped = True
        self.kill()

    def kill(self) -> None:
        """End it and its whole group, now."""
        if self._process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS may not signal the dead
            os.killpg(self.pid, signal.SIGKILL)

    def running(self) -> Iterator[tuple[Joined, list[str]]]:
        """Its members, each with the ids that had started and not ended."""
        running = self.view.running()
        for index, member in self.members.items():
            yield member, running.get(index, [])

    def close(self) -> None:
        for file in (self.socket, self._page, self._stacks):
            file.close()
        os.close(self._leash)
        self.view.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _shared_file(size: int) -> IO[bytes]:
    """A file without a name, in memory where the system has such."""
    if sys.platform == "linux":
        file: IO[bytes] = os.fdopen(os.memfd_create("homing"), "w+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the child
    file.truncate(size)
    return file
