"""What a new connection says first, and what may be wrong with the answers. No I/O."""

from typing import Any

from homing.command import Argument, Command
from homing.errors import ServerAuth
from homing.faults import Broken, Refusal, Step, judge
from homing.packing import pack
from homing.target import Address


def greeting(credentials: tuple[str, ...], db: int) -> tuple[bytes, list[str]]:
    """What a new connection says first, and the names of what it says."""
    words: list[tuple[Argument, ...]] = []
    if credentials:
        words.append(("AUTH", *credentials))
    if db:
        words.append(("SELECT", db))
    return b"".join(map(pack, words)), [str(one[0]) for one in words]


def check_greeting(names: list[str], replies: list[Any], address: Address) -> None:
    """Raise what a server has against the greeting; Broken when it may be greeted again later."""
    for name, reply in zip(names, replies, strict=True):
        if type(reply) is not Refusal:
            continue
        verdict = judge(reply, Command((name,), (), (), bytes), address)
        if verdict.step is Step.FAIL:
            raise verdict.error if name == "SELECT" else ServerAuth(str(verdict.error))
        raise Broken(str(verdict.error), sent=False)
