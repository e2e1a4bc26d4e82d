"""Ids that say where their jobs stand, among damage, copies and what other programs wrote."""

import pytest
from msgspec.structs import replace

from homing.checksum import checksum
from homing.ids import ALPHABET
from homing.job import Ack, Dead, NewJob, State
from tests.conformance.damage import mends, spoil, streams_only
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, at_priority, ids, made_at, settlement

TEXT = b"[[1],{}]"
SUM = checksum("send", TEXT)


def _jobs(queue: Queue, *numbers: int, behind_ms: int = 0) -> list[NewJob]:
    return [NewJob(made_at(queue.now_ms - behind_ms, number), "send", TEXT) for number in numbers]


def _place(job: NewJob) -> str:
    """The number that the entry of a job made now has."""
    ms = 0
    for letter in job.id[:7]:
        ms = ms << 6 | ALPHABET.index(letter)
    return f"{ms}-{ord(job.id[7]) + 100}{ord(job.id[8]) + 100}"


def _odd(queue: Queue, job: NewJob, odd: bytes) -> str:
    """A job at the place of its id, of which the last letters are others; returns the id it must have."""
    queue.enqueue(at_priority(NewJob("first"), job.priority))
    queue.ack(queue.register("opener"), *queue.claim("opener"))
    queue.reclaim("opener", "left")
    own = job.id.encode()[: 21 - len(odd)] + odd
    body = b"%b %b send\n%b" % (own, SUM, TEXT)
    queue.raw.xadd(queue.keys.stream(job.priority), {b"homing": body}, id=_place(job))
    return f"{job.priority}.{_place(job)}"


@pytest.mark.parametrize("odd", [b"/", b"\xff\xfe", b"\t", b" ", b" x", b"\n", b"\0", b"{a}"])
@pytest.mark.parametrize("priority", [0, -5])
def test_an_id_of_ours_that_no_key_may_have_is_damaged(queue: Queue, odd: bytes, priority: int) -> None:
    """No sum covers an id; the entry is the one that its first letters name."""
    streams_only(queue)
    job = at_priority(_jobs(queue, 5)[0], priority)
    named = _odd(queue, job, odd)
    worker = queue.register()
    held = queue.claim_one(worker)
    assert held.id == (job.id[: 21 - len(odd)] if odd[:1].isspace() else named)
    assert (held.corrupted, held.attempt) == (True, 0)
    queue.again(worker, held, 0)
    queue.now_ms += 1
    again = queue.claim_one(worker)
    assert (again.id, again.attempt) == (held.id, 1)
    queue.bury(worker, again)
    assert queue.whole() == Whole(dead=[held.id], completed=["first"], workers=[worker])


@pytest.mark.parametrize("own", [b"", b"x" * 65, b"\n", b"\xff", b"a/b"])
@pytest.mark.parametrize("stored_sum", [SUM, b"00000000"])
def test_two_entries_without_an_id_are_two_jobs(queue: Queue, own: bytes, stored_sum: bytes) -> None:
    streams_only(queue)
    queue.enqueue(NewJob("first"))
    for _ in range(2):
        queue.raw.xadd(queue.keys.stream(0), {b"homing": b"%b %b send\n%b" % (own, stored_sum, TEXT)})
    worker = queue.register()
    first, *held = queue.claim(worker)
    assert [job.id for job in held] == [f"0.{job.ref.decode()}" for job in held]
    assert [job.corrupted for job in held] == [own == b"\n" or stored_sum != SUM] * 2
    queue.settle(worker, settlement(first, Ack()), *(settlement(job, Dead(ERROR, 1)) for job in held))
    assert queue.whole() == Whole(dead=ids(held), completed=["first"], workers=[worker])


@pytest.mark.parametrize("meta", [b"", b'{"timeout":3}'])
@pytest.mark.parametrize("lost_reply", [False, True])
def test_a_job_whose_index_leads_astray_runs_all_the_same(
    queue: Queue, meta: bytes, lost_reply: bool
) -> None:
    streams_only(queue)
    job, other = (replace(one, meta=meta) for one in _jobs(queue, 1, 2))
    queue.enqueue(job, other)
    queue.raw.hset(queue.keys("index"), job.id, "1-1")
    worker = queue.register()
    held = queue.claim(worker)
    if lost_reply:
        held = queue.held(worker).jobs
    assert ids(held) == [job.id, other.id]
    assert queue.counts().taken == 0
    queue.ack(worker, *held)
    assert queue.whole() == Whole(completed=sorted(ids(held)), workers=[worker])


def test_a_retry_whose_index_leads_astray_runs_all_the_same(queue: Queue) -> None:
    streams_only(queue)
    (job,) = _jobs(queue, 1)
    queue.enqueue(job)
    worker = queue.register()
    queue.again(worker, queue.claim_one(worker), 0)
    queue.now_ms += 1
    queue.tick()
    queue.raw.hset(queue.keys("index"), job.id, _place(job))
    again = queue.claim(worker)
    assert [(one.id, one.attempt) for one in again] == [(job.id, 1)]
    queue.ack(worker, *again)
    assert queue.whole() == Whole(completed=[job.id], workers=[worker])


def _copy(queue: Queue, job: NewJob, priority: int, entry: str) -> None:
    """Another program puts the same job there as well."""
    body = b"%b %b send\n%b" % (job.id.encode(), SUM, TEXT)
    queue.raw.xadd(queue.keys.stream(priority), {b"homing": body}, id=entry)


def test_one_number_in_two_priorities_is_one_job_too_many(queue: Queue) -> None:
    streams_only(queue)
    high, job, low = _jobs(queue, 1, 2, 3)
    low, high = at_priority(low, -7), at_priority(high, 7)
    queue.enqueue(high)
    queue.ack(queue.register("opener"), *queue.claim("opener"))
    queue.reclaim("opener", "left")
    queue.enqueue(job, low)
    _copy(queue, job, 7, _place(job))
    whole = Whole(waiting=[job.id, low.id], completed=[high.id], taken=1)
    mends(queue, whole, job.id, "stream:0", "priority 7")
    assert [one.priority for one in queue.peek(State.WAITING)] == [7, -7]


def test_what_a_worker_holds_is_left_to_it(queue: Queue) -> None:
    """The index names a copy of a job that runs at its place."""
    streams_only(queue)
    (job,) = _jobs(queue, 1)
    queue.enqueue(job)
    worker = queue.register()
    held = queue.claim(worker)
    _copy(queue, job, 0, "*")
    [_, (copy, _)] = queue.raw.xrange(queue.keys.stream(0))
    queue.raw.hset(queue.keys("index"), job.id, copy)
    assert queue.repair(f"entry:0/{_place(job)}").outcome == "left"
    assert queue.ack(worker, *held).done == 1


@pytest.mark.parametrize("indexed", [False, True])
def test_a_copy_of_a_job_that_runs_without_its_body_is_dropped(queue: Queue, indexed: bool) -> None:
    streams_only(queue)
    (job,) = [NewJob("a", "send", TEXT)] if indexed else _jobs(queue, 1)
    queue.enqueue(job)
    worker = queue.register()
    held = queue.claim(worker)
    queue.raw.xdel(queue.keys.stream(0), held[0].ref)
    _copy(queue, job, 0, "*")
    assert queue.claim(queue.register()) == []
    assert queue.counts().taken == 1
    assert queue.ack(worker, *held).done == 1


def test_a_foreign_job_is_found_by_its_entry(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(at_priority(NewJob("first"), -5))
    named = queue.foreign({"task": "send", "payload": "[[],{}]"}, priority=-5)
    assert queue.record(named).state is State.WAITING
    assert queue.cancel(named) is State.WAITING


@pytest.mark.parametrize("moved_ms", [-60_000, 0, 60_000])
@pytest.mark.parametrize("others", [0, 1])
def test_a_call_sent_again_adds_nothing_whatever_the_clock_says(
    queue: Queue, moved_ms: int, others: int
) -> None:
    queue.enqueue(NewJob("first"))
    jobs = _jobs(queue, *range(1 + others))
    queue.enqueue(*jobs, lane="mine", number=1)
    queue.now_ms += moved_ms
    queue.enqueue(*jobs, lane="mine", number=1)
    assert queue.whole() == Whole(waiting=["first", *ids(jobs)])


@pytest.mark.parametrize("damaged", [b"%b  %b send\n%b", b"%b %b\n%b", b"%b\n%b send %b", b"%b %b send %b"])
@pytest.mark.parametrize("at_its_place", [True, False])
@pytest.mark.parametrize("meta", [True, False])
def test_what_has_no_sum_where_it_belongs_does_not_run(
    queue: Queue, damaged: bytes, at_its_place: bool, meta: bool
) -> None:
    streams_only(queue)
    (job,) = _jobs(queue, 5)
    queue.enqueue(NewJob("first"))
    body = damaged % (job.id.encode(), SUM, TEXT)
    beside = {b"meta": b"{}"} if meta else {}
    queue.raw.xadd(queue.keys.stream(0), {b"homing": body, **beside}, id=_place(job) if at_its_place else "*")
    worker = queue.register()
    held = queue.claim(worker)
    assert [(one.id, one.corrupted) for one in held] == [("first", False), (job.id, True)]
    queue.settle(worker, settlement(held[0], Ack()), settlement(held[1], Dead(ERROR, 0)))
    assert queue.whole() == Whole(completed=["first"], dead=[job.id], workers=[worker])


@pytest.mark.parametrize("length", [9, 20, 22, 64])
def test_an_id_of_another_length_has_no_place(queue: Queue, length: int) -> None:
    """Also where it begins as ours do; and who stands there with it is a copy."""
    (like,) = _jobs(queue, 5)
    first, second = (
        replace(like, id=like.id[:9].ljust(length, "x")),
        replace(like, id=like.id[:8] + "z".ljust(length - 8, "x")),
    )
    queue.enqueue(replace(like, id="opens"))
    queue.enqueue(first)
    queue.enqueue(second, _jobs(queue, 4095)[0])
    assert [queue.record(job.id).state for job in (first, second)] == [State.WAITING] * 2
    whole = queue.whole()
    assert whole.waiting[1:3] == [first.id, second.id]
    if queue.engine.name == "lists":
        return
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    (behind,) = _jobs(queue, 7, behind_ms=-1)
    third = replace(behind, id=behind.id[:9].ljust(length, "x"))
    queue.enqueue(third)
    _copy(queue, third, 0, _place(behind))
    assert ids(queue.claim(worker)) == [third.id]
    assert queue.counts().taken == 1


def test_a_copy_at_the_same_letters_of_another_millisecond_is_dropped(queue: Queue) -> None:
    streams_only(queue)
    (one,) = _jobs(queue, 63, behind_ms=1)
    (other,) = _jobs(queue, 1)
    queue.enqueue(one)
    worker = queue.register()
    held = queue.claim(worker)
    queue.enqueue(other)
    _copy(queue, one, 0, f"{queue.now_ms}-{_place(one).partition('-')[2]}")
    assert [*ids(held), *ids(queue.claim(worker))] == [one.id, other.id]
    assert queue.counts().taken == 1


def test_a_job_with_a_meta_at_its_place_needs_no_index_when_it_is_claimed(queue: Queue) -> None:
    streams_only(queue)
    (job,) = _jobs(queue, 1)
    queue.enqueue(replace(job, meta=b'{"timeout":3}'))
    assert ids(queue.claim(queue.register())) == [job.id]
    assert queue.raw.exists(queue.keys("index")) == 0


def test_a_key_that_is_no_hash_beside_a_job_whose_index_leads_astray(queue: Queue) -> None:
    streams_only(queue)
    (job,) = _jobs(queue, 1)
    queue.enqueue(job)
    queue.raw.hset(queue.keys("index"), job.id, "1-1")
    spoil(queue, job.id)
    assert queue.repair(f"job:{job.id}").outcome == "mended"
    assert queue.raw.exists(queue.keys("index"), queue.keys.job(job.id)) == 0
    assert queue.raw.get(f"{queue.keys.base}:raw:{job.id}") == b"nonsense"
    assert ids(queue.claim(queue.register())) == [job.id]


def test_the_name_of_a_task_has_no_line_end(queue: Queue) -> None:
    streams_only(queue)
    with pytest.raises(ValueError, match=r"task 'a\\nb' has a line end in its name"):
        queue.enqueue(NewJob("a", "a\nb"))
