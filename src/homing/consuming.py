"""What a consumer does between two messages, as procedures: register, claim, wait, settle, leave."""

import json
import logging
import os
import random
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from homing import codec, events, limits, retries
from homing.delivery.assurance import Assurance
from homing.delivery.heart import boot_s
from homing.delivery.lease import Lease
from homing.delivery.ticker import Ticker
from homing.errors import (
    ClaimRefused,
    DecodeError,
    JobNotSettled,
    LeaseLost,
    QueueFull,
    ServerLoading,
    ServerReadOnly,
    ServerUnreachable,
    SettingsError,
)
from homing.ids import new_worker_id
from homing.job import Claim, Claimed, Decision, HandBack
from homing.message import Message
from homing.policy import Raised, corrupted, decide, not_signed
from homing.retries import Policy
from homing.sender import Sender
from homing.steps import Steps, run, sleep, wait

if TYPE_CHECKING:
    from datetime import timedelta

    from homing.options import Retrying

#: A block lasts between these; Redis 6.2 never returns from 0.001, and 0 would be for ever.
BLOCK_MIN_S, BLOCK_MAX_S = 0.01, 2.0
#: A server looks at its blocked clients some ten times a second: nearer due times are ours to keep.
NEAR_S = 0.15
#: With `burst`, how often is looked whether others still hold jobs that may come back.
BURST_LOOK_S = 0.25
#: `held` is asked this often, in leases, even when nothing went wrong.
HELD_EVERY_LEASES = 3
#: What a consumer outlasts: the server is away, or is not yet what it will be.
PASSING = (ServerUnreachable, ServerLoading, ServerReadOnly, QueueFull)
PREFETCH_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """How messages are consumed, checked."""

    prefetch: int
    block: bool
    burst: bool
    idle_s: float | None
    policy: Policy

    @classmethod
    def of(
        cls, *, prefetch: int, block: bool, burst: bool, idle: "float | timedelta | None", retry: "Retrying"
    ) -> "Taking":
        if burst and not block:
            raise SettingsError(
                "burst waits for what is scheduled or held by others, block=False never waits: choose"
            )
        return cls(
            prefetch=limits.whole(prefetch, "prefetch", minimum=1, maximum=PREFETCH_MAX),
            block=block,
            burst=burst,
            idle_s=None if idle is None else limits.seconds(idle, "idle"),
            policy=retries.as_policy(retry),
        )


def pause_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row, with jitter."""
    return min(2.0, 0.05 * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)


class Consuming:
    """One consumer of one queue: the same kind of worker to the server as the worker command's."""

    def __init__(self, sender: Sender, heart: Ticker, taking: Taking, *, is_async: bool) -> None:
        self.sender = sender
        self.queue = sender.name
        self.is_async = is_async
        self.taking = taking
        self.message: Message | None = None
        self._heart = heart
        self._assurance = Assurance(sender.name, sender.proof())
        self._lease: Lease | None = None
        self._unborn: Lease | None = None  # registered or not: the answer never came
        self._buffer: deque[tuple[Claimed, int]] = deque()
        self._eager = True  # claim without blocking
        self._unsure = False  # a claim's end is unknown: ask what is held before the next one
        self._asked_s = 0.0
        self._due_s: float | None = None
        self._busy_s = time.monotonic()  # when there was last something to do
        self._failures = 0
        self._numbers = count(1)  # of the settles
        self._telling = threading.Lock()  # held while a numbered one is on its way

    def next(self) -> Steps[Message | None]:
        """The next message; None when there is an end to it. Raises JobNotSettled about the one before."""
        yield from self._settled_before()
        while True:
            while self._buffer:
                if (message := (yield from self._start())) is not None:
                    self.message = message
                    return message
            try:
                if not (yield from self._fill()):
                    return None
            except LeaseLost:
                self._lose()
            except ClaimRefused:
                self._unsure = True
            except PASSING as error:
                if self._lease is None and self._failures == 0 and not self._asked_s:
                    raise  # nothing ever worked: who started this should know
                yield from self._rest(error)
            except BaseException:
                self._unsure = True
                raise

    def settle(self, message: Message, decision: Decision) -> Steps[None]:
        """Tell the server, and again through an outage, until it answered or the lease is over.

        Raises LeaseLost when the job is not this consumer's any more.
        """
        # Numbered, a copy of this call that comes late does nothing to a new run of the job here. Of calls
        # that overtake each other, from several threads, only one may be.
        numbered = self._telling.acquire(blocking=False)
        try:
            yield from self._tell(message, decision, next(self._numbers) if numbered else 0)
        finally:
            if numbered:
                self._telling.release()

    def _tell(self, message: Message, decision: Decision, number: int) -> Steps[None]:
        settlement = message.settlement(decision)
        lease = message.lease
        lean = False
        failures = 0
        while not lease.lost:
            try:
                command = lease.engine.settle(lease.worker, [settlement], number=number, lean=lean)
                settled = self._assurance.heard((yield from run(self._assurance.asking(command))), 1)
            except LeaseLost:
                lease.lose()
            except QueueFull:
                if lean:
                    raise
                lean = True
            except PASSING as error:
                if not lease.good():
                    lease.lose()
                    raise self._lost(message) from error
                failures += 1
                yield from sleep(pause_s(failures))
            else:
                if settled.refused or settled.repeated:
                    # A member's job leaves its hands by its own word alone: an earlier copy of this
                    # call, whose reply was lost, has done it.
                    events.emit("settle-repeated", queue=self.queue, job=message.id)
                self._eager = True
                self._busy_s = time.monotonic()
                return
        raise self._lost(message)

    def fail(self, message: Message, error: BaseException) -> Decision:
        """What an exception in the hands of a message means for it."""
        if not isinstance(error, Exception):
            return HandBack()  # the program was told to stop, not the job
        decision = decide(message.claimed, Raised(error), self.taking.policy)
        events.emit(
            "message-failed", queue=self.queue, job=message.id, error=error, then=type(decision).__name__
        )
        return decision

    def leave(self) -> Steps[JobNotSettled | None]:
        """Hand back what is held and end the registration; the error about an unsettled message, if any."""
        message, self.message = self.message, None
        lease = self._lease or self._unborn
        self._buffer.clear()
        unsettled = message is not None and not message.is_settled
        if lease is not None and not lease.lost:
            self._heart.leave(self.queue, lease.worker)
            try:
                while (yield from run(lease.engine.reclaim(lease.worker, reason="left"))).more:
                    pass
            except (*PASSING, LeaseLost) as error:
                # Its lease lapses by itself, and others give back what it held.
                events.emit("leave-failed", queue=self.queue, worker=lease.worker, error=error)
        self._lease = self._unborn = None  # not before: what was cut short here, `abandon` ends
        if message is None or not unsettled:
            return None
        message.is_settled = True
        return self._not_settled(message)

    def abandon(self) -> None:
        """Have the heart's thread do what `leave` did not come to, or not to the end of."""
        if (lease := self._lease or self._unborn) is not None and not lease.lost:
            self._heart.abandon(self.queue, lease.engine.name, lease.worker)

    def _settled_before(self) -> Steps[None]:
        message, self.message = self.message, None
        if message is None or message.is_settled:
            return
        message.is_settled = True
        try:
            yield from self.settle(message, HandBack())
        except LeaseLost:
            self._lose()
        raise self._not_settled(message)

    def _not_settled(self, message: Message) -> JobNotSettled:
        return JobNotSettled(
            f"job {self.queue}/{message.id} was left without an outcome and went back to its queue: "
            "use `with job:`, or end with job.ack(), job.retry(), job.bury() or job.release()"
        )

    def _lost(self, message: Message) -> LeaseLost:
        return LeaseLost(
            f"the lease of job {self.queue}/{message.id} was lost before its outcome was told: the job runs again "
            "elsewhere; pass job.token to storage that must not take it twice"
        )

    def _lose(self) -> None:
        """Forget a registration that was reclaimed, and what it held."""
        if self._lease is not None:
            self._lease.lose()
            events.emit("lease-lost", queue=self.queue, worker=self._lease.worker, dropped=len(self._buffer))
        self._lease = None
        self._buffer.clear()

    def _start(self) -> Steps[Message | None]:
        """The first job of the buffer as a message; None when it may not start, or was buried."""
        lease = self._lease
        if lease is None or lease.lost or not lease.good():
            # Nobody knows whether these are still ours: ask before they start.
            self._unsure = True
            self._buffer.clear()
            return None
        claimed, wait_ms = self._buffer.popleft()
        message = Message(self, lease, claimed, wait_ms)
        if claimed.corrupted:
            events.emit("job_corrupted", level=logging.ERROR, queue=self.queue, job=claimed.id)
            yield from self._settle_quietly(message, corrupted(claimed))
            return None
        if (seal := self.sender.link.seal) is not None and (fault := seal.fault(self.queue, claimed)):
            events.emit(
                "job_not_signed", level=logging.ERROR, queue=self.queue, job=claimed.id, because=fault
            )
            yield from self._settle_quietly(message, not_signed(claimed, fault))
            return None
        try:
            message.payload = _payload(claimed, self.sender.link.settings.payload_max)
        except DecodeError as error:
            yield from self._settle_quietly(message, decide(claimed, Raised(error), self.taking.policy))
            return None
        return message

    def _settle_quietly(self, message: Message, decision: Decision) -> Steps[None]:
        message.is_settled = True
        try:
            yield from self.settle(message, decision)
        except LeaseLost:
            self._lose()

    def _fill(self) -> Steps[bool]:
        """Claim, or wait for something to claim; False when there is an end to it."""
        lease = self._lease
        if lease is not None:
            lease.look()
        if lease is None or lease.lost:
            yield from self._register()
            return True
        if self._unsure or boot_s() - self._asked_s > HELD_EVERY_LEASES * lease.lease_ms / 1000:
            yield from self._held(lease)
            return True
        block_s = yield from self._patience(lease)
        if block_s is None:
            return False
        command = lease.engine.claim(lease.worker, limit=self.taking.prefetch, number=lease.number())
        self._unsure = True
        claim: Claim | None
        if block_s == 0:
            claim = yield from run(command)
        else:
            claim = yield from wait([self.sender.keys.bell], block_s, command)
        self._failures = 0
        if claim is None:
            return True
        self._unsure = False
        self._take(claim)
        return True

    def _take(self, claim: Claim) -> None:
        now_s = time.monotonic()
        self._eager = bool(claim.jobs) or (claim.more and not claim.paused)
        due_in_ms = None if claim.paused else claim.due_in_ms
        self._due_s = None if due_in_ms is None else now_s + max(due_in_ms, 1) / 1000
        if claim.jobs:
            self._busy_s = now_s
        self._buffer += ((job, max(0, claim.now_ms - job.since_ms)) for job in claim.jobs)

    def _patience(self, lease: Lease) -> Steps[float | None]:
        """Seconds to block for the next claim: 0 for at once, None when there is an end to it."""
        now_s = time.monotonic()
        due_in_s = BLOCK_MAX_S if self._due_s is None else self._due_s - now_s
        if self._eager or due_in_s <= 0:
            return 0.0
        if not self.taking.block:
            return None
        longest_s = BLOCK_MAX_S
        if self.taking.idle_s is not None:
            if (left_s := self._busy_s + self.taking.idle_s - now_s) <= 0:
                return None
            longest_s = min(longest_s, left_s)
        if self.taking.burst:
            if (yield from self._is_over(lease)):
                return None
            longest_s = min(longest_s, BURST_LOOK_S)
        if due_in_s <= NEAR_S:
            yield from sleep(due_in_s)
            return 0.0
        return max(BLOCK_MIN_S, min(longest_s, due_in_s - NEAR_S * 2 / 3))

    def _is_over(self, lease: Lease) -> Steps[bool]:
        counts = yield from run(lease.engine.counts())
        return counts.active == 0 and (counts.paused or counts.waiting + counts.scheduled == 0)

    def _register(self) -> Steps[None]:
        engine = yield from self.sender.opened()
        worker = new_worker_id(f"{socket.gethostname()}-{os.getpid()}")
        info = {"kind": "consumer", "host": socket.gethostname(), "pid": os.getpid()}
        self._heart.join(self.queue, engine.name, worker, 0)
        lease = Lease(self.queue, worker, engine, 0, self._heart)
        self._unborn = lease
        try:
            registered = yield from run(engine.register(worker, info=json.dumps(info).encode()))
        except BaseException:
            # Whether it was registered nobody knows; the id is never used, and its lease lapses.
            self._heart.leave(self.queue, worker)
            raise
        self._heart.join(self.queue, engine.name, worker, registered.lease_ms)
        lease.lease_ms = registered.lease_ms
        lease.look()
        self._lease, self._unborn = lease, None
        self._unsure, self._eager = False, True
        self._asked_s = boot_s()

    def _held(self, lease: Lease) -> Steps[None]:
        """Adopt what the server says this consumer holds and it does not know of."""
        if not lease.good():
            yield from self._renew(lease)
        known = [job.id for job, _ in self._buffer]
        claim = yield from run(lease.engine.held(lease.worker, known=known, number=lease.number()))
        self._unsure, self._asked_s, self._failures = claim.more, boot_s(), 0
        if claim.jobs:
            events.emit("adopted", queue=self.queue, jobs=len(claim.jobs))
            self._take(claim)
        self._eager = True

    def _renew(self, lease: Lease) -> Steps[None]:
        """A tick of our own: its answer is newer than what the heart knows."""
        sent_s = boot_s()
        ticked = yield from run(lease.engine.tick([lease.worker]))
        if lease.worker in ticked.lost:
            raise LeaseLost(f"the lease of worker {lease.worker} was reclaimed")
        lease.end_s = max(lease.end_s, sent_s + lease.lease_ms / 1000)

    def _rest(self, error: Exception) -> Steps[None]:
        self._unsure = True
        self._failures += 1
        if self._failures == 1:
            events.emit("consumer-waits", queue=self.queue, error=error)
        yield from sleep(pause_s(self._failures))


def _payload(claimed: Claimed, limit: int) -> object:
    codec.small_enough(claimed.payload, claimed.fields, limit)
    return codec.decode(claimed.payload) if claimed.fields is None else claimed.fields
