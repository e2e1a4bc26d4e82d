"""The contract of an engine: each transition of a job as a Command. Pure: no I/O, no clock, no state."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from homing.command import Command
from homing.job import (
    Audit,
    Claim,
    Counts,
    Enqueued,
    JobRecord,
    Mended,
    NewJob,
    Page,
    Reclaimed,
    Registered,
    Settled,
    Settlement,
    State,
    Ticked,
    WorkerRecord,
)

EngineName = Literal["lists", "streams"]
ReclaimReason = Literal["lapsed", "died", "left"]

#: The most items of one call; an engine raises ValueError above it, callers split.
BATCH_MAX = 1_000

#: The queue's settings (all in ms or counts) and what holds until one is set; kept in its meta hash.
SETTINGS: Mapping[str, int] = {
    "lease_ms": 10_000,
    "id_ttl_ms": 3_600_000,
    "ids_max": 1_000_000,
    "result_ttl_ms": 600_000,
    "result_max": 10_000,
    "dead_ttl_ms": 30 * 86_400_000,
    "dead_max": 100_000,
    "facts_max": 20_000,
    "crash_max": 3,
}

#: The layout of a queue's keys; a newer one is refused.
DATA_VERSION = 1


class Engine(Protocol):
    """All transitions of one queue. `now_ms` replaces the server's clock, for tests.

    Every command may raise, through its client: WrongEngine, NewerData, WrongType, QueueFull
    and the ServerErrors. Those that take `worker` raise LeaseLost when it is no member.
    """

    name: EngineName

    def open(self, settings: Mapping[str, int] | None = None) -> Command[str]:
        """Make the queue this engine's, and set the given settings; returns the engine's name."""

    def enqueue(
        self, jobs: Sequence[NewJob], *, lane: str, number: int, now_ms: int | None = None
    ) -> Command[list[Enqueued]]:
        """Store jobs, waiting or scheduled; sent again with the same lane and number it adds nothing
        and answers as the first time. QueueFull when caller-chosen ids are at `ids_max`.
        """

    def register(
        self,
        worker: str,
        *,
        info: bytes = b"{}",
        settings: Mapping[str, int] | None = None,
        now_ms: int | None = None,
    ) -> Command[Registered]:
        """Make a worker a member with a full lease. Ids are made new for each registration."""

    def claim(self, worker: str, *, limit: int, number: int, now_ms: int | None = None) -> Command[Claim]:
        """Promote what is due, then take up to `limit` waiting jobs: highest priority first, then
        what was handed back, then oldest first. Never re-sent; ClaimRefused unless `number` grew.
        A suspect comes alone, and only to a worker that holds nothing.
        """

    def held(
        self, worker: str, *, known: Sequence[str], number: int, now_ms: int | None = None
    ) -> Command[Claim]:
        """The worker's jobs that are not in `known`, with a new token (at most 1,000; `more`)."""

    def settle(
        self,
        worker: str,
        settlements: Sequence[Settlement],
        *,
        number: int = 0,
        lean: bool = False,
        now_ms: int | None = None,
    ) -> Command[Settled]:
        """End runs. What the worker does not hold any more is refused and changes nothing.

        `number` grows with each batch, one in flight at a time: sent again unchanged it acts once, and a
        copy that arrives late does nothing (`repeated`). 0, for who has several in flight: not numbered.
        `lean` stores no result, fact or statistic, and is not refused by a full server.
        """

    def tick(self, workers: Sequence[str], *, now_ms: int | None = None) -> Command[Ticked]:
        """Keep these workers' leases, count the clock, promote what is due, prune what is old."""

    def reclaim(
        self,
        worker: str,
        *,
        reason: ReclaimReason,
        started: Sequence[str] = (),
        error: bytes = b"{}",
        now_ms: int | None = None,
    ) -> Command[Reclaimed]:
        """Fence a worker and give back what it holds, at most 1,000 jobs a call, in their old order.

        `lapsed`: only when its lease is over; each job becomes more suspect. `died`: somebody saw it
        die; only `started` jobs are charged a crash. `left`: nobody is charged. A job at `crash_max`
        crashes, or two more marks of either kind, is buried with `error`.
        """

    def acquit(self, job_ids: Sequence[str]) -> Command[int]:
        """Take one suspicion back from each of these, eight times at most for one job, and let it wait
        among the others again when it is no suspect any more: its worker was only taken for dead.
        Returns from how many one was taken. Never sent again.
        """

    def cancel(self, job_id: str, *, now_ms: int | None = None) -> Command[State | None]:
        """End a waiting or scheduled job as cancelled. Returns the state it was in: WAITING or
        SCHEDULED when that worked, another state when it could not be, None when there is no job.
        """

    def remove(self, job_id: str) -> Command[State | None]:
        """Delete a job in any state but ACTIVE, with all traces. Returns the state it was in."""

    def replay(self, job_ids: Sequence[str], *, now_ms: int | None = None) -> Command[list[str]]:
        """Dead -> waiting, with no attempts or crashes charged. Returns the ids that were dead."""

    def pause(self) -> Command[None]:
        """Claims give nothing until resume."""

    def resume(self) -> Command[None]: ...

    def purge(self, state: State, *, limit: int = BATCH_MAX, now_ms: int | None = None) -> Command[int]:
        """Delete up to `limit` jobs that are WAITING, SCHEDULED or DEAD; returns how many. Call
        again until 0.
        """

    def counts(self) -> Command[Counts]: ...

    def peek(self, state: State, *, cursor: str = "", limit: int = 50) -> Command[Page]:
        """A page of the jobs in a state, in the order in which they will be (or were) handled.
        Any state; COMPLETED and CANCELLED show bare facts (id, ended_ms, attempt).
        """

    def job(self, job_id: str) -> Command[JobRecord | None]:
        """One job, whole, in any state."""

    def workers(self, *, now_ms: int | None = None) -> Command[list[WorkerRecord]]: ...

    def follow(self, job_ids: Sequence[str], *, process: str) -> Command[list[JobRecord | None]]:
        """Ask for the ends of jobs: for each, its record, None when it does not exist.

        Of those whose record is not of an ended state the end is pushed once to
        `keys.reply(process)`: one item of three lines, id, state, and result or error.
        """

    def statistics(self, minute: int) -> Command[Mapping[str, int]]:
        """Counters of one minute (server ms // 60,000): enqueued, acked, retried, buried, released,
        cancelled, reclaimed, refused, `wait:<b>` and `run:<b>` (b = floor(log2(ms + 1))).
        """

    def verify(self, *, cursor: str = "", limit: int = 200) -> Command[Audit]:
        """Check one page: each of its jobs is in exactly one place and has a body. Start with "",
        go on until the cursor is empty; the first page also checks that the counts add up.
        """

    def turn(self, *, every_ms: int, now_ms: int | None = None) -> Command[str | None]:
        """Where to go on verifying a page, if the last turn of anybody was `every_ms` ago; else None."""

    def turned(self, cursor: str) -> Command[int]:
        """Keep where the next turn goes on."""

    def repair(self, subject: str, *, dry: bool = False, now_ms: int | None = None) -> Command[Mended]:
        """Look again at the subject of a problem, and mend it unless `dry`; call again while `more`."""
