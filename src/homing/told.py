"""What a server tells of itself: the lines of INFO, the settings of CONFIG. No I/O."""

from collections.abc import Sequence
from typing import Any

from homing.command import Command
from homing.errors import HomingError, ServerAuth, ServerTooOld


def read_info(text: bytes) -> dict[str, str]:
    """The lines of INFO."""
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon and not name.startswith("#")}


def config_commands(names: Sequence[str]) -> list[Command[dict[str, str]]]:
    """CONFIG GET of each name: several in one call came with 7.0."""
    return [Command(("CONFIG", "GET", name), (), (), pairs) for name in names]


def read_config(answers: Sequence[Any]) -> dict[str, str] | None:
    """The settings; None when the server does not let them be read."""
    settings: dict[str, str] = {}
    for answer in answers:
        if isinstance(answer, ServerAuth | ServerTooOld):
            return None
        if isinstance(answer, HomingError):
            raise answer
        settings |= answer
    return settings


def pairs(flat: list[bytes]) -> dict[str, str]:
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))
