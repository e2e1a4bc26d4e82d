"""What workers that are gone still held, and what stands twice in lists: mended in order, uncharged."""

import pytest

from homing.job import State
from tests.conformance.damage import lists_only, lose, mends, spoil, streams_only
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, B, C, D, at_priority, ids, many


def _forget(queue: Queue, worker: str) -> None:
    """A worker is taken off the list of workers, and what it held stays where it is."""
    queue.raw.zrem(queue.keys("workers"), worker)


def test_what_a_forgotten_worker_held_waits_in_front_in_its_old_order(queue: Queue) -> None:
    queue.enqueue(A, B, at_priority(C, 4), D)
    worker = queue.register()
    queue.claim(worker, limit=3)
    _forget(queue, worker)
    queue.rung()
    mends(queue, Whole(waiting=["c", "a", "b", "d"]), "w1")
    assert queue.rung()
    assert queue.names().count("worker:w1") == 0
    assert [(job.id, job.attempt) for job in queue.claim(queue.register())] == [(i, 0) for i in "cabd"]


def test_suspects_of_a_forgotten_worker_wait_apart(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.claim(worker)
    queue.raw.hset(queue.keys("suspects"), "b", "1 1")
    _forget(queue, worker)
    mends(queue, Whole(waiting=["b", "a"], suspects=1), "w1")
    assert [(job.id, job.alone) for job in queue.claim(queue.register())] == [("b", True)]


def test_a_forgotten_worker_that_held_much_is_mended_call_by_call(queue: Queue) -> None:
    jobs = many(1_250)
    queue.enqueue(*jobs[:1_000])
    queue.enqueue(*jobs[1_000:])
    worker = queue.register()
    queue.claim(worker, limit=1_000)
    queue.claim(worker, limit=1_000)
    _forget(queue, worker)
    subject = "active:w1" if queue.engine.name == "lists" else "consumer:0/w1"
    answer = queue.repair(subject)
    assert (answer.outcome, answer.more) == ("mended", True)
    # Whoever mended it dies here: the rest is found again, and until then nothing of it is deleted.
    assert subject in [problem.subject for problem in queue.problems()]
    queue.mend()
    assert queue.whole() == Whole(waiting=ids(jobs))


def test_what_a_forgotten_worker_held_without_a_body_is_counted(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    queue.claim(worker)
    queue.raw.hset(queue.keys("suspects"), "a", "1 0")
    lose(queue, "a", "c")
    _forget(queue, worker)
    mends(queue, Whole(waiting=["b"], missing=2), "w1")


def test_a_consumer_with_nothing_is_deleted(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    queue.raw.xgroup_createconsumer(queue.keys.stream(0), "workers", "stray")
    mends(queue, Whole(completed=["a"], workers=["w1"]), "consumer stray", "holds 0 jobs")


def test_consumers_of_members_and_what_waits_under_a_name_are_left(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A, B, C)
    worker = queue.register()
    first, second, _ = queue.claim(worker)
    queue.hand_back(worker, first)
    queue.raw.hset(queue.keys("suspects"), "b", "1 1")
    queue.hand_back(worker, second)
    before = queue.dump()
    assert queue.problems() == []
    assert {queue.repair(f"consumer:0/{name}").outcome for name in ("w1", "returned", "alone")} == {"fine"}
    assert queue.dump() == before


def test_what_a_forgotten_worker_held_and_is_no_job_of_its_own(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A, B, C, D)
    worker = queue.register()
    queue.claim(worker)
    queue.raw.hset(queue.keys.job("a"), "state", "waiting")
    queue.raw.rpush(queue.keys.waiting(0), "a")
    spoil(queue, "b")
    queue.raw.hdel(queue.keys.job("c"), "state")
    queue.raw.hset(queue.keys.job("d"), "worker", "another")
    _forget(queue, worker)
    mends(queue, Whole(waiting=["c", "d", "a"], dead=["b"]), "w1")


@pytest.mark.parametrize("end", ["lpush", "rpush"])
def test_a_job_that_is_twice_in_its_list_keeps_the_place_in_front(queue: Queue, end: str) -> None:
    lists_only(queue)
    queue.enqueue(A, B, C)
    getattr(queue.raw, end)(queue.keys.waiting(0), "b", "b")
    mends(queue, Whole(waiting=["a", "b", "c"] if end == "lpush" else ["b", "a", "c"]), "job b ", "twice")


def test_a_job_that_waits_and_is_active_stays_with_its_worker(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A, B)
    worker = queue.register()
    [job] = queue.claim(worker, limit=1)
    queue.raw.lpush(queue.keys.waiting(0), "a", "a")
    mends(queue, Whole(waiting=["b"], active={"w1": ["a"]}, workers=["w1"]), "job a ", "active")
    assert queue.ack(worker, job).done == 1


def test_a_job_that_two_workers_hold_stays_with_the_one_it_names(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A, B)
    for _ in range(2):
        queue.claim(queue.register(), limit=1)
    queue.raw.lpush(queue.keys.active("w1"), "b")
    mends(queue, Whole(active={"w1": ["a"], "w2": ["b"]}, workers=["w1", "w2"]), "job b ", "worker is w2")


def test_a_job_in_the_lists_of_two_priorities_stays_in_its_own(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A, at_priority(B, 3), at_priority(C, 5))
    queue.raw.rpush(queue.keys.waiting(5), "b")
    mends(queue, Whole(waiting=["c", "b", "a"]), "job b ", "priority is 3")


def test_a_wrong_priority_is_put_right(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A, B)
    queue.raw.hset(queue.keys.job("a"), "priority", "7")
    mends(queue, Whole(waiting=["a", "b"]), "job a ", "priority is 7")
    assert queue.record("a").priority == 0


@pytest.mark.parametrize("where", ["waiting", "active"])
def test_a_body_says_what_its_list_says(queue: Queue, where: str) -> None:
    lists_only(queue)
    queue.enqueue(A, B)
    worker = queue.register()
    if where == "active":
        queue.claim(worker)
        queue.raw.hset(queue.keys.job("a"), mapping={"state": "waiting", "worker": "somebody"})
        whole = Whole(active={"w1": ["a", "b"]}, workers=["w1"])
    else:
        queue.raw.hset(queue.keys.job("a"), "state", "active")
        whole = Whole(waiting=["a", "b"], workers=["w1"])
    mends(queue, whole, "job a ", "says that it is")
    assert queue.record("a").state is State(where)
    if where == "active":
        assert queue.raw.hget(queue.keys.job("a"), "worker") == b"w1"


def test_a_held_body_that_says_another_worker_is_put_right(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A)
    queue.claim(queue.register())
    queue.raw.hset(queue.keys.job("a"), "worker", "somebody")
    mends(queue, Whole(active={"w1": ["a"]}, workers=["w1"]), "job a ", "worker is somebody")


@pytest.mark.parametrize("priority", [0, 6])
def test_a_waiting_body_that_is_no_hash_is_buried_raw(queue: Queue, priority: int) -> None:
    lists_only(queue)
    queue.enqueue(at_priority(A, priority), B)
    queue.raw.lpush(queue.keys.waiting(0), "a")
    spoil(queue, "a")
    mends(queue, Whole(waiting=["b"], dead=["a"]), "job a ", "no hash")
    assert queue.raw.get(f"{queue.keys.base}:raw:a") == b"nonsense"


def test_a_held_body_that_is_no_hash_is_left_to_its_worker(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A)
    worker = queue.register()
    jobs = queue.claim(worker)
    spoil(queue, "a")
    assert [queue.repair(problem.subject).outcome for problem in queue.problems()] == ["left", "left"]
    assert queue.ack(worker, *jobs).done == 1
    assert queue.whole() == Whole(completed=["a"], workers=["w1"])


def test_what_waits_in_a_long_list_is_looked_for_on_later_pages(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(*many(1_000))
    queue.enqueue(A, B)
    queue.raw.lrem(queue.keys.waiting(0), 1, "b")
    unsure: set[str] = set()
    cursor = ""
    while True:
        page = queue.do(queue.engine.verify(cursor=cursor, limit=1_000))
        unsure = (unsure | set(page.unsure)) - set(page.ids)
        assert page.problems == []
        if not (cursor := page.cursor):
            break
    assert unsure == {"b"}
    assert queue.repair("job:b").outcome == "mended"
    assert ids(queue.claim(queue.register(), limit=2)) == ["b", "j0000"]


def test_a_new_job_that_stands_in_a_workers_list_too_waits(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(B)
    worker = queue.register()
    queue.raw.lpush(queue.keys.active(worker), "b")
    mends(queue, Whole(waiting=["b"], workers=["w1"]), "job b ", "waiting")
    assert ids(queue.claim(worker)) == ["b"]


def test_a_new_job_that_another_program_moved_to_another_priority_is_claimed_there(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(B, at_priority(C, 5))
    queue.raw.lmove(queue.keys.waiting(0), queue.keys.waiting(5), "RIGHT", "LEFT")
    worker = queue.register()
    assert ids(queue.claim(worker)) == ["c", "b"]
    assert queue.record("b").priority == 5
    assert queue.whole() == Whole(active={"w1": ["c", "b"]}, workers=["w1"])
