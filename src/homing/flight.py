"""Commands on their way: what to send, what the answers mean, when to send again. No I/O.

One deadline holds for all tries of a call together. An error reply is definite, so what it
refused may go again; after a broken connection only a command with `resend` may.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from homing import events
from homing.calls import Call
from homing.command import Argument, Command
from homing.errors import HomingError, ServerError, ServerTooOld, ServerUnreachable
from homing.faults import FLOOR, Broken, Refusal, Step, Verdict, is_full, judge, pause_s
from homing.packing import pack, packed_command
from homing.routes import Drop, Exchange, Flow, Pause, ask, routes_of
from homing.target import Address, Target
from homing.told import read_info

T = TypeVar("T")

DEADLINE_S = 5.0
#: A try gets half of the time that is left, and at least this: a dead connection leaves time for a new one.
TRY_S = 1.0
#: How long a blocking read may block. Redis 6.2 never returns from 0.001; 0 would be for ever.
BLOCK_MIN_S, BLOCK_MAX_S = 0.01, 2.0
#: How much longer than its block the reply to a blocking read may take.
BLOCK_MARGIN_S = 3.0
SCAN_COUNT = 1_000


class Flight:
    """What both clients know and do; each adds only sending and receiving."""

    def __init__(self, target: Target, deadline_s: float) -> None:
        self.target = target
        if target.unchecked:
            events.emit("tls_unchecked", level=logging.WARNING, server=target, option=target.unchecked)
        self.deadline_s = deadline_s
        self._routes = routes_of(target)
        #: The server knows no `#!lua` line.
        self._plain = False
        #: The server has what homing needs.
        self._proven = False

    def straight(self, command: Command[Any], now: float, deadline_s: float) -> Exchange | None:
        """What to send where, when an answer to it is nearly always all that a command takes. None: `run` it.

        A refusal of it, or an error, goes to `resume`. `now` is `time.monotonic()`.
        """
        if not self._proven or command.behind:
            return None
        keys = command.keys
        address = self._routes.known(keys[0] if keys else None)
        if address is None:
            return None
        by = _try_by(now, now + deadline_s) if command.resend else now + deadline_s
        return Exchange(address, packed_command(command, plain=self._plain), 1, by)

    def resume(
        self, command: Command[T], address: Address, landed: list[Any] | Broken | HomingError, by: float
    ) -> Flow[T]:
        """The rest of the way of a command that went straight there and found this."""
        yield from self._landed(address, calls := [Call(command)], 0, landed)
        result: T = yield from self._flown(calls, by)
        return result

    def run(self, command: Command[T], deadline_s: float | None = None) -> Flow[T]:
        """One command to its answer, or its error."""
        by = time.monotonic() + (deadline_s or self.deadline_s)
        result: T = yield from self._flown([Call(command)], by)
        return result

    def run_many(self, commands: Sequence[Command[Any]], deadline_s: float | None = None) -> Flow[list[Any]]:
        """Commands in one flight per server; their results or HomingErrors, in order."""
        calls = [Call(command) for command in commands]
        yield from self._fly(calls, time.monotonic() + (deadline_s or self.deadline_s))
        return [_result_or_error(call) for call in calls]

    def straight_wait(self, bells: Sequence[str], block_s: float, command: Command[Any]) -> Exchange | None:
        """As `straight`, for a `wait`. Refusals of it, and errors, go to `resume_wait`."""
        if not self._proven or command.behind:
            return None
        address = self._routes.known(bells[0])
        return None if address is None else self._blocking(address, bells, block_s, command)

    def resume_wait(
        self,
        bells: Sequence[str],
        command: Command[Any],
        address: Address,
        landed: list[Any] | Broken | HomingError,
    ) -> Flow[Any]:
        """The rest of a wait that went straight there and found this."""
        if isinstance(landed, Broken):
            raise self._cut_off(landed, address) from landed
        if isinstance(landed, HomingError):
            raise landed
        return (yield from self._waited(bells, command, address, landed))

    def wait(self, bells: Sequence[str], block_s: float, command: Command[Any] | None) -> Flow[Any]:
        """A blocking read of the bells with the command right behind it."""
        address, replies = yield from self._block(bells, block_s, command)
        return (yield from self._waited(bells, command, address, replies))

    def pop(self, key: str, block_s: float) -> Flow[bytes | None]:
        """One item of a list, waiting for it."""
        address, [item] = yield from self._block([key], block_s, None)
        if isinstance(item, Refusal):
            yield from self._bell_refused(item, [key], address)
            return None
        return None if item is None else bytes(item[1])

    def primaries(self) -> Flow[list[Address]]:
        """All servers that hold keys."""
        by = time.monotonic() + self.deadline_s
        try:
            return (yield from self._routes.primaries(by))
        except Broken as broken:
            raise self._unreachable(broken, self.target) from broken

    def page(self, address: Address, cursor: bytes, pattern: str) -> Flow[tuple[bytes, list[bytes]]]:
        """One page of a server's keys, and where the next one starts (b"0": nowhere)."""
        words: tuple[Argument, ...] = ("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
        call = Call(Command(words, (), (), tuple), pinned=address)
        yield from self._fly([call], time.monotonic() + self.deadline_s)
        cursor, keys = call.result()
        return cursor, keys

    # Below: how a flight goes.

    def _flown(self, calls: list[Call], by: float) -> Flow[Any]:
        """The result of the only one of these calls."""
        [call] = calls
        if not call.done:
            yield from self._fly(calls, by)
        return call.result()

    def _fly(self, calls: list[Call], by: float) -> Flow[None]:
        tries = 0
        while calls:
            if any(call.pause for call in calls):
                pause = pause_s(tries)
                tries += 1
                if time.monotonic() + pause >= by:
                    self._give_up(calls)
                    return
                yield Pause(pause)
            for address, group in (yield from self._grouped(calls, by)):
                yield from self._send(address, group, by)
            calls = [call for call in calls if not call.done]

    def _grouped(self, calls: list[Call], by: float) -> Flow[list[tuple[Address, list[Call]]]]:
        """Which calls go where, each group in one flight."""
        groups: dict[Address, list[Call]] = {}
        alone: list[tuple[Address, list[Call]]] = []
        for call in calls:
            call.pause = False
            if call.asking is not None:
                alone.append((call.asking, [call]))
                continue
            try:
                address = call.pinned or (yield from self._locate(_key(call.command), by))
            except Broken as broken:
                self._broken([call], broken, self.target)
            except HomingError as error:
                call.fail(error)
            else:
                groups.setdefault(address, []).append(call)
        return [*groups.items(), *alone]

    def _locate(self, key: str | None, by: float) -> Flow[Address]:
        address = self._routes.known(key) or (yield from self._routes.find(key, by))
        if not self._proven:
            try:
                yield from self._prove(address, by)
            except Broken:
                self._routes.lost(address)
                raise
        return address

    def _prove(self, address: Address, by: float) -> Flow[None]:
        """Refuse a server that is too old, once per client: LMOVE came with Redis 6.2."""
        reply = yield from ask(address, by, "COMMAND", "INFO", "LMOVE")
        if reply == [None]:
            told = yield from ask(address, by, "INFO", "server")
            info = read_info(told) if isinstance(told, bytes) else {}
            if "sentinel" in {info.get("redis_mode"), info.get("server_mode")}:
                raise ServerError(f"{address} is a Sentinel: connect with redis+sentinel://{address}/service")
            version = info.get("redis_version", "older")
            raise ServerTooOld(f"homing needs {FLOOR}; {address} is {version} and has no LMOVE")
        # A refusal says that this user may not ask; the commands themselves will tell.
        self._proven = True

    def _send(self, address: Address, group: list[Call], by: float) -> Flow[None]:
        packed, extra, wanted = self._packed(group)
        resend = all(call.command.resend for call in group)
        landed: Any
        try:
            landed = yield Exchange(address, packed, wanted, _try_by(time.monotonic(), by) if resend else by)
        except (Broken, HomingError) as error:
            landed = error
        yield from self._landed(address, group, extra, landed)

    def _landed(
        self, address: Address, group: list[Call], extra: int, landed: list[Any] | Broken | HomingError
    ) -> Flow[None]:
        """What came of a flight: its replies, behind `extra` others, or what broke it."""
        if isinstance(landed, HomingError):
            for call in group:
                call.fail(landed)
            return
        broken, replies = (landed, landed.replies) if isinstance(landed, Broken) else (None, landed)
        unanswered, at = [], extra
        for call in group:
            behind = len(call.command.behind)
            own = replies[at : at + 1 + behind]
            at += 1 + behind
            if own and type(own[0]) is Refusal:
                yield from self._refused(call, own[0], address)
            elif len(own) == 1 + behind:
                call.answer(own if behind else own[0])
            else:
                call.tear(own, broken)
                unanswered.append(call)
        if broken is not None:
            self._routes.lost(address)
            self._broken(unanswered, broken, address)

    def _packed(self, group: list[Call]) -> tuple[bytes, int, int]:
        """The bytes of a flight, how many replies come before those of its calls, and how many in all."""
        if len(group) == 1:
            [call] = group
            packed = packed_command(call.command, text=call.text, plain=self._plain)
            wanted = 1 + len(call.command.behind)
            if call.asking is None:
                return packed, 0, wanted
            call.asking = None
            return pack(("ASKING",)) + packed, 1, 1 + wanted
        parts: list[bytes] = []
        told = set()
        for call in group:
            # The text of a script goes once; those behind it find it there.
            text = call.text and call.command.call not in told
            if text:
                told.add(call.command.call)
            parts.append(packed_command(call.command, text=text, plain=self._plain))
        return b"".join(parts), 0, sum(1 + len(call.command.behind) for call in group)

    def _refused(self, call: Call, refusal: Refusal, address: Address) -> Flow[None]:
        verdict = judge(refusal, call.command, address)
        call.error = verdict.error
        match verdict.step:
            case Step.FAIL if call.again and is_full(refusal):
                # The server says it before the script could look whether an earlier copy had acted.
                call.fail(ServerUnreachable(f"{verdict.error}; whether a try before did run is not known"))
            case Step.FAIL:
                call.fail(verdict.error)
            case Step.TEXT:
                call.text = True
                call.turn()
            case Step.PLAIN:
                self._plain = call.text = True
                call.turn()
            case Step.MOVED | Step.ASK:
                self._redirected(call, verdict, address)
            case Step.LATER:
                call.pause = True
            case Step.DEMOTED:
                call.pause = True
                self._routes.lost(address)
                yield Drop(address)

    def _redirected(self, call: Call, verdict: Verdict, address: Address) -> None:
        """Another node of a cluster is to be asked: from now on, or (ASK) this once."""
        if self.target.kind != "cluster" or verdict.address is None:
            call.fail(verdict.error)
            return
        if verdict.step is Step.ASK:
            call.asking = verdict.address
        else:
            self._routes.moved(verdict.slot, verdict.address)
        call.error = ServerUnreachable(f"{address} sends slot {verdict.slot} on to {verdict.address}")
        call.turn()

    def _broken(self, calls: list[Call], broken: Broken, where: object) -> None:
        """What is left of a flight whose connection broke: again if it may, or over."""
        for call in calls:
            error = self._unreachable(broken, where)
            error.__cause__ = broken
            if call.command.resend or not broken.sent:
                call.pause, call.error = True, error
                call.again |= broken.sent
            else:
                call.fail(error)

    def _unreachable(self, broken: Broken, where: object) -> ServerUnreachable:
        unknown = "; whether the command ran is not known" if broken.sent else ""
        return ServerUnreachable(f"cannot reach {where}: {broken.reason}{unknown}")

    def _give_up(self, calls: list[Call]) -> None:
        for call in calls:
            call.fail(call.error or ServerUnreachable(f"cannot reach {self.target} in time"))

    def _block(
        self, keys: Sequence[str], block_s: float, command: Command[Any] | None
    ) -> Flow[tuple[Address, list[Any]]]:
        """BLPOP the keys with the command right behind: who was asked, and the replies."""
        where: Address | Target = self.target
        try:
            where = address = yield from self._locate(keys[0], time.monotonic() + self.deadline_s)
            replies = yield self._blocking(address, keys, block_s, command)
        except Broken as broken:
            raise self._cut_off(broken, where) from broken
        return address, replies

    def _blocking(
        self, address: Address, keys: Sequence[str], block_s: float, command: Command[Any] | None
    ) -> Exchange:
        block_s = min(max(block_s, BLOCK_MIN_S), BLOCK_MAX_S)
        packed = pack(("BLPOP", *keys, f"{block_s:.3f}"))
        if command is not None:
            packed += packed_command(command, plain=self._plain)
        by = time.monotonic() + block_s + BLOCK_MARGIN_S
        return Exchange(address, packed, 1 + (command is not None), by)

    def _waited(
        self, bells: Sequence[str], command: Command[Any] | None, address: Address, replies: list[Any]
    ) -> Flow[Any]:
        bell, *answers = replies
        call = Call(command) if command is not None else None
        if call is not None:
            yield from self._behind(call, answers[0], address)
        if isinstance(bell, Refusal):
            yield from self._bell_refused(bell, bells, address)
        return None if call is None else call.result()

    def _cut_off(self, broken: Broken, where: Address | Target) -> ServerUnreachable:
        """What a blocking read says whose connection broke: it is never sent again."""
        if isinstance(where, Address):
            self._routes.lost(where)
        return self._unreachable(broken, where)

    def _behind(self, call: Call, reply: Any, address: Address) -> Flow[None]:
        """Take the reply of the call behind a blocking read; refused without having run, it goes alone."""
        if type(reply) is not Refusal:
            call.answer(reply)
            return
        yield from self._refused(call, reply, address)
        if not call.done:
            yield from self._fly([call], time.monotonic() + self.deadline_s)

    def _bell_refused(self, refusal: Refusal, keys: Sequence[str], address: Address) -> Flow[None]:
        """A blocking read that was refused: redirections are noted for the next one, the rest is raised."""
        call = Call(Command(("BLPOP",), tuple(keys), (), bytes))
        yield from self._refused(call, refusal, address)
        if call.error is not None and (call.done or call.pause):
            raise call.error


def _try_by(now: float, by: float) -> float:
    """Until when one try may take of what may be sent again: it leaves time for another."""
    return min(by, now + max(TRY_S, (by - now) / 2))


def _key(command: Command[Any]) -> str | None:
    return command.keys[0] if command.keys else None


def _result_or_error(call: Call) -> Any:
    try:
        return call.result()
    except HomingError as error:
        return error
