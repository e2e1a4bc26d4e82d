"""Walking: steps, one after the other, on both engines and their models."""

import random
from collections.abc import Sequence
from itertools import count
from typing import Any

from homing.client import Client
from homing.command import Command, Script
from homing.engines import make
from homing.engines.engine import EngineName
from homing.keys import Keys
from homing.target import Target
from tests.conformance.driver import Queue
from tests.model.rooms import ListsRoom, Room, StreamsRoom
from tests.model.state import Model
from tests.model.steps import Rules, Step, random_steps
from tests.model.twin import Different, Twin
from tests.servers import Server

ENGINES: tuple[EngineName, ...] = ("lists", "streams")
#: The whole state is looked at once in so many steps, and at the end; counts and bell after each.
WHOLE_EVERY = 10
#: Steps of one queue's life.
LIFE = 150


class Walker:
    """Walks on queues of its own on one server, each new."""

    def __init__(self, server: Server, name: str) -> None:
        self._client = Client(Target.parse(server.url))
        self._raw = server.redis(protocol=2)
        self._name = name
        self._numbers = count(1)
        self._loaded: set[str] = set()

    def walk(self, steps: Sequence[Step], whole_every: int = WHOLE_EVERY) -> None:
        """A new queue lives through these steps. Raises Different at the first difference."""
        number = next(self._numbers)
        twins = [self._twin(engine, number) for engine in ENGINES]
        rules = Rules(twins, twins[0].queue.start_ms)
        try:
            for turn, step in enumerate(steps):
                try:
                    self._step(rules, step)
                    if (turn + 1) % whole_every == 0 or turn + 1 == len(steps):
                        for twin in twins:
                            twin.compare_whole()
                except Different as error:
                    raise Different(error.where, f"step {turn} {step}: {error}") from error
                except AssertionError as error:  # of `whole`, about two ways to look at one thing
                    raise Different("whole itself", f"step {turn} {step}: {error}") from error
        finally:
            self._clean(number)

    def close(self) -> None:
        self._client.close()
        self._raw.close()

    def _twin(self, engine: EngineName, number: int) -> Twin:
        room: Room = ListsRoom() if engine == "lists" else StreamsRoom()
        keys = Keys(f"{self._name}-{number}-{engine}")
        return Twin(Queue(make(engine, keys), self._client.run, self._raw), Model(keys.queue, room))

    def _step(self, rules: Rules, step: Step) -> None:
        if step[0] == "flush":
            self._raw.script_flush()
            self._loaded.clear()
            return
        made = rules.calls(step)
        flight = [
            (twin, call)
            for twin, calls in zip(rules.twins, made, strict=True)
            for call in [*calls, *twin.looks()]
        ]
        for (twin, call), answer in zip(flight, self._fly([call.command for _, call in flight]), strict=True):
            twin.compare(call, answer)

    def _fly(self, commands: list[Command[Any]]) -> list[Any]:
        """The answers, in one flight; one by one while scripts are missing: they would be asked again
        after their followers.
        """
        scripts = {one.call.sha for one in commands if isinstance(one.call, Script)}
        if scripts <= self._loaded:
            return self._client.run_many(commands)
        self._loaded |= scripts
        return [answer for one in commands for answer in self._client.run_many([one])]

    def _clean(self, number: int) -> None:
        with self._raw.pipeline(transaction=False) as flight:
            for key in self._raw.keys(f"homing:{{{self._name}-{number}-*"):
                flight.unlink(key)
            flight.execute()


def shrunk(walker: Walker, steps: list[Step], where: str) -> list[Step]:
    """Fewer steps that still make the same difference: parts are left out while they do."""

    def fails(some: list[Step]) -> bool:
        try:
            walker.walk(some, whole_every=1)
        except Different as error:
            return error.where == where
        return False

    size = max(len(steps) // 2, 1)
    while size:
        at = 0
        while at < len(steps):
            fewer = steps[:at] + steps[at + size :]
            if fewer and fails(fewer):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps


def life(seed: int, number: int) -> list[Step]:
    """The steps of one queue's life."""
    return random_steps(random.Random(f"{seed}/{number}"), LIFE)
