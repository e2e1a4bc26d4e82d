"""Plays a flight without a server: what it sends is answered from a list."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import hiredis
import pytest

from homing.command import Command, Script
from homing.errors import HomingError
from homing.faults import Broken, Refusal
from homing.flight import Flight
from homing.routes import Drop, Exchange, Flow, Pause
from homing.target import Target

PROBE = ["COMMAND", "INFO", "LMOVE"]
NEW = [["lmove"]]
CLAIM = Script("claim", "#!lua\nclaim", "claim", (), (), False, "sha-claim", "plain-claim")
OTHER = Script("other", "#!lua\nother", "other", (), (), False, "sha-other", "plain-other")
NOSCRIPT = Refusal("NOSCRIPT No matching script.")


def command(script: Script = CLAIM, key: str = "k", *, resend: bool = True) -> Command[str]:
    return Command(script, (key,), ("a",), str, "mails", resend)


def sent(packed: bytes) -> list[list[str]]:
    """The commands in some bytes."""
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(packed)
    commands = []
    while (words := reader.gets()) is not False:
        commands.append(words)
    return commands


class Play:
    """Drives a flow with prepared answers: a list of replies, or an exception. Its clock runs by pauses only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, url: str = "redis://h:1") -> None:
        self.flight = Flight(Target.parse(url), 5.0)
        self.log: list[Any] = []
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        #: The server was asked what it can do.
        self.proven = False

    def run(self, command: Command[Any], deadline_s: float | None = None) -> Flow[Any]:
        """One command, as the clients run it: straight, where that is possible."""
        within_s = deadline_s or self.flight.deadline_s
        by = time.monotonic() + within_s
        straight = self.flight.straight(command, time.monotonic(), within_s)
        if straight is None:
            return (yield from self.flight.run(command, deadline_s))
        landed = yield from _landed(straight)
        if isinstance(landed, list) and type(landed[0]) is not Refusal:
            return command.decode(landed[0])
        return (yield from self.flight.resume(command, straight.address, landed, by))

    def wait(self, bells: Sequence[str], block_s: float, command: Command[Any]) -> Flow[Any]:
        """A blocking read with a command behind it, as the asyncio client does it."""
        straight = self.flight.straight_wait(bells, block_s, command)
        if straight is None:
            return (yield from self.flight.wait(bells, block_s, command))
        landed = yield from _landed(straight)
        if isinstance(landed, list) and not any(type(reply) is Refusal for reply in landed):
            return command.decode(landed[1])
        return (yield from self.flight.resume_wait(bells, command, straight.address, landed))

    def drive(self, flow: Flow[Any], answers: Iterable[Any]) -> Any:
        rest = iter(answers)
        step: Exchange | Pause | Drop = next(flow)
        while True:
            answer: Any = None
            match step:
                case Exchange():
                    answer = self._answer(step, rest)
                case Pause():
                    self.now += step.seconds
                case Drop():
                    self.log.append(("drop", str(step.address)))
            try:
                if isinstance(answer, Exception) and not isinstance(answer, Refusal):
                    step = flow.throw(answer)
                else:
                    step = flow.send(answer)
            except StopIteration as end:
                left = list(rest) if isinstance(answers, list) else []
                assert not left, "answers nobody asked for"
                return end.value

    def _answer(self, step: Exchange, rest: Any) -> Any:
        words = sent(step.packed)
        if words == [PROBE] and not self.proven:
            self.proven = True
            return [NEW]
        assert len(words) == step.replies
        self.log.append((str(step.address), *words))
        answer = next(rest)
        return answer if isinstance(answer, Exception) else list(answer)

    def verbs(self) -> list[Any]:
        """What was sent, without keys and arguments."""
        return [(one[0], *(" ".join(words[:2]) for words in one[1:])) for one in self.log if one[0] != "drop"]


def _landed(straight: Exchange) -> Flow[list[Any] | Broken | HomingError]:
    """What came of what went straight: its replies, or what broke it."""
    try:
        replies: list[Any] = yield straight
    except (Broken, HomingError) as error:
        return error
    return replies
