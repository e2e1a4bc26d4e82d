"""The world between actors and server: it picks whose command goes next, and what becomes of its reply."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from homing.client import Client
from homing.command import Command, Script
from homing.errors import HomingError, ServerUnreachable
from tests.interleave.account import Account

START_S = 1_000.0
#: The server's clock is so much later; ids of stream entries are made by its real, earlier one.
SERVER_MS = 2_000_000_000_000
#: A client gives a command up after this long.
DEADLINE_S = 5.0
#: How often time goes on although somebody might act.
TIME_PASSES = 0.1
#: What becomes of a command that is picked while there are faults: the rest goes well.
FATES = {"never sent": 0.06, "reply lost": 0.06, "sent late": 0.04, "reply late": 0.05}
#: So many decisions later a command may arrive that its sender has given up.
LATE = (2, 5, 15, 40, 80)
#: Decisions after which a schedule that has not come to its end is stuck.
STUCK = 6_000


def _plain(*words: str) -> Command[Any]:
    return Command((words[0],), (words[1],), (), lambda reply: reply)


@dataclass(eq=False)
class Process:
    """What is killed together. Its tasks and its commands go with it."""

    name: str
    #: In the order of their beginning: a set would have another in each play.
    tasks: "dict[asyncio.Task[Any], None]" = field(default_factory=dict)
    dead: bool = False
    frozen_until_s: float = 0.0


@dataclass(eq=False, slots=True)
class Op:
    """A command, or several in one flight, that somebody waits for."""

    process: Process
    commands: Sequence[Command[Any]]
    future: "asyncio.Future[Any]"
    by_s: float
    many: bool = False
    bells: Sequence[str] = ()
    bell_by_s: float = 0.0
    answers: list[Any] | None = None  # executed; the reply is on its way


class World:
    """One schedule's commands, clock and dice."""

    def __init__(self, client: Client, bell: str, account: Account, seed: int, decisions: int) -> None:
        self._client = client
        self._hear = _plain("LPOP", bell)
        self._look = _plain("EXISTS", bell)
        self._rung = False
        self.account = account
        self.dice = random.Random(seed)
        self.now_s = START_S
        self.calm = False
        self.ops: list[Op] = []
        self.trace: list[str] = []
        self._late: list[tuple[int, Process, Command[Any]]] = []  # from which decision on it may arrive
        self._left = decisions
        self.decided = 0
        self.executed = 0
        self.calmed: asyncio.Event = asyncio.Event()

    # What actors ask for.

    def ask(
        self, process: Process, commands: Sequence[Command[Any]], *, many: bool, bells: Sequence[str] = (),
        block_s: float = 0.0,
    ) -> "asyncio.Future[Any]":  # fmt: skip
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if process.dead:
            future.cancel()
            return future
        for command in commands:
            self.account.asked(command)
        self.ops.append(
            Op(
                process,
                commands,
                future,
                by_s=self.now_s + block_s + DEADLINE_S,
                many=many,
                bells=bells,
                bell_by_s=self.now_s + block_s,
            )
        )
        return future

    def at_once(self, command: Command[Any]) -> Any:
        """Run a command of nobody, now: raises its error."""
        return self.all_at_once([command])[0]

    def all_at_once(self, commands: Sequence[Command[Any]]) -> list[Any]:
        answers = self._client.run_many([self._timed(command) for command in commands])
        for answer in answers:
            if isinstance(answer, HomingError):
                raise answer
        return answers

    def kill(self, process: Process) -> None:
        """Its commands on the way may still arrive."""
        process.dead = True
        self.trace.append(f"kill {process.name}")
        for op in [one for one in self.ops if one.process is process]:
            self.ops.remove(op)
            if op.answers is None and not op.bells and self.dice.random() < 0.5:
                self._later(op)
            op.future.cancel()
        for task in list(process.tasks):
            task.cancel()

    @property
    def quiet(self) -> bool:
        """Nothing is under way that nobody waits for."""
        return not self._late

    def seen(self) -> Counter[str]:
        """How much of what happened."""
        return self.account.seen + Counter({"decisions": self.decided, "commands": self.executed})

    # What happens next.

    def idle(self, timeout: float | None) -> None:
        """Nobody can go on by itself: let something happen."""
        self.decided += 1
        if self.decided > STUCK:
            raise AssertionError(f"no end after {STUCK} decisions")
        self._left -= 1
        if self._left == 0:
            self.calm = True
            self.calmed.set()
            return
        self.ops = [op for op in self.ops if not op.future.done()]
        due = [op for op in self.ops if op.by_s <= self.now_s]
        if due:
            self._give_up(due[0])
            return
        able = [op for op in self.ops if self._able(op)]
        if self.calm:
            self._calm(able, timeout)
            return
        if self._late and self._late[0][0] <= self.decided:
            self._arrive()
        elif able and self.dice.random() >= TIME_PASSES:
            self._act(self.dice.choice(able))
        else:
            self._pass(timeout)

    def _calm(self, able: list[Op], timeout: float | None) -> None:
        if self._late:
            self._arrive()
        elif able:
            self._finish(able[0])
        else:
            self._pass(timeout)

    def _able(self, op: Op) -> bool:
        if not self.calm and op.process.frozen_until_s > self.now_s:
            return False
        return not op.bells or op.answers is not None or self._rung or self.now_s >= op.bell_by_s

    def _pass(self, timeout: float | None) -> None:
        """Time goes on to the next thing that has one."""
        times = [self.now_s + timeout] if timeout is not None else []
        times += [op.bell_by_s if op.bells and op.bell_by_s > self.now_s else op.by_s for op in self.ops]
        if not self.calm:
            times += [op.process.frozen_until_s for op in self.ops if op.process.frozen_until_s > self.now_s]
        if not times:
            raise AssertionError("nothing can happen any more")
        self.now_s = max(self.now_s + 0.000_1, min(times))

    def _give_up(self, op: Op) -> None:
        self.ops.remove(op)
        self._say(op, "given up")
        self.account.seen["given up"] += 1
        if op.answers is None and not op.bells and self.dice.random() < 0.5:
            self._later(op)
        op.future.set_exception(ServerUnreachable("no answer in time"))

    def _later(self, op: Op) -> None:
        """What was sent may still reach the server when nobody waits for it any more."""
        for command in op.commands:
            self._late.append((self.decided + self.dice.choice(LATE), op.process, command))
        self._late.sort(key=lambda one: one[0])

    def _arrive(self) -> None:
        _, process, command = self._late.pop(0)
        self.trace.append(f"{self.now_s - START_S:.3f} late {process.name} {command.name}")
        self._execute(process, [command])
        self.account.seen["late"] += 1

    def _act(self, op: Op) -> None:
        dice, fate = self.dice.random(), ""
        for name, share in FATES.items():
            dice -= share
            if dice < 0 and not fate:
                fate = name
        resend = all(command.resend for command in op.commands)
        if op.answers is not None or not fate:
            self._finish(op)
        elif fate == "reply late":
            self._say(op, fate)
            op.answers = self._run(op)
        elif fate == "never sent":
            self._say(op, fate)
            if not resend:  # what may be sent again is, by the client itself
                self._fail(op)
        elif fate == "reply lost":
            self._say(op, fate)
            self._run(op)
            if not resend:
                self._fail(op)
        else:
            self._say(op, fate)
            self._later(op)
            if not resend:
                self._fail(op)

    def _fail(self, op: Op) -> None:
        self.ops.remove(op)
        op.future.set_exception(ServerUnreachable("whether the command ran is not known"))

    def _finish(self, op: Op) -> None:
        answers = op.answers
        if answers is None:
            self._say(op, "")
            answers = self._run(op)
        self.ops.remove(op)
        if op.many:
            op.future.set_result(answers)
        elif not answers:
            op.future.set_result(None)
        elif isinstance(answers[0], HomingError):
            op.future.set_exception(answers[0])
        else:
            op.future.set_result(answers[0])

    def _run(self, op: Op) -> list[Any]:
        return self._execute(op.process, op.commands, hear=bool(op.bells))

    def _execute(
        self, process: Process, commands: Sequence[Command[Any]], *, hear: bool = False
    ) -> list[Any]:
        """Run commands, a blocking read before them when there is one, and look at the bell, in one flight."""
        self.executed += len(commands)
        before = [self._hear] if hear else []
        flight = [*before, *(self._timed(command) for command in commands), self._look]
        *answers, rung = self._client.run_many(flight)[len(before) :]
        self._rung = rung == 1
        for command, answer in zip(commands, answers, strict=True):
            self.account.saw(command, answer)
        return answers

    @property
    def server_ms(self) -> int:
        """The time that scripts are told."""
        return SERVER_MS + int(self.now_s * 1000)

    def _timed(self, command: Command[Any]) -> Command[Any]:
        """The command with the world's time in it."""
        script = command.call
        if isinstance(script, Script) and script.args[:1] == ("now_ms",):
            return replace(command, args=[self.server_ms, *command.args[1:]])
        return command

    def _say(self, op: Op, fate: str) -> None:
        names = " ".join(command.name for command in op.commands)
        self.trace.append(f"{self.now_s - START_S:.3f} {op.process.name} {names} {fate}".rstrip())
