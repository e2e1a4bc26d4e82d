"""What one process holds: jobs in buffers and in slots, and how much more it may take. No I/O."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from homing.delivery.heart import boot_s
from homing.delivery.lease import Lease
from homing.job import Claimed

Kind = Literal["async", "thread", "process"]

#: A buffer holds about what its slots can run in this time.
HORIZON_S = 0.1
#: … and no more than this, or than its slots: jobs that began together end together.
PREFETCH_MAX = 1_000
#: So many at a time, where they only fill a buffer: of more a server writes the reply in several pieces of 64 KB, with
#: other scripts in between, while the slots wait.
PORTION = 500
#: Of at least PLENTY in a buffer, FAST or more being over within the horizon, many end in a moment.
PLENTY, FAST = 100, 500
#: The bytes of payload that one claim should bring, as the jobs before went.
CLAIM_BYTES = 4 * 1024 * 1024
#: The claimer stops while this many outcomes wait for an answer.
OUTCOMES_MAX = 2_000
#: After jobs of a full kind were handed back, their queue is claimed at that kind's pace this long.
CROWDED_S = 5.0


class Entry(Struct, eq=False):
    """One delivery of a job: from its claim to its settlement."""

    lease: Lease
    job: Claimed
    task: Any
    kind: Kind
    claimed_s: float
    wait_ms: int = 0
    started_s: float = 0.0
    #: How long its run took, once it is over.
    ran_s: float = 0.0
    slot: int = -1
    #: Its time limit in seconds, None for none.
    limit_s: float | None = None
    #: Its time limit passed: an end by our own cancel is a TimeLimitExceeded.
    overdue: bool = False
    #: It was cancelled by a second stop signal: it goes back uncharged.
    interrupted: bool = False
    #: Given up as stuck: whatever it does from now on is nobody's business.
    abandoned: bool = False
    #: Ends its run early, where that can be done.
    stop: Callable[[], object] | None = None


class Pace:
    """How fast jobs of one kind end while any slot is taken, and how long one takes; recent ones count more."""

    __slots__ = ("_busy_from_s", "_busy_s", "_ended", "_most", "_spent_s", "fit")

    def __init__(self, slots: int = 1) -> None:
        self._most = max(PREFETCH_MAX, slots)
        self._busy_from_s: float | None = None
        self._busy_s = 0.0
        self._spent_s = 0.0
        self._ended = 0.0
        #: What `prefetch` said last.
        self.fit = 0

    def busy(self, now_s: float) -> None:
        """The first slot was taken."""
        self._busy_from_s = now_s

    def idle(self, now_s: float) -> None:
        """The last slot is free again."""
        if self._busy_from_s is not None:
            self._busy_s += now_s - self._busy_from_s
            self._busy_from_s = None

    def ended(self, spent_s: float) -> None:
        self._ended += 1
        self._spent_s += spent_s

    def prefetch(self, now_s: float) -> int:
        """Jobs that fit in the horizon, as recent ones went; none when one takes longer than it."""
        if self._busy_from_s is not None:
            self._busy_s += now_s - self._busy_from_s
            self._busy_from_s = now_s
        if not self._ended or self._spent_s > self._ended * HORIZON_S:
            self.fit = 0
        else:
            self.fit = min(self._most, int(self._ended / max(self._busy_s, 1e-6) * HORIZON_S))
        if self._busy_s > HORIZON_S * 5:
            self._busy_s, self._spent_s, self._ended = self._busy_s / 2, self._spent_s / 2, self._ended / 2
        return self.fit


class Bench:
    """The slots of one kind and the jobs that wait for them."""

    __slots__ = ("_size", "buffer", "free", "kind", "pace", "wake_at")

    def __init__(self, kind: Kind, size: int, first: int) -> None:
        self._size = size
        self.kind = kind
        self.free = list(range(first + size - 1, first - 1, -1))
        self.buffer: deque[Entry] = deque()
        self.pace = Pace(size)
        #: When the buffer is down to this, the claimer should look again.
        self.wake_at = -1

    @property
    def spare(self) -> int:
        """Free slots that no buffered job is for; negative: so many wait."""
        return len(self.free) - len(self.buffer)

    def look_again(self) -> None:
        """Say when the claimer should: once a portion, or half of the prefetch, has room again, or half of what waits
        now has begun.
        """
        waiting = len(self.buffer)
        roomy_at = len(self.free) + max(self.pace.fit // 2, self.pace.fit - PORTION)
        self.wake_at = roomy_at if waiting // 2 < roomy_at < waiting else waiting // 2 if waiting else -1

    def take(self, now_s: float) -> int:
        """A free slot."""
        if len(self.free) == self._size:
            self.pace.busy(now_s)
        return self.free.pop()

    def give_back(self, slot: int, now_s: float) -> None:
        self.free.append(slot)
        if len(self.free) == self._size:
            self.pace.idle(now_s)


class Table:
    """Room and order. `backlog` tells how many outcomes of a queue wait for an answer."""

    def __init__(
        self, sizes: Mapping[Kind, int], kinds: Mapping[str, set[Kind]], backlog: Callable[[], int]
    ) -> None:
        self.benches: dict[Kind, Bench] = {}
        first = 0
        for kind, size in sizes.items():
            self.benches[kind] = Bench(kind, size, first)
            first += size
        self._kinds = {queue: set(found) for queue, found in kinds.items()}
        self._backlog = backlog
        self._weights: dict[str, int] = {}
        self._crowded: dict[str, tuple[Kind, float]] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self.leases: dict[str, Lease] = {}  # queue -> its registration now
        #: A job that runs with nothing else here, and has not ended.
        self.suspect: Entry | None = None
        #: Hold one job at a time, and claim only while holding none.
        self.solo = False
        #: A queue whose suspect waits for a worker with nothing else: only it is claimed from, then.
        self.reserved: str | None = None
        self._shy_until_s: dict[str, float] = {}
        #: Slot -> what runs in it.
        self.running: dict[int, Entry] = {}
        #: A buffer is half empty: the next claim is to leave now, and not when it is quite empty.
        self.pressing = False
        #: Nothing more is taken.
        self.closed = False

    @property
    def held(self) -> int:
        """Jobs held under any registration, those being settled too."""
        return sum(len(lease.jobs) for lease in self.leases.values())

    @property
    def buffered(self) -> int:
        return sum(len(bench.buffer) for bench in self.benches.values())

    def plenty(self) -> bool:
        """Whether so much waits here for a slot, and is over so fast, that an end is soon one of many."""
        for bench in self.benches.values():  # noqa: SIM110 - asked at many an end: a generator costs twice as much
            if bench.pace.fit >= FAST and len(bench.buffer) >= PLENTY:
                return True
        return False

    def quiet(self) -> bool:
        """Whether nothing runs or waits for a slot."""
        return not (self.running or self.buffered or self.suspect)

    def room(self, queue: str) -> int:
        """How many more jobs of this queue are worth claiming now."""
        now_s = boot_s()
        if self.closed or self.suspect is not None or self._backlog() >= OUTCOMES_MAX:
            return 0
        if self.solo or self.reserved is not None:
            return int(self.held == 0 and self.reserved in (None, queue))
        if self.held and now_s < self._shy_until_s.get(queue, 0.0):
            return 0
        return min(self._worth(queue, now_s), max(1, CLAIM_BYTES // self._weights.get(queue, 1)))

    def _worth(self, queue: str, now_s: float) -> int:
        benches = [self.benches[kind] for kind in self._kinds[queue]]
        extra = sum(bench.pace.prefetch(now_s) for bench in benches)
        # A full kind at the head of the queue: more of the queue would only wait behind it.
        if any(not bench.free and len(bench.buffer) > bench.pace.prefetch(now_s) for bench in benches):
            return 0
        crowded = self._crowded.get(queue)
        if crowded is not None and now_s < crowded[1]:
            return max(0, self.benches[crowded[0]].spare)
        spare = sum(bench.spare for bench in benches)
        room = spare + extra
        # With slots to fill one job is worth a trip; to fill a buffer, only half a buffer or a portion is.
        if spare > 0 or room >= min((extra + 1) // 2, PORTION) > 0:
            return max(0, min(room, max(spare, PORTION)))
        return 0

    def weighed(self, queue: str, jobs: Sequence[Claimed]) -> None:
        """Learn from a claim how heavy the jobs of this queue are, so that the next one is no flood."""
        if jobs:
            many = len(jobs)
            size = len(jobs[0].payload) if many == 1 else sum([len(job.payload) for job in jobs]) // many
            self._weights[queue] = max(1, size, self._weights.get(queue, 1) // 2)

    async def changed(self, timeout_s: float) -> None:
        """Wait until a job ended or a buffer is half empty, at most so long."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.add(waiter)
        for bench in self.benches.values():
            bench.look_again()
        alarm = loop.call_later(timeout_s, self.wake)
        try:
            await waiter
        finally:
            alarm.cancel()
            self._waiters.discard(waiter)

    def wake(self) -> None:
        """There may be more room."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def put(self, entry: Entry) -> None:
        """A claimed job, at the end of its buffer; its lease knows it from now on."""
        entry.lease.jobs[entry.job.id] = entry
        self._kinds[entry.lease.queue].add(entry.kind)
        if entry.job.alone:
            self.suspect = entry
        else:
            self.benches[entry.kind].buffer.append(entry)

    def any(self, kind: Kind) -> bool:
        """Whether a job of this kind waits for a slot, and may start."""
        return bool(self.benches[kind].buffer) or (self.suspect is not None and self._quiet_for(kind))

    def next(self, kind: Kind, now_s: float) -> Entry | None:
        """The next job of this kind that may start now (`boot_s()`), in the order of their claims."""
        bench = self.benches[kind]
        # Looking at a lease may show that it is lost, and then its jobs leave the buffer for a new one.
        while buffer := bench.buffer:
            lease = buffer[0].lease
            if now_s < lease.end_s or lease.good():
                entry = buffer.popleft()
                if len(buffer) == bench.wake_at:
                    self.pressing = True
                    self.wake()
                return entry
            if not lease.lost:
                return None  # nobody knows whether it is still ours: it waits until the lease was asked for
            self._take_out(bench, lambda entry, lost=lease: entry.lease is lost)  # type: ignore[misc]
        suspect = self.suspect
        if suspect is None or not self._quiet_for(kind) or not suspect.lease.good():
            return None
        suspect.started_s = boot_s()
        return suspect

    def _quiet_for(self, kind: Kind) -> bool:
        """Whether the suspect is of this kind and nothing else is here that runs, or would."""
        suspect = self.suspect
        unstarted = suspect is not None and suspect.kind == kind and not suspect.started_s
        return unstarted and not self.running and not self.buffered

    def ended(self, entry: Entry) -> None:
        """Its run is over, or it will never have one here."""
        if self.suspect is entry:
            self.suspect = None

    def overdue(self, before_s: float) -> list[Entry]:
        """Take out the jobs that have waited in a buffer since before this time, oldest first.

        With one of a queue go all of its queue and kind: younger ones must not start before it.
        """
        now_s = boot_s()
        taken: list[Entry] = []
        for bench in self.benches.values():
            late = {entry.lease.queue for entry in bench.buffer if entry.claimed_s < before_s}
            for queue in late:
                self._crowded[queue] = (bench.kind, now_s + CROWDED_S)
                taken += self._take_out(bench, lambda entry, queue=queue: entry.lease.queue == queue)  # type: ignore[misc]
        return taken

    def late_suspect(self, before_s: float) -> Entry | None:
        """Take out a suspect that has waited since before this time for the others here to end.

        Its queue is left alone until this process holds nothing: it would only come again.
        """
        suspect = self.suspect
        if suspect is None or suspect.started_s or suspect.claimed_s >= before_s or self.reserved is not None:
            return None
        self.suspect = None
        self._shy_until_s[suspect.lease.queue] = boot_s() + CROWDED_S
        return suspect

    def unstarted(self) -> list[Entry]:
        """Take out all jobs that have not started, oldest first."""
        taken = [entry for bench in self.benches.values() for entry in self._take_out(bench, lambda _: True)]
        if self.suspect is not None and not self.suspect.started_s:
            taken.append(self.suspect)
            self.suspect = None
        # Of one queue several kinds may have waited here, each in its order.
        return sorted(taken, key=lambda entry: entry.job.token)

    def drop(self, lease: Lease) -> int:
        """Forget what has not started under a lost registration; returns how many that were."""
        dropped = sum(
            len(self._take_out(bench, lambda entry: entry.lease is lease)) for bench in self.benches.values()
        )
        if self.suspect is not None and self.suspect.lease is lease and not self.suspect.started_s:
            self.suspect = None
            dropped += 1
        self.wake()
        return dropped

    def _take_out(self, bench: Bench, which: Callable[[Entry], bool]) -> Sequence[Entry]:
        taken = [entry for entry in bench.buffer if which(entry)]
        if taken:
            bench.buffer = deque(entry for entry in bench.buffer if not which(entry))
        return taken
