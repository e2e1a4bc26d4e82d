"""What goes between a worker and the process that runs an isolated task: one frame each way."""

from typing import Any, Literal

import msgspec

from homing.job import Ack, Again, Cancelled, Claimed, Dead, Decision

#: Bytes of a frame's length, big-endian, before the frame.
HEAD = 4


class Order(msgspec.Struct, frozen=True):
    """Run this job. Where its task is found comes from the worker's own registry, never from the job."""

    module: str
    qualname: str
    main: str  # the program's own file, when the task is defined in `__main__`; else empty
    path: list[str]  # of imports
    queue: str
    worker: str
    result_max_bytes: int
    job: Claimed


class Answer(msgspec.Struct, frozen=True):
    """What the run decided, field by field: the process that saw the exception applied the policy."""

    kind: Literal["ack", "again", "dead", "cancelled"]
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
        match self.kind:
            case "ack":
                return Ack(self.body)
            case "again":
                return Again(self.delay_ms, self.attempt, self.body)
            case "dead":
                return Dead(self.body, self.attempt)
            case "cancelled":
                return Cancelled(self.reason)


def frame(value: Any) -> bytes:
    """The bytes of an Order or Answer, length first."""
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(HEAD, "big") + body


read_order = msgspec.msgpack.Decoder(Order).decode
read_answer = msgspec.msgpack.Decoder(Answer).decode
