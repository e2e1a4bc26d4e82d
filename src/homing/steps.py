"""Procedures of several round trips, written once and driven by the sync or the async client.

A procedure is a generator: it yields what it wants done and is sent the answer, or thrown the error.
It decides; the two drivers at the end of this file act.
"""

import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from msgspec import Struct

from homing.command import Command
from homing.errors import HomingError

if TYPE_CHECKING:
    from homing.aclient import AsyncClient
    from homing.client import Client

T = TypeVar("T")


class Run(Struct, frozen=True):
    command: Command[Any]


class RunMany(Struct, frozen=True):
    commands: Sequence[Command[Any]]


class Wait(Struct, frozen=True):
    bells: Sequence[str]
    block_s: float
    command: Command[Any]


class Sleep(Struct, frozen=True):
    seconds: float


Effect: TypeAlias = Run | RunMany | Wait | Sleep
Steps: TypeAlias = Generator[Effect, Any, T]


def run(command: Command[T]) -> Steps[T]:
    """One round trip."""
    answer: T = yield Run(command)
    return answer


def run_all(commands: Sequence[Command[Any]]) -> Steps[list[Any]]:
    """Several commands in one flight; raises the first error among the answers."""
    answers: list[Any] = yield RunMany(commands)
    for answer in answers:
        if isinstance(answer, HomingError):
            raise answer
    return answers


def wait(bells: Sequence[str], block_s: float, command: Command[T]) -> Steps[T | None]:
    """Block on the bells and run the command the moment one rings; None when none did."""
    answer: T | None = yield Wait(bells, block_s, command)
    return answer


def sleep(seconds: float) -> Steps[None]:
    yield Sleep(seconds)


def drive(client: "Client", steps: Steps[T]) -> T:
    """Carry a procedure out with the sync client."""
    try:
        effect = next(steps)
        while True:
            try:
                answer = client.run(effect.command) if type(effect) is Run else _act(client, effect)
            except BaseException as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value


def _act(client: "Client", effect: Effect) -> Any:
    match effect:
        case RunMany(commands):
            return client.run_many(commands)
        case Wait(bells, block_s, command):
            return client.wait(bells, block_s, command)
        case Sleep(seconds):
            return time.sleep(seconds)


async def adrive(client: "AsyncClient", steps: Steps[T]) -> T:
    """Carry a procedure out with the async client."""
    try:
        effect = next(steps)
        while True:
            try:
                if type(effect) is Run:
                    answer = await client.run(effect.command)
                else:
                    answer = await _aact(client, effect)
            except BaseException as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value


async def _aact(client: "AsyncClient", effect: Effect) -> Any:
    match effect:
        case RunMany(commands):
            return await client.run_many(commands)
        case Wait(bells, block_s, command):
            return await client.wait(bells, block_s, command)
        case Sleep(seconds):
            import asyncio

            return await asyncio.sleep(seconds)
