"""Redis's scripts in a Lua 5.1 beside the server, which counts the instructions that a call takes.

The server's own Lua has no debug library. This one is the same interpreter (PUC Lua 5.1) with its count hook; what the
script calls goes to a real server and is answered by it. A count depends on the script and the data, on no clock.
"""

import hashlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from homing.command import Command, Script

T = TypeVar("T")
#: The script runs in its own environment, as on the server, and is compiled once. The hook sees no instruction of
#: itself, and a handful of those around the call.
_HARNESS = b"""
local compile, hook, set = loadstring, debug.sethook, setfenv
local base = {
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, math = math, next = next, pairs = pairs,
  pcall = pcall, rawequal = rawequal, rawget = rawget, rawset = rawset, select = select, setmetatable = setmetatable,
  string = string, table = table, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack, xpcall = xpcall,
}
local known = {}
return function(source, sha, redis, keys, argv)
  if not known[sha] then known[sha] = assert(compile(source)) end
  local script, count = known[sha], 0
  set(script, setmetatable({redis = redis, KEYS = keys, ARGV = argv}, {__index = base}))
  hook(function() count = count + 1 end, '', 1)
  local ran, answer = pcall(script)
  hook()
  return ran, answer, count
end
"""


class Refused(Exception):
    """What the server, or the script, answered as an error."""


class Status(bytes):
    """A status reply, which a script sees as a table."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Count:
    """What one call took: instructions of Lua's machine, and commands that it gave to the server."""

    instructions: int
    commands: int


class Interpreter:
    """Runs an engine's commands over one connection to a server on a unix socket."""

    def __init__(self, path: str) -> None:
        # Who only reads the page's data has no need of it.
        from lupa import lua51

        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._file = self._socket.makefile("rb")
        self._lua: Any = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True, register_builtins=False)
        self._harness: Any = self._lua.execute(_HARNESS)
        self._commands = 0
        self._redis: Any = self._lua.table_from({
            b"call": self._call, b"pcall": self._pcall,
            b"error_reply": lambda words: self._table({b"err": words}),
            b"status_reply": lambda words: self._table({b"ok": words}),
            b"sha1hex": lambda text: hashlib.sha1(text, usedforsecurity=False).hexdigest().encode(),
        })  # fmt: skip

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def run(self, command: Command[T]) -> tuple[T, Count]:
        """The command's answer, decoded, and what it took."""
        script = command.call
        if not isinstance(script, Script):
            raise TypeError(f"{command.name} is no script")
        self._commands = 0
        source = script.text.partition("\n")[2].encode()  # without the line `#!lua`
        keys = self._table([_bytes(key) for key in command.keys])
        argv = self._table([_bytes(word) for word in command.args])
        ran, answer, instructions = self._harness(source, script.sha, self._redis, keys, argv)
        if not ran:
            raise Refused(f"{script.name}: {answer!r}")
        return command.decode(self._replied(answer)), Count(instructions, self._commands)

    # -- what a script calls

    def _call(self, *words: Any) -> Any:
        reply = self._exchange(words)
        if isinstance(reply, Refused):
            raise reply
        return self._seen(reply)

    def _pcall(self, *words: Any) -> Any:
        return self._seen(self._exchange(words))

    def _exchange(self, words: tuple[Any, ...]) -> Any:
        self._commands += 1
        packed = [b"*%d\r\n" % len(words)]
        packed += [b"$%d\r\n%s\r\n" % (len(word), word) for word in map(_bytes, words)]
        self._socket.sendall(b"".join(packed))
        return self._reply()

    def _reply(self) -> Any:
        line = self._file.readline()
        kind, rest = line[:1], line[1:-2]
        match kind:
            case b"+":
                return Status(rest)
            case b"-":
                return Refused(rest.decode())
            case b":":
                return int(rest)
            case b"$":
                return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
            case b"*":
                return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise ConnectionError(f"the server said {line!r}")

    # -- between the two languages

    def _table(self, items: Any) -> Any:
        return self._lua.table_from(items)

    def _seen(self, reply: Any) -> Any:
        """A reply as a script sees it: no value is false, a status and an error are tables."""
        match reply:
            case None:
                return False
            case Status():
                return self._table({b"ok": bytes(reply)})
            case Refused():
                return self._table({b"err": str(reply).encode()})
            case list():
                return self._table([self._seen(item) for item in reply])
        return reply

    def _replied(self, answer: Any) -> Any:
        """A script's answer as a client sees it. Raises Refused when it is an error."""
        match answer:
            case None | False:
                return None
            case True:
                return 1
            case float():
                return int(answer)
            case int() | bytes():
                return answer
        if (words := answer[b"err"]) is not None:
            raise Refused(words.decode())
        if (words := answer[b"ok"]) is not None:
            return words
        return list(self._items(answer))

    def _items(self, table: Any) -> Any:
        """Up to the first that is nil, as the server has it."""
        number = 1
        while (item := table[number]) is not None:
            yield self._replied(item)
            number += 1


def _bytes(word: Any) -> bytes:
    match word:
        case bytes():
            return word
        case float():
            return b"%.17g" % word
    return str(word).encode()


#: What runs commands: a client, or an interpreter that drops its counts.
Runner = Callable[[Command[Any]], Any]
