"""Scripts and commands for tests, made as the loader makes them."""

import hashlib
from typing import Any

from homing.command import Command, Script
from tests.servers import Server


def script(body: str, name: str = "tested") -> Script:
    text = f"#!lua\n{body}"
    return Script(name, text, body, ("key",), (), True, _sha(text), _sha(body))


def _sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


ECHO = script("return ARGV[1]", "echo")
COUNT = script("return redis.call('INCR', KEYS[1])", "count")


def echo(word: str, key: str = "homing:{t}:echo") -> Command[bytes]:
    return Command(ECHO, (key,), (word,), bytes, "t")


def count(key: str, *, resend: bool = True) -> Command[int]:
    """Adds one to a key, which says how often it ran."""
    return Command(COUNT, (key,), (), int, "t", resend)


def raw(*words: str, keys: tuple[str, ...] = ()) -> Command[Any]:
    return Command(words, keys, (), lambda reply: reply)


def tell(server: Server, *words: str) -> Any:
    """One command by a plain client."""
    plain: Any = server.redis()
    try:
        return plain.execute_command(*words)
    finally:
        plain.close()
