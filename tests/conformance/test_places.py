"""The ids that we make say where in a stream their jobs stand; of all others the index knows it."""

import pytest
from msgspec.structs import replace

from homing.checksum import checksum
from homing.ids import new_id
from homing.job import Ack, Again, Dead, Decision, Enqueued, HandBack, NewJob, State
from tests.conformance.damage import mends, streams_only
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, at_priority, awaited, chosen, ids, made_at, settlement

TEXT = b'[["bell\\u0007 \\n"],{}]'


def _jobs(queue: Queue, *numbers: int, behind_ms: int = 0) -> list[NewJob]:
    return [NewJob(made_at(queue.now_ms - behind_ms, number), "send", TEXT) for number in numbers]


def _indexed(queue: Queue) -> list[str]:
    return sorted(job_id.decode() for job_id in queue.raw.hkeys(queue.keys("index")))


def _entries(queue: Queue, priority: int = 0) -> list[str]:
    return [entry.decode() for entry, _ in queue.raw.xrange(queue.keys.stream(priority))]


@pytest.mark.parametrize("at_once", [True, False], ids=["together", "one by one"])
def test_jobs_made_now_stand_where_their_ids_say(queue: Queue, at_once: bool) -> None:
    jobs = _jobs(queue, 0, 1, 64, 4095)
    for batch in [jobs] if at_once else [[job] for job in jobs]:
        queue.enqueue(*batch)
    if queue.engine.name == "streams":
        assert _indexed(queue) == []
        # Of 6 bits each, in the order of ASCII: "--", "-0", "0-" and "zz".
        places = [145_145, 145_148, 148_145, 222_222]
        # The first of all made the queue, and only one in a queue in use goes the short road: both stand there.
        assert _entries(queue) == [f"{queue.now_ms}-{place}" for place in places]
    record = queue.record(jobs[2].id)
    assert (record.state, record.task, record.payload) == (State.WAITING, "send", TEXT)
    assert queue.whole() == Whole(waiting=ids(jobs))


def test_a_batch_of_many_moments_stands_where_its_ids_say(queue: Queue) -> None:
    """Of neighbours the letters differ that say days, 64 ms, one, or what came within it; a later run goes back in time."""
    moments = [
        (-999, 0),
        (-999, 1),
        (-999, 64),
        (-935, 64),
        (-934, 64),
        (-899, 9),
        (-100, 9),
        (0, 9),
        (36, 9),
        (100, 9),
    ]
    moments += [(164, 9), (900, 9), (1_000, 9)]
    jobs = [NewJob(made_at(queue.now_ms + moment, number), "send", TEXT) for moment, number in moments]
    queue.enqueue(*jobs[1::2], *[at_priority(job, -1) for job in jobs[::2]])
    if queue.engine.name == "streams":
        assert _indexed(queue) == []
        for priority, some in ((0, moments[1::2]), (-1, moments[::2])):
            assert _entries(queue, priority) == [
                f"{queue.now_ms + ms}-{_place(number)}" for ms, number in some
            ]
    assert queue.whole() == Whole(waiting=ids(jobs[1::2] + jobs[::2]))
    assert [queue.record(job.id).id for job in jobs] == ids(jobs)
    assert ids(queue.claim(queue.register())) == ids(jobs[1::2] + jobs[::2])
    assert queue.engine.name == "lists" or _indexed(queue) == []


def _place(number: int) -> str:
    """The second half of an entry: the eighth and ninth letters of an id, 100 more than their codes."""
    return "".join(str(ord(letter) + 100) for letter in made_at(0, number)[7:9])


@pytest.mark.parametrize(("earlier_ms", "further"), [(64, 1), (1, 1), (64 * 64, 1), (0, 65)])
def test_who_stands_beside_ours_under_an_id_of_another_place_is_found(
    queue: Queue, earlier_ms: int, further: int
) -> None:
    """Another program put it there: all but a few letters are those of its neighbour."""
    streams_only(queue)
    now_ms = queue.now_ms | 63  # the last of its 64
    ours, theirs = made_at(now_ms, 0), made_at(now_ms - earlier_ms, further)
    queue.enqueue(NewJob(ours, "send", TEXT))
    sealed = {"homing": f"{theirs} {checksum('send', b'[[],{}]').decode()} send\n[[],{{}}]"}
    queue.raw.xadd(queue.keys.stream(0), sealed, id=f"{now_ms}-{_place(0)[:3]}{_place(further)[3:]}")
    assert ids(queue.claim(queue.register())) == [ours, theirs]
    assert _indexed(queue) == [theirs]
    assert queue.record(theirs).state is State.ACTIVE


def test_they_are_claimed_and_settled_like_all_others(queue: Queue) -> None:
    jobs = _jobs(queue, *range(5))
    queue.enqueue(*jobs)
    worker = queue.register()
    held = queue.claim(worker)
    assert [(job.id, job.task, job.payload, job.attempt, job.corrupted) for job in held] == [
        (job.id, "send", TEXT, 0, False) for job in jobs
    ]
    assert queue.record(jobs[0].id).worker == worker
    ends: list[Decision] = [Ack(), Again(0, 1), Dead(ERROR, 1), HandBack(), Ack(b"7")]
    queue.settle(worker, *[settlement(job, end) for job, end in zip(held, ends, strict=True)])
    queue.now_ms += 1
    queue.tick()
    assert queue.whole() == Whole(
        waiting=[jobs[3].id, jobs[1].id],
        dead=[jobs[2].id],
        completed=sorted([jobs[0].id, jobs[4].id]),
        workers=[worker],
    )
    # The retry is a new entry, whose place its id does not say.
    assert queue.engine.name == "lists" or _indexed(queue) == [jobs[1].id]
    again = queue.claim(worker)
    assert [(job.id, job.attempt) for job in again] == [(jobs[3].id, 0), (jobs[1].id, 1)]
    queue.settle(worker, *[settlement(job, Ack()) for job in again])
    assert queue.raw.exists(queue.keys("index")) == 0


@pytest.mark.parametrize("moment_ms", [-1_001, 1_001])
def test_an_id_of_another_time_pushes_nobody_aside(queue: Queue, moment_ms: int) -> None:
    (late,) = _jobs(queue, 7, behind_ms=-moment_ms)
    queue.enqueue(late)
    queue.enqueue(replace(late, id=late.id[:-1] + "y"))
    (now,) = _jobs(queue, 8)
    queue.enqueue(now)
    waiting = [late.id, late.id[:-1] + "y", now.id]
    assert queue.engine.name == "lists" or _indexed(queue) == waiting[:2]
    assert queue.whole() == Whole(waiting=waiting)
    assert queue.cancel(late.id) is State.WAITING


def test_who_comes_second_with_an_earlier_id_stands_behind(queue: Queue) -> None:
    first, second = _jobs(queue, 9, 10), _jobs(queue, 3, 4) + _jobs(queue, 5, behind_ms=-1)
    queue.enqueue(*first)
    queue.enqueue(*second)
    assert queue.engine.name == "lists" or _indexed(queue) == sorted(ids(second[:2]))
    order = ids(first + second)
    assert queue.whole() == Whole(waiting=order)
    assert [queue.record(one).id for one in order] == order
    assert ids(queue.claim(queue.register())) == order


def test_two_ids_of_one_place_are_two_jobs(queue: Queue) -> None:
    (one,) = _jobs(queue, 9)
    other = replace(one, id=one.id[:-1] + "y", payload=b"[[2],{}]")
    queue.enqueue(one, other)
    assert queue.record(one.id).payload == TEXT
    assert queue.record(other.id).payload == b"[[2],{}]"
    assert queue.cancel(one.id) is State.WAITING
    assert queue.whole() == Whole(waiting=[other.id], cancelled=[one.id])


def test_with_a_meta_of_another_priority_and_awaited_it_stands_there_too(queue: Queue) -> None:
    one, other = _jobs(queue, 1, 2)
    other = awaited(at_priority(replace(other, meta=b'{"timeout":3}'), 5))
    queue.enqueue(one, other)
    assert queue.engine.name == "lists" or _indexed(queue) == []
    assert queue.record(other.id).priority == 5
    held = queue.claim(queue.register())
    assert [(job.id, job.meta) for job in held] == [(other.id, b'{"timeout":3}'), (one.id, b"")]
    assert queue.counts().replies == 1


def test_an_id_like_ours_that_a_caller_chose_is_taken_while_its_job_is_there(queue: Queue) -> None:
    (job,) = _jobs(queue, 1)
    queue.enqueue(job)
    assert queue.enqueue(chosen(job)) == [Enqueued.EXISTS]
    (other,) = _jobs(queue, 2)
    assert queue.enqueue(chosen(other)) == [Enqueued.STORED]
    assert queue.engine.name == "lists" or _indexed(queue) == [other.id]
    assert queue.whole().waiting == [job.id, other.id]


def test_a_copy_by_another_program_is_dropped(queue: Queue) -> None:
    streams_only(queue)
    (job,) = _jobs(queue, 1)
    queue.enqueue(job)
    for copy in ({"id": job.id, "task": "send"}, {"homing": f"{job.id} 00000000 send\n[[],{{}}]"}):
        queue.raw.xadd(queue.keys.stream(0), copy)
    assert ids(queue.claim(queue.register())) == [job.id]
    assert queue.counts().taken == 2


@pytest.mark.parametrize(
    "body", [b"", b" ", b"%b", b"%b 01234567", b"%b 01234567 send", b"%b 00000000 send\n[[],{}]"]
)
@pytest.mark.parametrize("at_its_place", [True, False])
def test_what_was_damaged_between_its_parts_is_corrupted(
    queue: Queue, body: bytes, at_its_place: bool
) -> None:
    streams_only(queue)
    (job,) = _jobs(queue, 5)
    queue.enqueue(job)
    (entry,) = _entries(queue)
    queue.raw.xdel(queue.keys.stream(0), entry)
    (after,) = _jobs(queue, 6)
    body = body.replace(b"%b", job.id.encode())
    queue.raw.xadd(queue.keys.stream(0), {b"homing": body}, id=entry[:-1] + "9" if not at_its_place else "*")
    queue.enqueue(after)
    held = queue.claim(queue.register())
    assert [one.corrupted for one in held] == [True, False]
    assert held[1].id == after.id


def test_the_index_must_not_lead_astray(queue: Queue) -> None:
    streams_only(queue)
    job, other = _jobs(queue, 1, 2)
    queue.enqueue(job, other)
    queue.raw.hset(queue.keys("index"), job.id, "1-1")
    mends(queue, Whole(waiting=[job.id, other.id]), job.id, "index")
    assert _indexed(queue) == []


def test_a_hash_beside_its_entry_goes(queue: Queue) -> None:
    streams_only(queue)
    (job,) = _jobs(queue, 1)
    queue.enqueue(job)
    queue.raw.hset(queue.keys.job(job.id), mapping={"state": "scheduled", "payload": "1"})
    queue.raw.zadd(queue.keys("scheduled"), {job.id: 1})
    mends(queue, Whole(waiting=[job.id]), job.id)


def test_real_ids_need_no_index(queue: Queue) -> None:
    """Those of one producer, on the server's own clock."""
    streams_only(queue)
    for number in range(1, 21):
        jobs = [NewJob(new_id()) for _ in range(100)]
        queue.do(queue.engine.enqueue(jobs, lane="l", number=number))
    assert queue.counts().waiting == 2_000
    assert queue.raw.exists(queue.keys("index")) == 0
