"""One round trip as a value: which script, which keys, which arguments, how to read the answer.

A script's header is its contract:

    -- What it does.
    --
    -- USES clock bell             shared function files put before it
    -- FLAGS allow-oom             flags of the `#!lua` line, when any
    -- KEYS[1] meta                a name of keys.Keys
    -- KEYS[2] active:worker       a key that ends in the argument `worker`
    -- ARGV[1] worker              a keyword parameter in Python
    -- ARGV[2...] ids              the last one may take any number
    --
    -- Returns ...

Where there is a line `-- FUNCTIONS` further down, functions that only the rest needs are made there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any, Generic, TypeVar

from msgspec import Struct

from homing.keys import Keys, named

T = TypeVar("T")
Argument = str | bytes | int

_DECLARED = re.compile(r"-- (KEYS|ARGV)\[(\d+)(\.\.\.)?\] (\S+)")
_WORDS = re.compile(r"-- (USES|FLAGS) (.+)")
_WORD = re.compile(r"--.*|([A-Za-z_]\w*)")
#: Where a script has the shared functions made, when not before all of it.
_FUNCTIONS_HERE = "\n-- FUNCTIONS\n"
#: A function of a shared file: on one line, or up to an `end` at the beginning of its own.
_FUNCTION = re.compile(
    r"^local function (?P<short>\w+)\(.*\bend$|^local function (?P<long>\w+)\(.*\n(?:.*\n)*?end$",
    re.MULTILINE,
)
#: How many calls have the names of their keys kept: one for each script and queue, or registration, in use.
_NAMES_KEPT = 1_024


@dataclass(frozen=True, eq=False)
class Script:
    """A Lua script in two texts: `text` with a `#!lua` line, `plain` for Redis 6.2, which knows none."""

    name: str
    text: str
    plain: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    variadic: bool
    sha: str
    plain_sha: str
    #: The arguments that names of its keys end in.
    ends: tuple[str, ...] = ()

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """The arguments that have a name of their own."""
        return self.args[:-1] if self.variadic else self.args


class Command(Struct, Generic[T], frozen=True, eq=False):
    """One call: run by a client, never by itself.

    `call` is a Script, or the words of a plain command. `resend` says whether a
    client may send it again after a lost reply. The plain commands `behind` go on the same
    connection right after it; with them `decode` takes the list of all replies, and an exception
    stands in it for one that was refused or never came. `decode_again` reads the answer to a copy, when
    an earlier one may have run: what it finds may be its own work.
    """

    call: Script | tuple[Argument, ...]
    keys: tuple[str, ...]
    args: Sequence[Argument]
    decode: Callable[[Any], T]
    queue: str = ""
    resend: bool = True
    behind: tuple[tuple[Argument, ...], ...] = ()
    decode_again: Callable[[Any], T] | None = None

    @property
    def name(self) -> str:
        return self.call.name if isinstance(self.call, Script) else str(self.call[0])


def _header(text: str) -> tuple[dict[str, list[str]], dict[str, str], bool]:
    names: dict[str, list[str]] = {"KEYS": [], "ARGV": []}
    words: dict[str, str] = {}
    variadic = False
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if declared := _DECLARED.match(line):
            kind, number, dots, name = declared.groups()
            if int(number) != len(names[kind]) + 1 or (variadic and kind == "ARGV"):
                raise ValueError(f"the header is out of order at {line!r}")
            names[kind].append(name)
            variadic = variadic or dots is not None
        elif words_line := _WORDS.match(line):
            words[words_line[1]] = words_line[2]
    return names, words, variadic


def _joined(shared: str, body: str) -> str:
    """The script behind what it needs of the shared text: all but the functions that it does not reach. A
    server makes every function anew at each call, 40 of them in the time of four commands; so what stands
    above `-- FUNCTIONS` has only those that it reaches itself made before it runs.
    """
    functions = {_name(found): found[0] for found in _FUNCTION.finditer(shared)}
    rest = _FUNCTION.sub("", shared)
    first, line, last = body.partition(_FUNCTIONS_HERE)
    reached = _reached(functions, [body, rest])
    early = _reached(functions, [first, rest]) if line else reached
    parts = [rest, *[functions[name] for name in functions if name in early], first]
    if line:
        parts += [*[functions[name] for name in functions if name in reached - early], last]
    return "\n".join(parts)


def _reached(functions: Mapping[str, str], texts: list[str]) -> set[str]:
    """The functions that these texts name, and those that these name in turn."""
    reached: set[str] = set()
    while texts:
        named = functions.keys() & set(_WORD.findall(texts.pop())) - reached
        reached |= named
        texts += [functions[name] for name in named]
    return reached


def _name(function: re.Match[str]) -> str:
    return function["short"] or function["long"]


@cache
def load(package: str, name: str, *, lean: bool = False) -> Script:
    """Read `lua/<name>.lua` of an engine's package, or where both are the same `shared/both/<name>.lua`,
    with what it reaches of the shared files its header names and of the engine's own functions.

    `lean` adds the flag that lets a full server run it. Raises ValueError when its header is out of order.
    """
    # Not needed to declare a task: they would cost every program some milliseconds at its start.
    import hashlib
    from importlib.resources import files

    own, shared = files(package) / "lua", files("homing.engines") / "shared"
    script = own / f"{name}.lua"
    body = (script if script.is_file() else shared / "both" / f"{name}.lua").read_text()
    names, words, variadic = _header(body)
    parts = [shared / f"{used}.lua" for used in words.get("USES", "").split()]
    parts += sorted((one for one in own.iterdir() if one.name.startswith("_")), key=lambda one: one.name)
    code = _joined("\n".join([part.read_text() for part in parts]), body)
    flags = "allow-oom" if lean else words.get("FLAGS", "")
    text = f"#!lua flags={flags}\n{code}" if flags else f"#!lua\n{code}"
    # Without flags (6.2) a script is refused on a full server by its first write that may
    # grow memory, unless a write that may not went before: this key never exists, and a producer, who
    # must not delete, may say how long one lives.
    plain = f"redis.call('EXPIRE', KEYS[1], 1)\n{code}" if "allow-oom" in flags else code
    return Script(
        name=name,
        text=text,
        plain=plain,
        keys=tuple(names["KEYS"]),
        args=tuple(names["ARGV"]),
        variadic=variadic,
        sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(),
        plain_sha=hashlib.sha1(plain.encode(), usedforsecurity=False).hexdigest(),
        ends=tuple(dict.fromkeys(key.partition(":")[2] for key in names["KEYS"] if ":" in key)),
    )


def call(
    script: Script,
    keys: Keys,
    decode: Callable[[Any], T],
    *,
    resend: bool = True,
    rest: Sequence[Argument] = (),
    **args: Argument,
) -> Command[T]:
    """A Command of this script; a missing or extra argument name is a TypeError.

    `rest` are the values of the last argument when the header marks it with dots.
    """
    if tuple(args) != script.wanted:
        raise TypeError(f"{script.name} takes {script.wanted} in this order, not {tuple(args)}")
    if rest and not script.variadic:
        raise TypeError(f"{script.name} takes no further arguments")
    names = _names(script, keys.base, tuple([args[end] for end in script.ends]) if script.ends else ())
    return Command(script, names, [*args.values(), *rest], decode, keys.queue, resend)


def prepared(script: Script, keys: Keys, *args: str) -> tuple[Script, tuple[str, ...]]:
    """The script and its keys for Commands that a caller makes by itself, with these arguments in this order: what
    `call` looks at each time is seen to once.
    """
    if args != script.wanted or script.ends:
        raise TypeError(
            f"{script.name} takes {script.wanted} in this order, not {args}, and no key that ends in one"
        )
    return script, _names(script, keys.base, ())


@lru_cache(maxsize=_NAMES_KEPT)
def _names(script: Script, base: str, ends: tuple[Argument, ...]) -> tuple[str, ...]:
    """The keys of a script in one queue: made anew for each call they would cost more than sending it."""
    args = dict(zip(script.ends, ends, strict=True))
    return tuple([named(base, key, args) for key in script.keys])
