"""A consumed message: what it holds, and how it is settled."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from homing import codec
from homing.current import CurrentJob
from homing.errors import JobError
from homing.job import Ack, Bury, Cancel, Claimed, Decision, HandBack, Retry, Settlement
from homing.policy import Returned, decide

if TYPE_CHECKING:
    from datetime import timedelta

    from homing.consuming import Consuming
    from homing.delivery.lease import Lease


class Message(CurrentJob):
    """One message in the hands of its consumer, until it is settled.

    `with job:` (in `aconsume`: `async with job:`) acks at the end; on an exception it retries or buries as
    the consumer's `retry` says, and the loop goes on. Its end waits for the server's answer, and raises
    LeaseLost when the job was not this consumer's any more. KeyboardInterrupt, SystemExit and a
    cancelled task hand the job back, uncharged, and go on their way.
    """

    __slots__ = ("_consuming", "_started_s", "_wait_ms", "claimed", "is_settled", "lease", "payload")

    def __init__(self, consuming: "Consuming", lease: "Lease", claimed: Claimed, wait_ms: int) -> None:
        super().__init__(lease, claimed)
        self._consuming = consuming
        self._started_s = time.monotonic()
        self._wait_ms = wait_ms
        self.lease = lease
        #: As claimed from the engine.
        self.claimed = claimed
        #: The decoded value: what was put, or a foreign message's fields.
        self.payload: Any = None
        self.is_settled = False

    def __repr__(self) -> str:
        return f"<Message {self.queue}/{self.id} attempt {self.attempt}>"

    @property
    def fields(self) -> dict[str, str] | None:
        """The plain fields of a message that another program wrote, None for one of ours."""
        return self.claimed.fields

    @property
    def lost(self) -> bool:
        """The lease was lost: the job runs again elsewhere, and what is said about it is refused."""
        if not self.lease.lost:
            self.lease.look()
        return self.lease.lost

    def ack(self, result: Any = None) -> None:
        """It is done; `result` is kept for who asks. Raises LeaseLost, or EncodeError and nothing is told."""
        self._settle(self._acked(result))

    async def aack(self, result: Any = None) -> None:
        await self._asettle(self._acked(result))

    def retry(self, delay: "float | timedelta | None" = None, reason: str = "") -> None:
        """Once more, in `delay` seconds whatever the policy says, or as the policy says."""
        self._settle(self._told(Retry(_seconds(delay), reason)))

    async def aretry(self, delay: "float | timedelta | None" = None, reason: str = "") -> None:
        await self._asettle(self._told(Retry(_seconds(delay), reason)))

    def bury(self, reason: str = "") -> None:
        """To the dead letters."""
        self._settle(self._told(Bury(reason)))

    async def abury(self, reason: str = "") -> None:
        await self._asettle(self._told(Bury(reason)))

    def cancel(self, reason: str = "") -> None:
        """End it as cancelled."""
        self._settle(self._told(Cancel(reason)))

    async def acancel(self, reason: str = "") -> None:
        await self._asettle(self._told(Cancel(reason)))

    def release(self) -> None:
        """Hand it back, uncharged, to the front of its queue."""
        self._settle(HandBack())

    async def arelease(self) -> None:
        await self._asettle(HandBack())

    def settlement(self, decision: Decision) -> Settlement:
        run_ms = max(0, round((time.monotonic() - self._started_s) * 1000))
        return Settlement(self.id, self.claimed.ref, decision, wait_ms=self._wait_ms, run_ms=run_ms)

    def __enter__(self) -> Self:
        if self._consuming.is_async:
            raise TypeError(f"{self!r} comes from aconsume: write `async with job:`")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.is_settled:
            return False
        if error is None:
            self.ack()
            return False
        self._settle(self._consuming.fail(self, error))
        return isinstance(error, Exception)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.is_settled:
            return False
        if error is None:
            await self.aack()
            return False
        await self._asettle(self._consuming.fail(self, error))
        return isinstance(error, Exception)

    def _acked(self, result: Any) -> Decision:
        limit = self._consuming.sender.link.settings.payload_max
        return Ack(codec.encode_result(result, limit))

    def _told(self, outcome: Retry | Bury | Cancel) -> Decision:
        return decide(self.claimed, Returned(outcome), self._consuming.taking.policy)

    def _settle(self, decision: Decision) -> None:
        self._settle_once()
        self._consuming.sender.link.do(self._consuming.settle(self, decision))

    async def _asettle(self, decision: Decision) -> None:
        self._settle_once()
        await self._consuming.sender.link.ado(self._consuming.settle(self, decision))

    def _settle_once(self) -> None:
        if self.is_settled:
            raise JobError(f"job {self.queue}/{self.id} was settled before: a job has one outcome")
        self.is_settled = True


def _seconds(delay: "float | timedelta | None") -> float | None:
    from homing import limits

    return None if delay is None else limits.seconds(delay, "delay")
