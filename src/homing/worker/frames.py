"""What goes between a worker and the process that runs an isolated task: one frame each way."""

from typing import Any, Literal

import msgspec

from homing.errors import UnknownTask
from homing.job import Ack, Again, Cancelled, Claimed, Dead, Decision

#: Bytes of a frame's length, big-endian, before the frame.
HEAD = 4


class Sought(msgspec.Struct, frozen=True):
    """A task, and where it stands once the module that declares it was imported.

    Comes from the worker's own registry, never from a job.
    """

    name: str
    module: str
    file: str  # the program's own, run in place of an import when the task is declared in `__main__`; else empty
    places: list[tuple[str, str]]  # module and attribute: of its app, or of itself


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Find these tasks, and say which are not to be found, and why."""

    tasks: list[Sought]
    path: list[str]  # of imports


class Order(msgspec.Struct, frozen=True, tag="order"):
    """Run this job."""

    task: Sought
    path: list[str]  # of imports
    queue: str
    worker: str
    result_max_bytes: int
    job: Claimed


class Answer(msgspec.Struct, frozen=True):
    """What the run decided, field by field: the process that saw the exception applied the policy."""

    kind: Literal["ack", "again", "dead", "cancelled", "unknown"]
    body: bytes = b""  # result, meta or error
    delay_ms: int = 0
    attempt: int = 0
    reason: str = ""

    @classmethod
    def of(cls, decision: Decision) -> "Answer":
        match decision:
            case Ack(result):
                return cls("ack", result)
            case Again(delay_ms, attempt, meta):
                return cls("again", meta, delay_ms, attempt)
            case Dead(error, attempt):
                return cls("dead", error, 0, attempt)
            case Cancelled(reason):
                return cls("cancelled", reason=reason)
        raise TypeError(f"a run cannot decide {decision!r}")

    @property
    def decision(self) -> Decision:
        """Raises UnknownTask when the job did not run, for want of its task."""
        match self.kind:
            case "ack":
                return Ack(self.body)
            case "again":
                return Again(self.delay_ms, self.attempt, self.body)
            case "dead":
                return Dead(self.body, self.attempt)
            case "cancelled":
                return Cancelled(self.reason)
            case "unknown":
                raise UnknownTask(self.reason)


def frame(value: Any) -> bytes:
    """The bytes of a message, length first."""
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(HEAD, "big") + body


read_order = msgspec.msgpack.Decoder(Order | Look).decode
#: Names of tasks that were not found, each with why.
read_missing = msgspec.msgpack.Decoder(list[tuple[str, str]]).decode
read_answer = msgspec.msgpack.Decoder(Answer).decode
