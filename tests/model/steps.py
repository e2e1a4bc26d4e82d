"""The rules: what may happen next. A step is a verb and three numbers, and means something in any state."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from homing.engines.engine import ReclaimReason
from homing.job import Ack, Again, Cancelled, Dead, Decision, HandBack, NewJob, Settlement, State
from tests.conformance.jobs import ERROR, made_at
from tests.model.twin import Call, Twin

Step = tuple[str, int, int, int]

#: The numbers of a step are below this.
NUMBERS = 64
PRIORITIES = (0, 0, 0, 0, 5, 0, -100, 7)
DELAYS_MS = (0, 0, 0, 0, 0, 400, 3_000, 0, 30_000)
TIMES_MS = (1, 40, 300, 1_000, 1_000, 2_500, 9_000, 61_000, 1_000_000, -5_000)
OWN_IDS = 7
#: Copies of an enqueue call come within 15 minutes: no client tries for longer.
RESENT_MS = 890_000
PROCESSES = ("p", "q")
DECISIONS: tuple[Decision, ...] = (
    Ack(b""),
    Ack(b'{"sent":1}'),
    Again(700, 1),
    HandBack(),
    Dead(ERROR, 2),
    Again(0, 2, b'{"timeout":9}'),
    Cancelled(),
    HandBack(),
    Cancelled("no longer wanted"),
    Ack(b"1"),
    Again(40_000, 3),
)
SETTINGS: tuple[dict[str, int], ...] = (
    {},
    {"crash_max": 2, "dead_max": 3, "facts_max": 4, "result_max": 2, "ids_max": 3, "id_ttl_ms": 20_000},
    {"crash_max": 1, "dead_ttl_ms": 60_000, "facts_max": 1, "result_max": 0},
    {"lease_ms": 5_000, "dead_max": 0, "ids_max": 6, "result_ttl_ms": 0},
    {"lease_ms": 60_000, "crash_max": 4, "id_ttl_ms": 0, "result_ttl_ms": 600_000, "result_max": 3},
)


@dataclass
class Plan:
    """What both engines are asked, and what was asked before. Its numbers and ids are the same for both."""

    now_ms: int
    fresh: int = 0  # ids and workers made so far
    workers: list[str] = field(default_factory=list)  # ever registered, newest last
    number: int = 0
    lanes: dict[str, int] = field(default_factory=dict)
    enqueued: list[tuple[list[NewJob], str, int, int]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # the newest
    settled: dict[str, list[tuple[str, list[Settlement], int, bool]]] = field(default_factory=dict)

    def next(self, what: str) -> str:
        self.fresh += 1
        return f"{what}{self.fresh}"

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def new_jobs(self, a: int, b: int, c: int) -> list[NewJob]:
        """A batch of all kinds."""
        jobs = []
        for i in range(1 + a % 7 + (120 if (a, b % 4) == (63, 3) else 0)):
            own = (b + 3 * i) % 8 == 0
            jobs.append(
                NewJob(
                    f"own{(c + i) % OWN_IDS}" if own else self._new_id((a + i) % 4),
                    ("send", "", "bill")[(a + i) % 3],
                    b'[["%d"],{}]' % i,
                    (b"", b'{"timeout":3}')[(b + i) % 5 == 0],
                    PRIORITIES[(c + i * (a % 3)) % len(PRIORITIES)],
                    DELAYS_MS[(b + i * (c % 4)) % len(DELAYS_MS)],
                    own_id=own,
                    reply=("p", "", "", "q", "")[(a + b + i) % 5],
                )
            )
        self.ids = [*self.ids, *(job.id for job in jobs)][-40:]
        return jobs

    def _new_id(self, kind: int) -> str:
        """Half of them made now, as ours are; one at another time."""
        if kind == 0:
            return self.next("j")
        self.fresh += 1
        return made_at(self.now_ms - (2_000 if kind == 1 else 0), self.fresh)

    def an_id(self, number: int) -> str:
        known = [*self.ids[-30:], *(f"own{i}" for i in range(OWN_IDS)), "nobody"]
        return known[number % len(known)]

    def a_worker(self, number: int) -> str:
        """Mostly one of the newest; whoever is gone may still speak."""
        known = self.workers[-4:] or ["nobody"]
        return "nobody" if number == NUMBERS - 1 else known[number % len(known)]


class Rules:
    """Each verb turns numbers into calls for one twin. `of` is asked once a step, then for each twin."""

    def __init__(self, twins: Sequence[Twin], now_ms: int) -> None:
        self.twins = twins
        self.plan = Plan(now_ms)

    def calls(self, step: Step) -> list[list[Call]]:
        """For each twin the calls of this step."""
        verb, a, b, c = step
        make: Callable[[int, int, int], Callable[[Twin], Call | list[Call]]] = getattr(self, f"_{verb}")
        of = make(a, b, c)
        made = [of(twin) for twin in self.twins]
        return [one if isinstance(one, list) else [one] for one in made]

    def _open(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        return lambda twin: twin.open(SETTINGS[a % len(SETTINGS)])

    def _register(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        """A new worker, or now and then a copy of an earlier call, also of one who is gone."""
        if self.plan.workers and c % 5 == 0:
            worker = self.plan.a_worker(a)
        else:
            worker = self.plan.next("w")
            self.plan.workers.append(worker)
        settings = SETTINGS[a % len(SETTINGS)] if b % 8 == 0 else {}
        return lambda twin: twin.register(worker, settings, self.plan.now_ms)

    def _enqueue(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        lane = f"lane{c % 4}"
        number = self.plan.lanes[lane] = self.plan.lanes.get(lane, 0) + 1
        jobs = self.plan.new_jobs(a, b, c)
        self.plan.enqueued = [*self.plan.enqueued, (jobs, lane, number, self.plan.now_ms)][-12:]
        return lambda twin: twin.enqueue(jobs, lane, number, self.plan.now_ms)

    def _resend(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        """An enqueue call arrives again, or for the first time after its followers."""
        if not self.plan.enqueued:
            return self._enqueue(a, b, c)
        jobs, lane, number, sent_ms = self.plan.enqueued[a % len(self.plan.enqueued)]
        if abs(self.plan.now_ms - sent_ms) > RESENT_MS:
            return self._enqueue(a, b, c)
        return lambda twin: twin.enqueue(jobs, lane, number, self.plan.now_ms)

    def _claim(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        worker, limit = self.plan.a_worker(a), (1, 2, 3, 10, 1, 100)[b % 6]
        number = self.plan.number if c % 8 == 0 else self.plan.next_number()
        return lambda twin: twin.claim(worker, limit, number, self.plan.now_ms)

    def _held(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        worker = self.plan.a_worker(a)
        number = self.plan.number if c % 8 == 0 else self.plan.next_number()

        def of(twin: Twin) -> Call:
            known = (
                [job.id for job in twin.model.holding(worker)] if worker in twin.model.members.held else []
            )
            return twin.held(worker, known[b % 3 :], number, self.plan.now_ms)

        return of

    def _settle(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        """Some of what a worker holds; now and then with what it does not hold, or twice."""
        worker, numbered, lean = self.plan.a_worker(a), c % 3 > 0, c % 11 == 0
        number = self.plan.next_number() if numbered else 0

        def of(twin: Twin) -> Call:
            held = twin.model.members.held.get(worker, [])
            jobs = [held[(b + i) % len(held)] for i in range(min(len(held), 1 + b % 5))]
            if b % 7 == 0:
                jobs += list(twin.model.jobs.values())[c % 5 :: 7][:2]
            settlements = [
                Settlement(
                    job.id, str(job.serial).encode(), DECISIONS[(a + c + i * (1 + b % 3)) % 11], a * b, c * a
                )
                for i, job in enumerate(jobs)
            ]
            made = self.plan.settled.setdefault(twin.engine.name, [])
            made.append((worker, settlements, number, lean))
            del made[:-8]
            return twin.settle(worker, settlements, number, self.plan.now_ms, lean=lean)

        return of

    def _resettle(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        """A settle arrives again: at once, late, or after the same worker's later ones."""

        def of(twin: Twin) -> Call:
            made = self.plan.settled.get(twin.engine.name)
            if not made:
                return twin.workers()
            worker, settlements, number, lean = made[a % len(made)]
            return twin.settle(worker, settlements, number, self.plan.now_ms, lean=lean)

        return of

    def _tick(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        self.plan.now_ms += TIMES_MS[a % len(TIMES_MS)]
        newest = self.plan.workers[-5:]
        workers = newest[: c % 6] if b % 3 else newest
        return lambda twin: twin.tick(workers, self.plan.now_ms)

    def _reclaim(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        worker = self.plan.a_worker(a)
        reason: ReclaimReason = ("lapsed", "died", "left")[b % 3]

        def of(twin: Twin) -> Call:
            held = [job.id for job in twin.model.members.held.get(worker, [])]
            return twin.reclaim(worker, reason, held[c % 4 :: 1 + c % 2], self.plan.now_ms)

        return of

    def _acquit(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        """Some that have marks, and any id."""

        def of(twin: Twin) -> Call:
            marked = list(twin.model.beside.marks)[a % 3 :: 1 + b % 3]
            return twin.acquit([*marked, self._one(twin, a, c)])

        return of

    def _cancel(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        return lambda twin: twin.cancel(self._one(twin, a, b), self.plan.now_ms)

    def _remove(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        return lambda twin: twin.remove(self._one(twin, a, b))

    def _one(self, twin: Twin, a: int, b: int) -> str:
        """Any id, or one that is stored."""
        stored = list(twin.model.jobs)
        return stored[a % len(stored)] if stored and b % 3 else self.plan.an_id(a)

    def _replay(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        def of(twin: Twin) -> Call:
            dead = [job.id for job in twin.model.dead()][: 1 + b % 4]
            return twin.replay([*dead, self.plan.an_id(a)], self.plan.now_ms)

        return of

    def _pause(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        return lambda twin: twin.pause()

    def _resume(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        return lambda twin: twin.resume()

    def _purge(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        state = (State.WAITING, State.SCHEDULED, State.DEAD)[a % 3]
        return lambda twin: twin.purge(state, (1, 2, 5, 1_000)[b % 4], self.plan.now_ms)

    def _follow(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        def of(twin: Twin) -> Call:
            ids = [self._one(twin, a + i, b + i) for i in range(1 + c % 3)]
            return twin.follow(ids, PROCESSES[c % 2])

        return of

    def _foreign(self, a: int, b: int, c: int) -> Callable[[Twin], list[Call]]:
        name = self.plan.next("f")
        fields = {"recipient": f"r{a}", "body": name} | ({"task": "send"} if b % 4 == 0 else {})
        return lambda twin: twin.foreign(name, (0, 0, 5, 3, -2)[c % 5], fields)

    def _listen(self, a: int, b: int, c: int) -> Callable[[Twin], Call]:
        return lambda twin: twin.listen()

    def _look(self, a: int, b: int, c: int) -> Callable[[Twin], list[Call]]:
        return lambda twin: [
            *(twin.job(self._one(twin, a + i, b + i)) for i in range(3)),
            twin.workers(),
            twin.statistics(self.plan.now_ms),
            twin.told(PROCESSES[c % 2]),
        ]


#: How often each verb comes in a random walk.
WEIGHTS = {
    "enqueue": 14,
    "claim": 22,
    "settle": 18,
    "tick": 10,
    "register": 3,
    "reclaim": 5,
    "acquit": 3,
    "resettle": 4,
    "resend": 4,
    "held": 4,
    "cancel": 4,
    "remove": 3,
    "replay": 3,
    "follow": 3,
    "foreign": 3,
    "listen": 3,
    "look": 4,
    "purge": 1,
    "pause": 1,
    "resume": 2,
    "open": 1,
    "flush": 1,
}


def random_steps(dice: random.Random, count: int) -> list[Step]:
    verbs = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [(verb, *(dice.randrange(NUMBERS) for _ in range(3))) for verb in verbs]  # type: ignore[misc]
