"""Where jobs come in and runs end: a claim becomes entries, the end of a run becomes a settlement."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from homing import codec, events
from homing.checksum import checksum
from homing.delivery.assurance import Assurance
from homing.delivery.heart import boot_s
from homing.delivery.lease import Lease
from homing.delivery.settler import Run, Settler
from homing.durability import Proof
from homing.job import (
    Ack,
    Again,
    Cancelled,
    Claim,
    Claimed,
    Dead,
    Decision,
    HandBack,
    Settlement,
)
from homing.meta import Meta
from homing.policy import Never, Raised, Returned, corrupted, decide, not_signed, unknown_task
from homing.seal import Seal
from homing.worker.acquittal import Acquittal
from homing.worker.runs import Call
from homing.worker.table import Entry, Kind, Table


class Registered(Protocol):
    """A task, as far as a worker uses it."""

    name: str
    queue: str
    function: Callable[..., Any]
    kind: Kind
    timeout_s: float | None
    retry: Any
    signature: Any
    messages: bool


#: What each decision is counted as.
COUNTED: Mapping[type, str] = {
    Ack: "completed",
    Again: "retried",
    Dead: "dead",
    Cancelled: "cancelled",
    HandBack: "released",
}
_BACK = HandBack()


class Desk:
    """Decides what each run's end means, hands it to its settler, and keeps count."""

    def __init__(
        self,
        tasks: Mapping[str, Registered],
        table: Table,
        run: Run,
        *,
        patience_ms: int,
        payload_max_bytes: int,
        seal: Seal | None,
        stuck: Callable[[Entry], None],
        proof: Callable[[str], Proof | None],
    ) -> None:
        self._tasks = tasks
        self._takers = {task.queue: task for task in tasks.values() if task.messages}
        self._table = table
        self._run = run
        self._patience_ms = patience_ms
        self._payload_max_bytes = payload_max_bytes
        self._seal = seal
        self._stuck = stuck
        self._proof = proof
        self._assurances: dict[str, Assurance] = {}
        self._settlers: dict[str, Settler] = {}
        self._acquittal = Acquittal(run)
        #: What this worker did: claimed, completed, retried, dead, cancelled, released (of those interrupted), refused, thrown_away, untold.
        self.counts: Counter[str] = Counter()

    @property
    def backlog(self) -> int:
        """Outcomes the server has not answered to."""
        return sum(settler.backlog for settler in self._settlers.values())

    # Jobs come in.

    def enlisted(self, lease: Lease) -> None:
        """A new registration: its outcomes get a settler of their own."""
        lease.on_lost(self._lost)
        if lease.queue not in self._assurances:
            self._assurances[lease.queue] = Assurance(lease.queue, self._proof(lease.queue))
        self._settlers[lease.worker] = Settler(
            lease, self._run, self, self._table, self._assurances[lease.queue]
        )
        self._table.leases[lease.queue] = lease

    def accept(self, lease: Lease, claim: Claim) -> None:
        """Put claimed jobs where their kind waits; what nobody here knows goes to another worker."""
        now_s, now_ms = boot_s(), claim.now_ms
        table, tasks, taker = self._table, self._tasks, self._takers.get(lease.queue)
        self.counts["claimed"] += len(claim.jobs)
        table.weighed(lease.queue, claim.jobs)
        for job in claim.jobs:
            task = tasks.get(job.task) if job.task else taker
            kind = "async" if task is None else task.kind
            entry = Entry(lease, job, task, kind, now_s, max(0, now_ms - job.since_ms))
            if (verdict := self._turned_away(lease.queue, job, task, now_ms)) is None:
                table.put(entry)
            else:
                lease.jobs[job.id] = entry
                self.decided(entry, verdict)

    def _turned_away(self, queue: str, job: Claimed, task: Registered | None, now_ms: int) -> Decision | None:
        """What becomes of a job that does not run here; None for all others."""
        if job.sum and job.sum != checksum(job.task, job.payload):
            events.emit("job_corrupted", level=logging.ERROR, queue=queue, job=job.id, task=job.task)
            return corrupted(job)
        if self._seal is not None and (fault := self._seal.fault(queue, job)):
            events.emit("job_not_signed", level=logging.ERROR, queue=queue, job=job.id, because=fault)
            return not_signed(job, fault)
        if task is None:
            events.emit("task_unknown", level=logging.WARNING, queue=queue, job=job.id, task=job.task)
            return unknown_task(job, now_ms=now_ms, patience_ms=self._patience_ms)
        if self._table.closed or (job.alone and self._table.suspect is not None):
            return _BACK
        return None

    def _lost(self, lease: Lease) -> None:
        dropped = self._table.drop(lease)
        self._settlers.pop(lease.worker, None)
        self.counts["dropped"] += dropped
        running = {entry.job.id for entry in self._table.running.values() if entry.lease is lease}
        self._acquittal.add(lease, [job_id for job_id in lease.jobs if job_id not in running])
        events.emit(
            "lease_lost",
            level=logging.WARNING,
            queue=lease.queue,
            worker=lease.worker,
            dropped=dropped,
            running=len(running),
        )

    # Runs begin and end.

    def opened(self, entry: Entry) -> Call:
        job, task = entry.job, entry.task
        if task.timeout_s is not None:
            entry.limit_s = task.timeout_s
        if job.fields is not None or len(job.payload) > self._payload_max_bytes:
            codec.small_enough(job.payload, job.fields, self._payload_max_bytes)
        if job.meta:
            own_s = Meta.read(job.meta).timeout_s
            if own_s is not None:
                entry.limit_s = own_s or None
        call: Call = (
            task.signature.decode(job.payload)
            if job.task
            else task.signature.message(job.payload, job.fields)
        )
        return call

    def returned(self, entry: Entry, value: object) -> None:
        self.decided(entry, self._decide(entry, Returned(value)))

    def raised(self, entry: Entry, error: BaseException) -> None:
        self.decided(entry, self._decide(entry, Raised(error)))

    def interrupted(self, entry: Entry) -> None:
        self.counts["interrupted"] += 1
        self.decided(entry, _BACK)

    def stuck(self, entry: Entry) -> None:
        self._stuck(entry)

    def hand_back(self, entry: Entry) -> None:
        """Give an unstarted job back, uncharged."""
        self._table.ended(entry)
        self.decided(entry, _BACK)

    def _decide(self, entry: Entry, end: Returned | Raised) -> Decision:
        policy = entry.task.retry or Never()
        return decide(entry.job, end, policy, result_max_bytes=self._payload_max_bytes)

    def decided(self, entry: Entry, decision: Decision) -> None:
        """Settle it like this."""
        job = entry.job
        if job.alone:
            self._table.ended(entry)
        settler = self._settlers.get(entry.lease.worker)
        if settler is None:  # its lease was lost: nothing that is said of it counts any more
            self.thrown_away(1)
            self._acquittal.add(entry.lease, [job.id])
            return
        run_ms = int(entry.ran_s * 1_000)
        settler.add(Settlement(job.id, job.ref, decision, entry.wait_ms, run_ms), entry)

    # What became of outcomes.

    def settled(self, settlements: list[Settlement], refused: list[str]) -> None:
        counts = self.counts
        if refused:
            gone = set(refused)
            counts["refused"] += sum(settlement.id in gone for settlement in settlements)
            settlements = [settlement for settlement in settlements if settlement.id not in gone]
        if len(settlements) == 1:
            counts[COUNTED[type(settlements[0].decision)]] += 1
        else:
            for kind, count in Counter([type(settlement.decision) for settlement in settlements]).items():
                counts[COUNTED[kind]] += count
        self._table.wake()

    def thrown_away(self, count: int) -> None:
        self.counts["thrown_away"] += count

    async def drained(self) -> None:
        """Wait until every outcome is answered, or its lease is lost."""
        for settler in list(self._settlers.values()):
            await settler.drained()
        await self._acquittal.drained()

    def abandon(self) -> None:
        """Stop telling the server: the process ends, and what it did not hear runs again."""
        self.counts["untold"] += self.backlog
        for settler in self._settlers.values():
            settler.abandon()
        self._acquittal.abandon()
