"""The names of all keys, and the rules for names. All keys of a queue share one hash tag."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from homing.errors import SettingsError

#: What a queue's or task's name may hold.
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def check_queue(name: object) -> str:
    """Return the queue's name, or raise TypeError / SettingsError with the rule."""
    if not isinstance(name, str):
        raise TypeError(f"queue must be a str, not {type(name).__name__}: {name!r:.200}")
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"queue name {name!r:.200} is not allowed: use 1 to 128 of the characters A-Z a-z 0-9 _ . : -"
        )
    return name


def check_id(job_id: object) -> str:
    """Return a job id chosen by a caller, or raise TypeError / SettingsError with the rule."""
    if not isinstance(job_id, str):
        raise TypeError(f"id must be a str, not {type(job_id).__name__}: {job_id!r:.200}")
    if not _ID.fullmatch(job_id):
        raise SettingsError(
            f"job id {job_id!r:.200} is not allowed: use 1 to 64 of the characters A-Z a-z 0-9 _ . : -"
        )
    return job_id


def check_prefix(prefix: object) -> str:
    """Return the prefix of all keys, or raise TypeError / SettingsError with the rule."""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a str, not {type(prefix).__name__}: {prefix!r:.200}")
    if not _PREFIX.fullmatch(prefix):
        raise SettingsError(
            f"prefix {prefix!r:.200} is not allowed: use 1 to 64 of the characters A-Z a-z 0-9 _ . : -"
        )
    return prefix


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one queue: `keys.meta`, `keys.job("a1")`; a script's header names them."""

    queue: str
    prefix: str = "homing"
    #: `homing:{queue}`: never exists as a key; scripts derive per-job keys from it.
    base: str = field(init=False)

    def __post_init__(self) -> None:
        check_queue(self.queue)
        check_prefix(self.prefix)
        object.__setattr__(self, "base", f"{self.prefix}:{{{self.queue}}}")

    def __call__(self, name: str, args: Mapping[str, object] = {}) -> str:
        """The key a script's header calls `name`."""
        return named(self.base, name, args)

    def job(self, job_id: str) -> str:
        return f"{self.base}:job:{job_id}"

    def active(self, worker: str) -> str:
        return f"{self.base}:active:{worker}"

    def waiting(self, priority: int) -> str:
        return f"{self.base}:waiting:{priority}"

    def stream(self, priority: int) -> str:
        return f"{self.base}:stream:{priority}"

    def result(self, job_id: str) -> str:
        return f"{self.base}:result:{job_id}"

    def reply(self, process: str) -> str:
        return f"{self.base}:reply:{process}"

    @property
    def bell(self) -> str:
        return f"{self.base}:bell"

    @property
    def meta(self) -> str:
        return f"{self.base}:meta"


def named(base: str, name: str, args: Mapping[str, object]) -> str:
    """The key of a queue that a script's header calls `name`: `prefix` is the base itself, `lanes_old` is
    `…:lanes:old`, and `active:worker` ends in the value of the argument `worker`.
    """
    if name == "prefix":
        return base
    kind, colon, argument = name.partition(":")
    return f"{base}:{kind}:{args[argument]}" if colon else f"{base}:{name.replace('_old', ':old')}"


def queues_key(prefix: str = "homing") -> str:
    """The set of all queues' names, outside any queue's slot."""
    return f"{check_prefix(prefix)}:queues"
