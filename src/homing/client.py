"""The client of threads: sends what flights say, over connections of its own."""

import os
import select
import time
from collections.abc import Iterator, Mapping, Sequence
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

#: Bytes read at once.
READ_BYTES = 65_536
_MORE = object()  # the reader has no whole reply yet


def prepare() -> None:
    """Import what connecting takes, now: under load that lasts seconds, and an operation has a deadline."""
    from redis import connection  # noqa: F401


class Wire:
    """One connection. Between two exchanges nothing is on its way."""

    def __init__(self, address: Address, connection: Any, home: "list[Wire]") -> None:
        self._address = address
        self._connection = connection
        self._socket = connection._sock
        # Any: its stub knows no bytearray.
        self._reader: Any = hiredis.Reader(replyError=Refusal, notEnoughData=_MORE)
        self._buffer = bytearray(READ_BYTES)
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        #: Waits so many ms for something to read, and tells what there is: of an idle connection that should be nothing.
        self.poll = poll.poll
        #: The idle connections it goes back to.
        self.home = home
        self._open()

    def _open(self) -> None:
        self._socket.setblocking(False)

    def exchange(self, packed: bytes, count: int, by: float) -> list[Any]:
        """Send and read. Raises Broken with the replies that came; then the wire is only to be closed."""
        replies: list[Any] = []
        reader, buffer = self._reader, self._buffer
        try:
            try:
                self._send(packed, by)
            except (BrokenPipeError, ConnectionResetError):
                pass  # a server that hangs up at once (maxclients) has said why: that is still to be read
            while True:
                read = self._receive(by)
                if not read:
                    raise Broken("the connection was closed", replies=replies)
                reader.feed(buffer, 0, read)
                while (reply := reader.gets()) is not _MORE:
                    replies.append(reply)
                if len(replies) >= count:
                    return replies
        except OSError as error:
            raise Broken(reason_of(error), replies=replies) from error
        except hiredis.ProtocolError as error:
            raise not_redis(self._address, error) from error

    def _send(self, packed: bytes, by: float) -> None:
        """Without a look whether there is room: what was just read empty takes a command at once."""
        sent = 0
        while True:
            try:
                sent += self._socket.send(memoryview(packed)[sent:] if sent else packed)
            except BlockingIOError:
                pass  # there was no room, or none any more
            if sent == len(packed):
                return
            room = select.poll()
            room.register(self._socket, select.POLLOUT)
            while not room.poll(_left(by) * 1_000):
                pass

    def _receive(self, by: float) -> int:
        """How many bytes came into the buffer, 0 at the end of the connection."""
        while True:
            if self.poll(_left(by) * 1_000):
                try:
                    return int(self._socket.recv_into(self._buffer))
                except BlockingIOError:
                    continue  # there was nothing after all

    def close(self) -> None:
        self._connection.disconnect()


class TlsWire(Wire):
    """A record of TLS may need a read to be written, and be read before the socket shows it: that waits by itself."""

    def _open(self) -> None:
        """As redis-py left it."""

    def _send(self, packed: bytes, by: float) -> None:
        self._socket.settimeout(_left(by))
        self._socket.sendall(packed)

    def _receive(self, by: float) -> int:
        self._socket.settimeout(_left(by))
        return int(self._socket.recv_into(self._buffer))


class Client:
    """Runs commands. Safe in threads, and in a forked child, which makes connections of its own.

    It connects when it is first used. `deadline` holds for a whole call, all tries together.
    """

    def __init__(self, target: Target, *, deadline: float = DEADLINE_S) -> None:
        self._flight = Flight(target, deadline)
        self._idle: dict[Address, list[Wire]] = {}
        self._pid = os.getpid()

    def run(self, command: Command[T], deadline: float | None = None) -> T:
        """One command to its answer; raises its error. `deadline` in seconds, for this call."""
        flight = self._flight
        now, deadline_s = time.monotonic(), deadline or flight.deadline_s
        straight = flight.straight(command, now, deadline_s)
        if straight is None:
            return self._drive(flight.run(command, deadline))
        landed: Any
        try:
            landed = self._exchange(straight)
        except (Broken, HomingError) as error:
            landed = error
        else:
            if type(landed[0]) is not Refusal:
                return command.decode(landed[0])  # nearly always
        return self._drive(flight.resume(command, straight.address, landed, now + deadline_s))

    def run_many(
        self, commands: Sequence[Command[Any]], deadline: float | None = None
    ) -> list[Any | HomingError]:
        """Commands in one flight; their results, or HomingErrors as values, in order."""
        return self._drive(self._flight.run_many(commands, deadline))

    @overload
    def wait(self, bells: Sequence[str], block_s: float, command: Command[T]) -> T: ...
    @overload
    def wait(self, bells: Sequence[str], block_s: float, command: None) -> None: ...
    def wait(self, bells: Sequence[str], block_s: float, command: Command[Any] | None) -> Any:
        """Block until a bell rings or `block_s` (0.01 to 2) is over, then run the command: in one flight.

        Holds a connection of its own. Raises ServerUnreachable at the first failure.
        """
        return self._drive(self._flight.wait(bells, block_s, command))

    def pop(self, key: str, block_s: float) -> bytes | None:
        """The first item of a list, waiting for it up to `block_s` (0.01 to 2); None: there was none."""
        return self._drive(self._flight.pop(key, block_s))

    def info(self) -> dict[str, str]:
        """What INFO says, of one server."""
        return self.run(Command(("INFO",), (), (), read_info))

    def config(self, *names: str) -> Mapping[str, str] | None:
        """Settings of one server; None when they may not be read."""
        return read_config(self.run_many(config_commands(names)))

    def scan(self, pattern: str) -> Iterator[bytes]:
        """All keys that match, of all primaries; one may come twice."""
        for address in self._drive(self._flight.primaries()):
            cursor = b"0"
            while True:
                cursor, keys = self._drive(self._flight.page(address, cursor, pattern))
                yield from keys
                if cursor == b"0":
                    break

    @property
    def target(self) -> Target:
        return self._flight.target

    def describe(self) -> str:
        """Where it connects to, with the password masked."""
        return str(self._flight.target)

    def close(self) -> None:
        """Close the connections. Those in use close when their calls end; used again, it connects again."""
        idle, self._idle = self._idle, {}
        for wires in idle.values():
            for wire in wires:
                wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.describe()!r})"

    def _drive(self, flow: Flow[T]) -> T:
        """Do what a flow says until it ends."""
        try:
            step = next(flow)
            while True:
                try:
                    replies = None
                    if isinstance(step, Exchange):
                        replies = self._exchange(step)
                    elif isinstance(step, Drop):
                        self._drop(step.address)
                    else:
                        time.sleep(step.seconds)
                except (Broken, HomingError) as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result

    def _exchange(self, step: Exchange) -> list[Any]:
        wire = self._wire(step.address, step.by)
        try:
            replies = wire.exchange(step.packed, step.replies, step.by)
        except BaseException:
            # Whatever stopped it, replies may still come: this connection is not used again. The
            # idle ones are as old as it is.
            wire.close()
            self._drop(step.address)
            raise
        wire.home.append(wire)
        return replies

    def _wire(self, address: Address, by: float) -> Wire:
        """An idle connection, or a new one."""
        if self._pid != os.getpid():
            # The parent goes on with its sockets; ours must be others.
            self._idle, self._pid = {}, os.getpid()
        idle = self._idle.get(address)
        while idle:
            try:
                wire = idle.pop()
            except IndexError:
                break
            if not wire.poll(0):
                return wire
            wire.close()
        return self._dial(address, by)

    def _dial(self, address: Address, by: float) -> Wire:
        from redis import RedisError, connection

        access = self._flight.target.access_to(address)
        made = getattr(connection, dial.class_name(address, access))
        try:
            connected = made(**dial.options(address, access, _left(by)))
            connected.connect()
        except (RedisError, OSError) as error:
            if (revive := self._flight.target.revive) is not None:
                revive()
            raise undialled(error, address, tls=access.tls is not None) from error
        kind = Wire if access.tls is None or address.path else TlsWire
        wire = kind(address, connected, self._idle.setdefault(address, []))
        try:
            self._greet(wire, address, access, by)
        except BaseException:
            wire.close()
            raise
        return wire

    def _greet(self, wire: Wire, address: Address, access: Access, by: float) -> None:
        provider: Any = access.provider
        credentials = access.credentials() if provider is None else tuple(provider.get_credentials())
        packed, names = greeting(credentials, 0 if address.sentinel else self._flight.target.db)
        if names:
            try:
                replies = wire.exchange(packed, len(names), by)
            except Broken as broken:
                raise Broken(broken.reason, sent=False) from broken
            check_greeting(names, replies, address)

    def _drop(self, address: Address) -> None:
        for wire in self._idle.pop(address, ()):
            wire.close()


def _left(by: float) -> float:
    """Seconds until then, for a socket's timeout; TimeoutError when there are none."""
    left = by - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
