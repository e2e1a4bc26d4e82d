"""How sure the server's word on outcomes must be, and telling when it was not."""

import logging
from typing import Any

from homing import events
from homing.command import Command
from homing.durability import Proof, Proven
from homing.job import Settled


class Assurance:
    """Of one queue. An outcome cannot be undone: what is missing is told once per outage, and work goes on."""

    def __init__(self, queue: str, proof: Proof | None) -> None:
        self._queue = queue
        self._proof = proof
        self._unsure = 0  # outcomes since they stopped being as sure as asked for

    def asking(self, settle: Command[Settled]) -> Command[Any]:
        """The command to send; its answer is for `heard`."""
        return settle if self._proof is None else self._proof.with_write(settle)

    def heard(self, answer: Any, outcomes: int) -> Settled:
        """What the answer says of so many outcomes."""
        if not isinstance(answer, Proven):
            settled: Settled = answer
            return settled
        assert self._proof is not None
        if answer.lacks:
            if not self._unsure:
                events.emit(
                    "outcomes_unsure",
                    level=logging.WARNING,
                    queue=self._queue,
                    asked=self._proof.level,
                    because=answer.lacks,
                )
            self._unsure += outcomes
        elif self._unsure:
            events.emit("outcomes_sure_again", queue=self._queue, unsure=self._unsure)
            self._unsure = 0
        told: Settled = answer.answer
        return told
