"""How a batch of jobs, or of their ends, is told to a script: what neighbours share is said once."""

from collections.abc import Callable, Sequence

from homing.checksum import summed
from homing.command import Argument
from homing.job import Ack, Again, Cancelled, Dead, Decision, HandBack, NewJob, Settlement

#: Of a job in a worker's hands its priority, and its entry where there are entries.
Place = Callable[[bytes], tuple[bytes, bytes | None]]
#: The words that tell a script one job.
Words = Callable[[NewJob], tuple[Argument, ...]]

#: By the bit lengths of 1 + ms: both times of a run as buckets of log2: 0, 1-2, 3-6, 7-14 ms …
_SPENT = [[f"{wait - 1}/{run - 1}" for run in range(65)] for wait in range(65)]
_PLAIN_ACK: tuple[str, tuple[Argument, ...]] = ("ack", ())


def beside_its_id(job: NewJob) -> tuple[Argument, ...]:
    """The id, and the whole job."""
    return job.id, summed(job.task, job.payload)


def behind_its_id(job: NewJob) -> tuple[Argument, ...]:
    """Both in one word: `<id> <sum> <task>`, a line end and the payload."""
    return (b"%b %b" % (job.id.encode(), summed(job.task, job.payload)),)


def runs_of(jobs: Sequence[NewJob], words: Words) -> list[Argument]:
    """Jobs to enqueue, in their order: (task, more, how many, words*)* of neighbours that are alike."""
    told: list[Argument] = []
    task, more = None, None
    counted = many = 0  # where the number of jobs of this run stands, and what it is
    for job in jobs:
        own = _more(job)
        if task != job.task or more != own:
            if many:
                told[counted] = many
            task, more, counted, many = job.task, own, len(told) + 2, 0
            told += (task, more, 0)
        many += 1
        told += words(job)
    if many:
        told[counted] = many
    return told


def run_of_one(job: NewJob, words: Words) -> tuple[Argument, ...]:
    """The same of a single job, as most calls are."""
    return (job.task, _more(job), 1, *words(job))


def _more(job: NewJob) -> Argument:
    """What is not plain about a job, empty when nothing is."""
    if not (job.meta or job.priority or job.delay_ms or job.own_id or job.reply):
        return ""
    return f"{job.priority} {job.delay_ms} {job.own_id:d} {job.reply} ".encode() + job.meta


def groups_of(settlements: Sequence[Settlement], place: Place) -> list[Argument]:
    """Ends, in their order: (what, times, priority, how many, items)* of neighbours that are alike."""
    told: list[Argument] = []
    alike: tuple[str, str, bytes] | None = None
    counted = many = 0  # where the number of ends of this group stands, and what it is
    for one in settlements:
        decision = one.decision
        # Most of all are plain acks.
        plain = type(decision) is Ack and not decision.result
        what, rest = _PLAIN_ACK if plain else _said(decision)
        # What was handed back took no time.
        spent = (
            "" if what == "back" else _SPENT[(one.wait_ms + 1).bit_length()][(one.run_ms + 1).bit_length()]
        )
        priority, entry = place(one.ref)
        if alike != (what, spent, priority):
            if many:
                told[counted] = many
            alike, counted, many = (what, spent, priority), len(told) + 3, 0
            told += (what, spent, priority, 0)
        many += 1
        told += (one.id, *rest) if entry is None else (one.id, entry, *rest)
    if many:
        told[counted] = many
    return told


def _said(decision: Decision) -> tuple[str, tuple[Argument, ...]]:
    """What a decision is called in a settlement, and what it brings along."""
    match decision:
        case Ack(result):
            return ("result", (result,)) if result else _PLAIN_ACK
        case Again(delay_ms, attempt, meta):
            return "again", (delay_ms, attempt, meta)
        case Dead(error, attempt):
            return "dead", (attempt, error)
        case HandBack():
            return "back", ()
        case Cancelled(reason):
            return "cancel", (reason,)
