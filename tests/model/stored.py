"""What is where in the model of a queue, and what a look at it shows."""

from homing.job import Counts, JobRecord, State, WorkerRecord
from tests.conformance.driver import Whole
from tests.model.ends import Beside
from tests.model.members import Members
from tests.model.rooms import Job, Room


class Stored:
    """One queue."""

    def __init__(self, queue: str, room: Room) -> None:
        self.queue = queue
        self.room = room
        self.beside = Beside(queue)
        self.members = Members(self.beside.settings)
        self.jobs: dict[str, Job] = {}
        self.priorities: list[int] = [0]
        self.lanes: dict[str, tuple[int, set[int]]] = {}
        self.lanes_old: dict[str, tuple[int, set[int]]] = {}
        self.lanes_ms: int | None = None
        self.slow_ms = 0
        self.token = 0
        self.paused = False
        self.bell = False
        self.refused = 0
        self._serial = 0

    # What is where.

    def _in(self, state: State) -> list[Job]:
        return [job for job in self.jobs.values() if job.state is state]

    def scheduled(self) -> list[Job]:
        return sorted(self._in(State.SCHEDULED), key=lambda job: (job.due_ms or 0, job.id))

    def dead(self) -> list[Job]:
        return sorted(self._in(State.DEAD), key=lambda job: (job.dead_ms or 0, job.id))

    def holding(self, worker: str) -> list[Job]:
        """What a worker holds, in the order in which it is told."""
        return self.room.held(self.members.held.get(worker, []), self.priorities)

    def unannounced(self) -> list[str]:
        """What other programs put where the queue has not looked yet."""
        return sorted(job.id for job in self._in(State.WAITING) if job.priority not in self.priorities)

    def _due_in(self, now_ms: int) -> int | None:
        due = [job.due_ms or 0 for job in self._in(State.SCHEDULED)]
        return max(min(due) - now_ms, 0) if due else None

    def _know(self, priorities: set[int]) -> None:
        self.priorities = sorted({*self.priorities, *priorities}, reverse=True)

    def _waits(self, job: Job) -> None:
        self._serial += 1
        job.state, job.serial, job.due_ms, job.worker = State.WAITING, self._serial, None, ""

    def job(self, job_id: str) -> JobRecord | None:
        job = self.jobs.get(job_id)
        if job is None:
            return self.beside.ended(job_id)
        marks = self.beside.marks.get(job_id)
        return JobRecord(
            id=job.id,
            queue=self.queue,
            state=job.state,
            task=job.task,
            payload=job.payload,
            fields=job.fields,
            meta=job.meta,
            attempt=job.attempt,
            priority=job.priority,
            due_ms=job.due_ms,
            worker=job.worker or None,
            ended_ms=job.dead_ms,
            error=job.error,
            crashes=marks.crashes if marks else 0,
            suspicions=marks.suspicions if marks else 0,
        )

    def workers(self) -> list[WorkerRecord]:
        return self.members.records()

    def counts(self) -> Counts:
        return Counts(
            waiting=len(self.room.order(self.priorities)),
            scheduled=len(self._in(State.SCHEDULED)),
            active=len(self._in(State.ACTIVE)),
            dead=len(self._in(State.DEAD)),
            workers=len(self.members.expiry),
            suspects=len(self.beside.marks),
            finished=len(self.beside.facts) + len(self.beside.facts_old),
            ids=len(self.beside.ids),
            replies=len(self.beside.waiters),
            refused=self.refused,
            paused=self.paused,
        )

    def whole(self) -> Whole:
        facts = self.beside.facts_old | self.beside.facts
        ended = {state: sorted(one for one, fact in facts.items() if fact[0] is state) for state in State}
        return Whole(
            waiting=[job.id for job in self.room.order(self.priorities)],
            scheduled=[job.id for job in self.scheduled()],
            active={
                worker: [job.id for job in self.holding(worker)]
                for worker, held in self.members.held.items()
                if held
            },
            dead=[job.id for job in self.dead()],
            completed=ended[State.COMPLETED],
            cancelled=ended[State.CANCELLED],
            workers=sorted(self.members.expiry),
            suspects=len(self.beside.marks),
            ids=len(self.beside.ids),
            replies=len(self.beside.waiters),
            refused=self.refused,
            paused=self.paused,
        )
