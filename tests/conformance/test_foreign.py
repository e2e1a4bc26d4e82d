"""Jobs put in by other programs: a plain XADD, or HSET and LPUSH."""

import pytest

from homing.job import Enqueued, JobRecord, Settled, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, A, B, chosen, ids

MAIL = {"recipient": "alice@example.com", "subject": "Grüße", "body": "a\nb"}


def test_a_foreign_job_with_a_task_and_args_is_claimed(queue: Queue) -> None:
    job_id = queue.foreign({"task": "send", "args": '["a@b.c"]'})
    worker = queue.register()
    job = queue.claim_one(worker)
    assert (job.id, job.task, job.payload, job.meta, job.attempt, job.fields) == (
        job_id, "send", b'[["a@b.c"],{}]', b"", 0, None,
    )  # fmt: skip
    assert queue.whole() == Whole(active={"w1": [job_id]}, workers=["w1"])
    assert queue.ack(worker, job).done == 1
    assert queue.whole() == Whole(completed=[job_id], workers=["w1"])


def test_foreign_keyword_arguments_are_read(queue: Queue) -> None:
    queue.foreign({"task": "send", "kwargs": '{"to":1}'})
    assert queue.claim_one(queue.register()).payload == b'[[],{"to":1}]'


def test_a_foreign_payload_is_a_message(queue: Queue) -> None:
    queue.foreign({"payload": '{"to":"alice"}'})
    job = queue.claim_one(queue.register())
    assert (job.task, job.payload, job.fields) == ("", b'{"to":"alice"}', None)


def test_plain_fields_are_a_message(queue: Queue) -> None:
    job_id = queue.foreign(MAIL)
    worker = queue.register()
    job = queue.claim_one(worker)
    assert (job.id, job.task, job.payload, job.fields) == (job_id, "", b"", MAIL)
    assert queue.ack(worker, job).done == 1
    assert queue.whole() == Whole(completed=[job_id], workers=["w1"])


def test_a_foreign_job_is_seen_before_it_is_claimed(queue: Queue) -> None:
    queue.open()
    job_id = queue.foreign(MAIL)
    assert queue.whole() == Whole(waiting=[job_id])
    record = queue.record(job_id)
    assert (record.state, record.fields, record.payload) == (State.WAITING, MAIL, b"")
    assert queue.peek(State.WAITING) == [record]
    queue.claim(queue.register())
    record = queue.record(job_id)
    assert (record.state, record.fields, record.worker) == (State.ACTIVE, MAIL, "w1")


def test_foreign_jobs_are_claimed_in_their_order_with_ours(queue: Queue) -> None:
    queue.enqueue(A)
    first = queue.foreign({"payload": "1"}, job_id="f1")
    queue.enqueue(B)
    second = queue.foreign({"payload": "2"}, job_id="f2")
    assert queue.whole() == Whole(waiting=["a", first, "b", second])
    assert ids(queue.claim(queue.register())) == ["a", "f1", "b", "f2"]


def test_a_foreign_job_may_name_its_own_id(queue: Queue) -> None:
    queue.foreign({"payload": "1"}, job_id="mine-1")
    worker = queue.register()
    job = queue.claim_one(worker)
    assert (job.id, queue.enqueue(chosen(A))) == ("mine-1", [Enqueued.STORED])
    assert queue.whole() == Whole(waiting=["a"], active={"w1": ["mine-1"]}, workers=["w1"], ids=1)
    queue.ack(worker, job)
    assert queue.record("mine-1").state is State.COMPLETED


def test_a_foreign_job_goes_through_all_states_whole(queue: Queue) -> None:
    job_id = queue.foreign({**MAIL, "meta": '{"x":1}'})
    worker = queue.register()

    def claimed(attempt: int) -> None:
        job = queue.claim_one(worker)
        assert (job.id, job.fields, job.attempt, job.meta) == (job_id, MAIL, attempt, b'{"x":1}')

    claimed(0)
    [job] = queue.held(worker).jobs
    queue.hand_back(worker, job)
    claimed(0)
    [job] = queue.held(worker).jobs
    queue.again(worker, job, 10, attempt=1)
    assert queue.whole() == Whole(scheduled=[job_id], workers=["w1"])
    assert queue.record(job_id).fields == MAIL
    queue.now_ms += 10
    claimed(1)
    [job] = queue.held(worker).jobs
    queue.bury(worker, job, attempt=2)
    record = queue.record(job_id)
    assert (record.state, record.fields, record.error, record.attempt) == (State.DEAD, MAIL, ERROR, 2)
    queue.replay(job_id)
    claimed(0)
    queue.reclaim(worker)
    worker = queue.register()
    claimed(0)
    queue.ack(worker, *queue.held(worker).jobs)
    assert queue.whole() == Whole(completed=[job_id], workers=["w2"])


def test_a_foreign_task_goes_through_a_retry_whole(queue: Queue) -> None:
    queue.foreign({"task": "send", "args": "[1]", "kwargs": '{"a":2}'}, job_id="f")
    worker = queue.register()
    queue.again(worker, queue.claim_one(worker), 0, attempt=1)
    job = queue.claim_one(worker)
    assert (job.id, job.task, job.payload, job.attempt) == ("f", "send", b'[[1],{"a":2}]', 1)


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_a_foreign_job_can_be_cancelled_and_removed(queue: Queue) -> None:
    queue.open()
    first = queue.foreign(MAIL, job_id="f1")
    second = queue.foreign(MAIL, job_id="f2")
    assert (queue.cancel(first), queue.remove(second)) in [
        (State.WAITING, State.WAITING),
        (None, None),  # streams: an id of its own is known only once it was claimed
    ]
    if queue.engine.name == "lists":
        assert queue.whole() == Whole(cancelled=["f1"])


def test_a_foreign_job_without_an_id_can_be_cancelled_before_it_is_claimed(queue: Queue) -> None:
    queue.open()
    job_id = queue.foreign(MAIL)
    assert queue.cancel(job_id) is State.WAITING
    assert queue.whole() == Whole(cancelled=[job_id])
    job_id = queue.foreign(MAIL)
    assert queue.remove(job_id) is State.WAITING
    assert queue.job(job_id) is None


def test_foreign_jobs_can_be_purged(queue: Queue) -> None:
    queue.open()
    queue.foreign(MAIL)
    queue.foreign(MAIL, job_id="f")
    assert queue.purge(State.WAITING) == 2
    assert queue.whole() == Whole()


def test_a_foreign_job_whose_id_is_taken_is_dropped_and_counted(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    _again(queue, "a")
    jobs = queue.claim(worker)
    assert [(job.id, job.payload) for job in jobs] == [("a", A.payload)]
    assert queue.whole() == Whole(active={"w1": ["a"]}, workers=["w1"], taken=1)
    _again(queue, "a")
    assert queue.claim(worker) == []
    queue.ack(worker, *jobs)
    assert queue.whole() == Whole(completed=["a"], workers=["w1"], taken=2)


def test_a_foreign_job_with_the_id_of_one_that_is_scheduled_or_dead_is_dropped(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    first, second = queue.claim(worker)
    queue.again(worker, first, 9_000)
    queue.bury(worker, second)
    _again(queue, "a")
    _again(queue, "b")
    assert queue.claim(worker) == []
    assert queue.whole() == Whole(scheduled=["a"], dead=["b"], workers=["w1"], taken=2)


def test_two_foreign_jobs_with_one_id_are_one(queue: Queue) -> None:
    queue.foreign({"payload": "1"}, job_id="f")
    _again(queue, "f", payload="1")
    worker = queue.register()
    jobs = queue.claim(worker)
    assert [(job.id, job.payload) for job in jobs] == [("f", b"1")]
    queue.ack(worker, *jobs)
    assert queue.whole() == Whole(completed=["f"], workers=["w1"], taken=1)


def _again(queue: Queue, job_id: str, payload: str = "2") -> None:
    """Another program uses an id that is taken. (A second HSET would change the first job itself.)"""
    if queue.engine.name == "lists":
        queue.raw.lpush(queue.keys.waiting(0), job_id)
    else:
        queue.raw.xadd(queue.keys.stream(0), {"id": job_id, "payload": payload})


def test_an_id_that_fits_no_key_is_not_used(queue: Queue) -> None:
    if queue.engine.name == "lists":
        return  # there the id is the key's own name
    entry = queue.raw.xadd(queue.keys.stream(0), {"id": "not {fit}", "payload": "1"})
    assert queue.claim_one(queue.register()).id == f"0.{entry.decode()}"


def test_a_field_called_id_may_stand_anywhere(queue: Queue) -> None:
    if queue.engine.name == "lists":
        return
    queue.raw.xadd(queue.keys.stream(0), {"payload": "1", "id": "mine"})
    assert queue.claim_one(queue.register()).id == "mine"


def test_a_priority_that_nobody_announced_is_found_within_ten_seconds(queue: Queue) -> None:
    worker = queue.register()
    queue.tick(worker)
    job_id = queue.foreign({"payload": "1"}, priority=42)
    assert queue.claim(worker) == []
    for _ in range(10):
        queue.tick(worker, after_ms=1_000)
    assert queue.tick(worker).waiting == 1
    assert [(job.id, job.ref.split(b"/")[0]) for job in queue.claim(worker)] == [(job_id, b"42")]
    assert queue.whole() == Whole(active={"w1": [job_id]}, workers=["w1"])


def test_the_search_for_priorities_is_a_slow_one(queue: Queue) -> None:
    queue.tick()
    queue.foreign({"payload": "1"}, priority=42)
    queue.tick(after_ms=9_999)
    assert queue.counts().waiting == 0
    queue.tick(after_ms=1)
    assert queue.counts().waiting == 1


def test_a_foreign_job_keeps_its_priority(queue: Queue) -> None:
    queue.open()
    queue.tick()
    queue.foreign({"payload": "1"}, priority=-3, job_id="low")
    queue.foreign({"payload": "2"}, priority=9, job_id="high")
    queue.tick(after_ms=10_000)
    worker = queue.register()
    jobs = queue.claim(worker)
    assert ids(jobs) == ["high", "low"]
    queue.hand_back(worker, *jobs)
    assert queue.whole() == Whole(waiting=["high", "low"], workers=["w1"])
    queue.claim(worker)
    queue.reclaim(worker)
    assert queue.whole() == Whole(waiting=["high", "low"])
    found = {job.id: job.priority for job in queue.peek(State.WAITING)}
    assert found == {"high": 9, "low": -3}


def test_a_foreign_job_is_its_own_record(queue: Queue) -> None:
    queue.open()
    job_id = queue.foreign({"task": "send", "args": "[1]"})
    record = queue.record(job_id)
    assert record == JobRecord(
        job_id,
        queue.keys.queue,
        State.WAITING,
        task="send",
        payload=b"[[1],{}]",
        created_ms=record.created_ms,
    )


@pytest.mark.parametrize(
    "entries",
    [
        ["5-9", "5-10", "12-0", "100-1"],
        ["999999999999-5", "1000000000000-3", "1000000000000-12", "10000000000000-0"],
        ["1700000000000-9", "1700000000000-10", "1700000000000-100", "1700000000001-0"],
    ],
)
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_entries_with_any_number_are_settled_in_any_order(
    queue: Queue, entries: list[str], order: list[int]
) -> None:
    if queue.engine.name == "lists":
        pytest.skip("a list has no entries")
    for entry in entries:
        queue.raw.xadd(queue.keys.stream(0), {"payload": "1"}, id=entry)
    worker = queue.register()
    jobs = queue.claim(worker)
    assert [(job.ref.decode(), job.since_ms) for job in jobs] == [
        (entry, int(entry.partition("-")[0])) for entry in entries
    ]
    assert queue.ack(worker, *(jobs[i] for i in order)) == Settled(4)
    assert queue.whole().active == {}
