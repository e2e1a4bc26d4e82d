"""Commands as the bytes that are sent."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import hiredis

from homing.command import Argument, Command

#: The words of a command as they are sent. (The stub of hiredis has it take a tuple of one.)
pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]

#: How many scripts, each on the keys of one queue or registration, have their beginning kept packed.
_HEADS_KEPT = 1_024


def packed_command(command: Command[Any], *, text: bool = False, plain: bool = False) -> bytes:
    """The command and those behind it; a script by its text or its hash, `plain` without its `#!lua` line."""
    script, keys, args = command.call, command.keys, tuple(command.args)
    if isinstance(script, tuple):
        packed = pack((*script, *keys, *args))
    elif text:
        packed = pack(("EVAL", script.plain if plain else script.text, len(keys), *keys, *args))
    else:
        _, _, rest = pack(args).partition(b"\n")
        head = _head(script.plain_sha if plain else script.sha, keys)
        packed = b"*%d\r\n%b%b" % (3 + len(keys) + len(args), head, rest)
    return b"".join((packed, *map(pack, command.behind))) if command.behind else packed


@lru_cache(maxsize=_HEADS_KEPT)
def _head(sha: str, keys: tuple[str, ...]) -> bytes:
    """What all calls of a script in one queue begin with, behind the number of their words."""
    words = pack(("EVALSHA", sha, len(keys), *keys))
    return words[words.index(b"\n") + 1 :]
