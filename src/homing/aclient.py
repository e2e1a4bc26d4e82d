"""The client of one event loop: sends what flights say, over connections of its own."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import hiredis

from homing import dial
from homing.command import Command
from homing.errors import HomingError
from homing.faults import Broken, Refusal, not_redis, reason_of, undialled
from homing.flight import DEADLINE_S, Flight
from homing.greeting import check_greeting, greeting
from homing.routes import Drop, Exchange, Flow
from homing.target import Access, Address, Target
from homing.told import config_commands, read_config, read_info

T = TypeVar("T")

_MORE = object()  # the reader has no whole reply yet


class Wire(asyncio.Protocol):
    """One connection. Between two exchanges nothing is on its way."""

    def __init__(self, address: Address, connection: Any, home: "list[Wire]") -> None:
        self._address = address
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport
        self._reader = hiredis.Reader(replyError=Refusal, notEnoughData=_MORE)
        self._loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[list[Any]] | None = None
        self._replies: list[Any] = []
        self._count = 0
        self._heard: Callable[[list[Any]], None] | None = None
        self._by = 0.0  # of the exchange, by `time.monotonic()`
        #: Looks whether an answer is late; kept from exchange to exchange, as nearly all end long before.
        self._watch: asyncio.TimerHandle | None = None
        self._watch_s = 0.0
        #: No more exchanges: it was closed, or something came that nobody had asked for.
        # Who hung up at once did so before we listen, and will not be heard to do it again.
        early = connection._reader
        self._words = bytes(early._buffer)
        self._over = bool(self._words) or early._eof or self._transport.is_closing()
        #: The idle connections it goes back to.
        self.home = home
        # From here on the bytes come to us, not to the stream that redis-py made.
        self._transport.set_protocol(self)

    async def exchange(
        self, packed: bytes, count: int, by: float, heard: Callable[[list[Any]], None] | None = None
    ) -> list[Any]:
        """Send and read. Raises Broken with the replies that came; then the wire is only to be closed.

        `heard` is called with the replies as soon as they are here, which is before the loop's next pass.
        """
        self._count, self._replies, self._heard = count, [], heard
        if self._over:
            raise Broken("the connection was closed", sent=False, replies=self._last_words())
        answered: asyncio.Future[list[Any]] = self._loop.create_future()
        self._answered, self._by = answered, by
        if self._watch is None or by < self._watch_s:
            self._look_at(by)
        try:
            self._transport.write(packed)
            return await answered
        finally:
            self._answered = self._heard = None

    def _look_at(self, by: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch_s = by
        self._watch = self._loop.call_later(max(0.0, by - time.monotonic()), self._look)

    def _look(self) -> None:
        """An exchange is late, or was at its end when the look was asked for."""
        self._watch = None
        if self._answered is None:
            return
        if time.monotonic() < self._by:
            self._look_at(self._by)
        else:
            self._fail("no answer in time")

    def data_received(self, data: bytes) -> None:
        answered = self._answered
        if answered is None:
            self._over = True
            return
        try:
            self._take(data)
        except hiredis.ProtocolError as error:
            self._end(not_redis(self._address, error))
            return
        if len(self._replies) < self._count or answered.done():
            return
        failed: Exception | None = None
        try:
            if self._heard is not None:
                self._heard(self._replies)
        except Exception as error:
            failed = error
        if answered.done():
            return  # who waited was cancelled meanwhile
        if failed is None:
            answered.set_result(self._replies)
        else:
            answered.set_exception(failed)

    def _last_words(self) -> list[Any]:
        """What was said before anything was asked, as far as it is a refusal."""
        try:
            self._take(self._words)
        except hiredis.ProtocolError as error:
            raise not_redis(self._address, error) from error
        return [reply for reply in self._replies[:1] if type(reply) is Refusal]

    def _take(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _MORE:
            self._replies.append(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, BrokenPipeError | ConnectionResetError):
            self._read_last_words()
        self._fail("the connection was closed" if exc is None else reason_of(exc))

    def _read_last_words(self) -> None:
        """A server that hangs up at once (maxclients) has said why; a failed write ends the reading before."""
        if self._transport.get_extra_info("sslcontext") is None:
            with suppress(OSError):
                if said := os.read(self._transport.get_extra_info("socket").fileno(), 65_536):
                    self.data_received(said)

    def _fail(self, reason: str) -> None:
        self._end(Broken(reason, replies=self._replies))

    def _end(self, error: Exception) -> None:
        self._over = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)

    def quiet(self) -> bool:
        """Still open, as far as can be seen, with nothing to read."""
        return not self._over and not self._transport.is_closing()

    def close(self) -> None:
        self._over = True
        if self._watch is not None:
            self._watch.cancel()
        self._transport.abort()
        # redis-py warns of connections that are thrown away open.
        self._connection._reader = self._connection._writer = None


class AsyncClient:
    """Runs commands. Safe under concurrent tasks of one event loop, the one it is first used in.

    It connects when it is first used. `deadline` holds for a whole call, all tries together.
    A cancelled call closes its connection: what it left behind is never read as another's answer.
    """

    def __init__(self, target: Target, *, deadline: float = DEADLINE_S) -> None:
        self._flight = Flight(target, deadline)
        self._idle: dict[Address, list[Wire]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, command: Command[T], deadline: float | None = None) -> T:
        """One command to its answer; raises its error. `deadline` in seconds, for this call."""
        flight = self._flight
        now, deadline_s = time.monotonic(), deadline or flight.deadline_s
        straight = flight.straight(command, now, deadline_s)
        if straight is None:
            return await self._drive(flight.run(command, deadline))
        landed: Any
        try:
            landed = await self._exchange(straight)
        except (Broken, HomingError) as error:
            landed = error
        else:
            if type(landed[0]) is not Refusal:
                return command.decode(landed[0])  # nearly always
        return await self._drive(flight.resume(command, straight.address, landed, now + deadline_s))

    async def run_many(
        self, commands: Sequence[Command[Any]], deadline: float | None = None
    ) -> list[Any | HomingError]:
        """Commands in one flight; their results, or HomingErrors as values, in order."""
        return await self._drive(self._flight.run_many(commands, deadline))

    @overload
    async def wait(self, bells: Sequence[str], block_s: float, command: Command[T]) -> T: ...
    @overload
    async def wait(self, bells: Sequence[str], block_s: float, command: None) -> None: ...
    async def wait(self, bells: Sequence[str], block_s: float, command: Command[Any] | None) -> Any:
        """Block until a bell rings or `block_s` (0.01 to 2) is over, then run the command: in one flight.

        Holds a connection of its own. Raises ServerUnreachable at the first failure.
        """
        return await self._drive(self._flight.wait(bells, block_s, command))

    async def listen(
        self, bells: Sequence[str], block_s: float, command: Command[T], heard: Callable[[T], None]
    ) -> None:
        """As `wait`, but `heard` is called with the answer, once, as soon as it is here: who waits goes on a pass of the
        loop later. It is called in a copy of this call's context, and what it raises (an Exception) is raised here, unless
        it cancelled who waits.
        """
        told: list[T] = []
        context = copy_context()

        def hear(replies: list[Any]) -> None:
            bell, answer = replies
            if type(bell) is not Refusal and type(answer) is not Refusal:
                told.append(command.decode(answer))
                context.run(heard, told[0])

        flight = self._flight
        straight = flight.straight_wait(bells, block_s, command)
        if straight is None:
            context.run(heard, await self._drive(flight.wait(bells, block_s, command)))
            return
        landed: Any
        try:
            landed = await self._exchange(straight, hear)
        except (Broken, HomingError) as error:
            if told:  # it is what `heard` raised
                raise
            landed = error
        if not told:
            answer = await self._drive(flight.resume_wait(bells, command, straight.address, landed))
            context.run(heard, answer)

    async def pop(self, key: str, block_s: float) -> bytes | None:
        """The first item of a list, waiting for it up to `block_s` (0.01 to 2); None: there was none."""
        return await self._drive(self._flight.pop(key, block_s))

    async def info(self) -> dict[str, str]:
        """What INFO says, of one server."""
        return await self.run(Command(("INFO",), (), (), read_info))

    async def config(self, *names: str) -> Mapping[str, str] | None:
        """Settings of one server; None when they may not be read."""
        return read_config(await self.run_many(config_commands(names)))

    async def scan(self, pattern: str) -> AsyncIterator[bytes]:
        """All keys that match, of all primaries; one may come twice."""
        for address in await self._drive(self._flight.primaries()):
            cursor = b"0"
            while True:
                cursor, keys = await self._drive(self._flight.page(address, cursor, pattern))
                for key in keys:
                    yield key
                if cursor == b"0":
                    break

    def describe(self) -> str:
        """Where it connects to, with the password masked."""
        return str(self._flight.target)

    async def aclose(self) -> None:
        """Close the connections. Those in use close when their calls end; used again, it connects again."""
        idle, self._idle = self._idle, {}
        for wires in idle.values():
            for wire in wires:
                wire.close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({self.describe()!r})"

    async def _drive(self, flow: Flow[T]) -> T:
        """Do what a flow says until it ends."""
        try:
            step = next(flow)
            while True:
                try:
                    replies = None
                    if isinstance(step, Exchange):
                        replies = await self._exchange(step)
                    elif isinstance(step, Drop):
                        self._drop(step.address)
                    else:
                        await asyncio.sleep(step.seconds)
                except (Broken, HomingError) as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _exchange(self, step: Exchange, heard: Callable[[list[Any]], None] | None = None) -> list[Any]:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError(
                    "an AsyncClient belongs to the event loop it was first used in; make another"
                )
            self._loop = loop
        wire = await self._wire(step.address, step.by)
        try:
            replies = await wire.exchange(step.packed, step.replies, step.by, heard)
        except Broken:
            wire.close()
            self._drop(step.address)  # the idle ones are as old as it is
            raise
        except BaseException:
            # Also when cancelled: replies may still come, so this connection is not used again.
            wire.close()
            raise
        wire.home.append(wire)
        return replies

    async def _wire(self, address: Address, by: float) -> Wire:
        """An idle connection, or a new one."""
        idle = self._idle.get(address)
        while idle:
            wire = idle.pop()
            if wire.quiet():
                return wire
            wire.close()
        # redis-py sets time limits, which are a task's: who began before its own task did goes on in it from here.
        await asyncio.sleep(0)
        return await self._dial(address, by)

    async def _dial(self, address: Address, by: float) -> Wire:
        access = self._flight.target.access_to(address)
        connected = _connection(address, access, by)
        try:
            await connected.connect()
        except _errors() as error:
            if (revive := self._flight.target.revive) is not None:
                await asyncio.to_thread(revive)
            raise undialled(error, address, tls=access.tls is not None) from error
        wire = Wire(address, connected, self._idle.setdefault(address, []))
        try:
            await self._greet(wire, address, access, by)
        except BaseException:
            wire.close()
            raise
        return wire

    async def _greet(self, wire: Wire, address: Address, access: Access, by: float) -> None:
        provider: Any = access.provider
        if provider is None:
            credentials = access.credentials()
        else:
            credentials = tuple(await provider.get_credentials_async())
        packed, names = greeting(credentials, 0 if address.sentinel else self._flight.target.db)
        if names:
            try:
                replies = await wire.exchange(packed, len(names), by)
            except Broken as broken:
                raise Broken(broken.reason, sent=False) from broken
            check_greeting(names, replies, address)

    def _drop(self, address: Address) -> None:
        for wire in self._idle.pop(address, ()):
            wire.close()


def _connection(address: Address, access: Access, by: float) -> Any:
    """A connection of redis-py, not yet connected."""
    from redis.asyncio import connection

    name = dial.class_name(address, access)
    made = getattr(connection, name)
    if name == dial.UNIX:
        # Of this class alone, `connect` greets whatever it was told to do instead.
        made = type("QuietUnixConnection", (made,), {"on_connect": _say_nothing})
    return made(**dial.options(address, access, max(0.001, by - time.monotonic())))


async def _say_nothing(connection: object) -> None:
    """In place of redis-py's handshake: homing reads the answers to its own greeting as they are."""


def _errors() -> tuple[type[Exception], ...]:
    from redis import RedisError

    return (RedisError, OSError)
