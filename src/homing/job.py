"""Plain values about jobs: states, what is stored, what is claimed, how a run ends. No I/O."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from homing.checksum import checksum


class State(StrEnum):
    """Where a job is; it is in exactly one state at any time."""

    SCHEDULED = "scheduled"  # due later; a retry is scheduled with attempt > 0
    WAITING = "waiting"  # may be claimed
    ACTIVE = "active"  # a worker holds it
    COMPLETED = "completed"  # its handler returned
    DEAD = "dead"  # in the dead letters, whole
    CANCELLED = "cancelled"  # ended without a run to its end, because somebody said so


#: Priorities are whole numbers in this range; higher is claimed first.
PRIORITY_MIN, PRIORITY_MAX = -100, 100


class NewJob(Struct, frozen=True):
    """A job as it is enqueued."""

    id: str
    task: str = ""  # empty: a message
    payload: bytes = b"[[],{}]"  # JSON: a task's [args, kwargs], a message's value
    meta: bytes = b""  # JSON, never read by a script
    priority: int = 0
    delay_ms: int = 0
    own_id: bool = False  # the caller chose the id: it is refused while taken
    reply: str = ""  # the process that wants the end pushed to its reply list


class Enqueued(StrEnum):
    """What became of one job of an enqueue call."""

    STORED = "stored"
    EXISTS = "exists"  # its id is taken (only ids the caller chose are checked)


class Claimed(Struct, gc=False):  # as many as jobs, and nothing in them leads back: not for the collector
    """A job as a worker holds it.

    `ref` is the engine's handle (lists: the priority; streams: `priority/entry`);
    it goes back unchanged in the settlement. `token` grows with every delivery.
    """

    id: str
    ref: bytes
    task: str  # empty: a message
    payload: bytes  # JSON as stored, `[args, kwargs]` or a message's value
    attempt: int  # charged attempts before this one
    meta: bytes  # JSON or empty
    since_ms: int  # server time at which it became waiting
    token: int = 0
    alone: bool = False  # a suspect: run it with nothing else in this process
    fields: dict[str, str] | None = None  # a foreign message's plain fields, when it has no payload
    sum: bytes = b""  # the checksum stored beside the payload, empty when there is none

    @property
    def corrupted(self) -> bool:
        """Its payload or its task's name is not what was enqueued: it must not run."""
        return bool(self.sum) and self.sum != checksum(self.task, self.payload)


class Claim(Struct, frozen=True):
    """What one claim (or `held`) gave."""

    jobs: list[Claimed]
    now_ms: int  # server time
    #: ms until the next scheduled job is due, or None when nothing is scheduled.
    due_in_ms: int | None = None
    paused: bool = False
    more: bool = False  # more may be claimed at once


class Ack(Struct, frozen=True):
    """The handler returned; `result` is JSON, empty for None."""

    result: bytes = b""


#: The end of most jobs: the handler returned None.
DONE = Ack()


class Again(Struct, frozen=True):
    """Run again in `delay_ms`, with `attempt` attempts charged and `meta` in place of the old one."""

    delay_ms: int
    attempt: int
    meta: bytes = b""


class Dead(Struct, frozen=True):
    """To the dead letters; `error` is JSON {type, message, traceback, reason}; `attempt` as charged."""

    error: bytes
    attempt: int


class HandBack(Struct, frozen=True):
    """Give it back unstarted or interrupted, uncharged, to the front of its queue."""


class Cancelled(Struct, frozen=True):
    """The handler asked for it to end as cancelled."""

    reason: str = ""


Decision = Ack | Again | Dead | HandBack | Cancelled


class Settlement(Struct, frozen=True, gc=False):
    """One claimed job and what its run decided; `wait_ms` and `run_ms` go to the statistics."""

    id: str
    ref: bytes
    decision: Decision
    wait_ms: int = 0
    run_ms: int = 0


class Settled(Struct, frozen=True):
    """What a settle let through: ids that were not this worker's any more changed nothing."""

    done: int
    refused: list[str] = []
    repeated: bool = False  # its number, or a later one, was here before: nothing was done


class Registered(Struct, frozen=True):
    lease_ms: int
    now_ms: int
    paused: bool


class Ticked(Struct, frozen=True):
    """What one tick saw and moved."""

    now_ms: int
    lost: list[str]  # of the workers it kept alive: those that are no members any more
    lapsed: list[str]  # workers of anybody that must be reclaimed now
    promoted: int
    more: bool  # more is due: tick again at once
    due_in_ms: int | None
    waiting: int  # jobs that may be claimed (0 while paused)
    alone: int  # suspects that wait for a worker with nothing else


class Reclaimed(Struct, frozen=True):
    moved: int  # back to waiting
    buried: int  # crashed too often
    more: bool  # call again: the worker still held more
    alive: bool = False  # `reason="lapsed"` and the worker had renewed its lease: nothing happened


class Counts(Struct, frozen=True):
    """How many jobs are where, and what stands beside them."""

    waiting: int = 0
    scheduled: int = 0
    active: int = 0
    dead: int = 0
    workers: int = 0
    suspects: int = 0
    finished: int = 0  # facts of ended jobs still kept
    ids: int = 0  # ids callers chose that are still refused
    replies: int = 0  # jobs whose end somebody waits for
    missing: int = 0  # ids found without a body, ever
    taken: int = 0  # foreign entries dropped because their id was taken, ever
    refused: int = 0  # settlements refused by a gate, ever
    paused: bool = False


class JobRecord(Struct, frozen=True):
    """One job as it is stored, in any state."""

    id: str
    queue: str
    state: State
    task: str = ""
    payload: bytes = b""
    corrupted: bool = False  # the payload, or the task's name, is not what was enqueued
    fields: dict[str, str] | None = None
    meta: bytes = b""
    attempt: int = 0
    priority: int = 0
    created_ms: int = 0
    due_ms: int | None = None  # scheduled
    worker: str | None = None  # active
    ended_ms: int | None = None  # completed, dead, cancelled
    error: bytes = b""  # dead: JSON
    result: bytes | None = None  # completed: JSON, `b""` for None; cancelled: the reason; None when not kept
    returned: bool = False  # completed: there was a result, kept or not
    crashes: int = 0
    suspicions: int = 0


class Page(Struct, frozen=True):
    jobs: list[JobRecord]
    cursor: str = ""  # empty: that was the last page


class WorkerRecord(Struct, frozen=True):
    id: str
    info: bytes  # JSON as given at register
    expires_in_ms: int  # of its lease, on the counted clock; negative: lapsed or fenced
    holding: int


class Problem(Struct, frozen=True):
    """What `verify` found: a sentence that names the job and its places, and what `repair` takes."""

    subject: str  # `kind:name`: job:a1, active:w1, entry:0/17-0 …
    says: str


class Audit(Struct, frozen=True):
    """One page of `verify`."""

    problems: list[Problem]
    ids: list[str]  # what the page looked at
    cursor: str
    #: Jobs that say they wait, and must be among the ids of a later page.
    unsure: list[str] = []


class Mended(Struct, frozen=True):
    """What became of one subject: nothing is wrong (any more), it was mended, or it is left as it is."""

    outcome: Literal["fine", "mended", "left"]
    says: str = ""
    more: bool = False  # call again: there is more of it


class Outcome(Exception):
    """What a handler may raise or return to decide how its run ends."""


class Retry(Outcome):
    """Run this job again, `delay` seconds from now (None: as its policy says), charging an attempt."""

    def __init__(self, delay: float | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.delay = delay
        self.reason = reason


class Bury(Outcome):
    """Send this job to the dead letters now, whatever its policy says."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Cancel(Outcome):
    """End this job as cancelled."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
