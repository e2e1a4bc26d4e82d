"""Where jobs come in and runs end: a claim becomes entries, the end of a run becomes a settlement."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from homing import codec, events
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
_DONE, _BACK = Ack(), HandBack()


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
        self._settlers[lease.worker] = Settler(lease, self._run, self, self._assurances[lease.queue])
        self._table.leases[lease.queue] = lease

    def accept(self, lease: Lease, claim: Claim) -> None:
        """Put claimed jobs where their kind waits; what nobody here knows goes to another worker."""
        now_s = boot_s()
        self.counts["claimed"] += len(claim.jobs)
        self._table.weighed(lease.queue, claim.jobs)
        closed, seal = self._table.closed, self._seal
        for job in claim.jobs:
            task = self._task(lease.queue, job)
            entry = Entry(
                lease,
                job,
                task,
                "async" if task is None else task.kind,
                claimed_s=now_s,
                wait_ms=max(0, claim.now_ms - job.since_ms),
            )
            if job.corrupted:
                lease.jobs[job.id] = entry
                events.emit(
                    "job_corrupted", level=logging.ERROR, queue=lease.queue, job=job.id, task=job.task
                )
                self._settle(entry, corrupted(job))
            elif seal is not None and (fault := seal.fault(lease.queue, job)):
                lease.jobs[job.id] = entry
                events.emit(
                    "job_not_signed", level=logging.ERROR, queue=lease.queue, job=job.id, because=fault
                )
                self._settle(entry, not_signed(job, fault))
            elif task is None:
                lease.jobs[job.id] = entry
                decision = unknown_task(job, now_ms=claim.now_ms, patience_ms=self._patience_ms)
                events.emit(
                    "task_unknown", level=logging.WARNING, queue=lease.queue, job=job.id, task=job.task
                )
                self._settle(entry, decision)
            elif closed or (job.alone and self._table.suspect is not None):
                lease.jobs[job.id] = entry
                self.hand_back(entry)
            else:
                self._table.put(entry)

    def _task(self, queue: str, job: Claimed) -> Registered | None:
        return self._tasks.get(job.task) if job.task else self._takers.get(queue)

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
        self._settle(entry, _DONE if value is None else self._decide(entry, Returned(value)))

    def raised(self, entry: Entry, error: BaseException) -> None:
        self._settle(entry, self._decide(entry, Raised(error)))

    def decided(self, entry: Entry, decision: Decision) -> None:
        self._settle(entry, decision)

    def interrupted(self, entry: Entry) -> None:
        self.counts["interrupted"] += 1
        self._settle(entry, _BACK)

    def stuck(self, entry: Entry) -> None:
        self._stuck(entry)

    def hand_back(self, entry: Entry) -> None:
        """Give an unstarted job back, uncharged."""
        self._table.ended(entry)
        self._settle(entry, _BACK)

    def _decide(self, entry: Entry, end: Returned | Raised) -> Decision:
        policy = entry.task.retry or Never()
        return decide(entry.job, end, policy, result_max_bytes=self._payload_max_bytes)

    def _settle(self, entry: Entry, decision: Decision) -> None:
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
        gone = set(refused)
        for settlement in settlements:
            if settlement.id in gone:
                counts["refused"] += 1
            else:
                counts[COUNTED[type(settlement.decision)]] += 1
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
