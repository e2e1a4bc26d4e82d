"""`verify` finds what is wrong with a queue, page by page, and nothing where nothing is."""

import pytest

from homing.job import State
from tests.conformance.driver import Queue
from tests.conformance.jobs import A, B, C, D, awaited, chosen, ids, later, many


def _full(queue: Queue) -> None:
    """Jobs in every place: two waiting, one handed back, two scheduled, two active, two dead."""
    queue.enqueue(*many(8, "x"), *many(2, "y", priority=4))
    worker = queue.register()
    jobs = queue.claim(worker, limit=7)
    queue.bury(worker, *jobs[:2])
    queue.hand_back(worker, jobs[2])
    queue.again(worker, jobs[3], 5_000)
    queue.again(worker, jobs[4], 6_000)


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
def test_verify_looks_at_every_job_once(queue: Queue, limit: int) -> None:
    _full(queue)
    seen: list[str] = []
    cursor = ""
    for _ in range(10_000):  # one page looks at few of the keys that other tests left
        page = queue.do(queue.engine.verify(cursor=cursor, limit=limit))
        assert page.problems == []
        seen += page.ids
        cursor = page.cursor
        if not cursor:
            break
    assert cursor == ""
    assert sorted(seen) == [f"x{i:04}" for i in range(8)] + ["y0000", "y0001"]


def _found(queue: Queue, *words: str) -> None:
    """Some problem says all the words; none is found before the last page."""
    for limit in (2, 200):
        problems = queue.verify(limit=limit)
        assert any(all(word in problem for word in words) for problem in problems), problems


@pytest.mark.parametrize("place", ["scheduled", "dead"])
def test_a_waiting_job_that_is_also_elsewhere_is_found(queue: Queue, place: str) -> None:
    queue.enqueue(A, B)
    queue.raw.zadd(queue.keys(place), {"a": 1})
    _found(queue, "job a ", place)


@pytest.mark.parametrize("place", ["scheduled", "dead"])
def test_an_active_job_that_is_also_elsewhere_is_found(queue: Queue, place: str) -> None:
    queue.enqueue(A, B)
    queue.claim(queue.register())
    queue.raw.zadd(queue.keys(place), {"a": 1})
    _found(queue, "job a ", place)


def test_a_job_that_is_scheduled_and_dead_is_found(queue: Queue) -> None:
    queue.enqueue(later(A, 5_000), later(B, 5_000))
    queue.raw.zadd(queue.keys("dead"), {"a": 1})
    _found(queue, "job a ", ":dead", ":scheduled")


def test_a_waiting_job_that_is_there_twice_is_found(queue: Queue) -> None:
    queue.enqueue(A, B, C, D)
    if queue.engine.name == "lists":
        queue.raw.lpush(queue.keys.waiting(0), "a")
        _found(queue, "job a ", "twice")
    else:
        queue.raw.xadd(queue.keys.stream(0), {"id": "a", "payload": "1"})
        _found(queue, "job a ", "index")


def test_a_job_that_waits_and_is_active_is_found(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    queue.claim(queue.register(), limit=1)
    if queue.engine.name == "lists":
        queue.raw.lpush(queue.keys.waiting(0), "a")
        _found(queue, "job a ", "active")
    else:
        queue.raw.xadd(queue.keys.stream(0), {"id": "a", "payload": "1"})
        _found(queue, "job a ", "index")


@pytest.mark.parametrize("place", ["scheduled", "dead"])
def test_a_place_without_a_body_is_found(queue: Queue, place: str) -> None:
    queue.enqueue(A)
    queue.raw.zadd(queue.keys(place), {"ghost": 1})
    _found(queue, "job ghost ", place, "no body")


def test_a_waiting_job_without_a_body_is_found(queue: Queue) -> None:
    queue.enqueue(A, B)
    _lose(queue, "a")
    _found(queue, "job a ")


def test_an_active_job_without_a_body_is_found(queue: Queue) -> None:
    queue.enqueue(A, B)
    queue.claim(queue.register())
    _lose(queue, "a")
    _found(queue, "no body")


def _lose(queue: Queue, job_id: str) -> None:
    if queue.engine.name == "lists":
        queue.raw.delete(queue.keys.job(job_id))
    else:
        ref = queue.field("index", job_id)
        assert ref is not None
        queue.raw.xdel(queue.keys.stream(0), ref.decode())


@pytest.mark.parametrize("state", [State.WAITING, State.SCHEDULED, State.ACTIVE, State.DEAD])
def test_a_body_without_a_place_is_found(queue: Queue, state: State) -> None:
    queue.enqueue(A, later(B, 5_000))
    worker = queue.register()
    queue.raw.hset(queue.keys.job("ghost"), mapping={"state": str(state), "payload": "1", "worker": worker})
    _found(queue, "job ghost ")


def test_a_body_that_is_no_hash_is_found(queue: Queue) -> None:
    queue.enqueue(later(A, 5_000))
    queue.raw.set(queue.keys.job("a"), "nonsense")
    _found(queue, "job a ", "no hash")


def test_a_count_that_does_not_add_up_is_found(queue: Queue) -> None:
    queue.enqueue(A, B, later(C, 5_000))
    if queue.engine.name == "lists":
        queue.raw.rpop(queue.keys.waiting(0))
    else:
        queue.raw.hset(queue.keys("index"), "ghost", "0/1-1")
    assert queue.verify(limit=200) != []


def test_an_index_that_names_another_entry_is_found(queue: Queue) -> None:
    if queue.engine.name == "lists":
        return
    queue.enqueue(A, B)
    refs = [queue.field("index", job_id) for job_id in ("a", "b")]
    queue.raw.hset(queue.keys("index"), "a", str(refs[1], "ascii"))  # type: ignore[arg-type]
    _found(queue, "job a ", "index")


def test_an_active_job_that_the_index_does_not_know_is_found(queue: Queue) -> None:
    if queue.engine.name == "lists":
        return
    queue.enqueue(A, B)
    queue.claim(queue.register())
    queue.raw.hdel(queue.keys("index"), "a")
    _found(queue, "job a ", "index")


def test_a_wrong_priority_is_found(queue: Queue) -> None:
    if queue.engine.name == "streams":
        return  # there it is part of the place
    queue.enqueue(A, B)
    queue.raw.hset(queue.keys.job("a"), "priority", "7")
    _found(queue, "job a ", "priority")


def test_marks_of_no_job_are_found(queue: Queue) -> None:
    queue.open()
    queue.raw.hset(queue.keys("suspects"), "ghost", "1 1")
    _found(queue, "job ghost ", "marks")


def test_an_id_that_is_taken_by_nothing_is_found(queue: Queue) -> None:
    queue.enqueue(chosen(A), B)
    assert queue.verify() == []
    queue.raw.zadd(queue.keys("ids"), {"ghost": float("inf")})
    _found(queue, "id ghost ")


def test_an_id_that_an_ended_job_still_holds_is_found(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    queue.raw.zadd(queue.keys("ids"), {"a": float("inf")})
    _found(queue, "id a ")


def test_a_waiter_for_no_job_is_found(queue: Queue) -> None:
    queue.enqueue(awaited(A))
    assert queue.verify() == []
    queue.raw.hset(queue.keys("replies"), "ghost", "p")
    _found(queue, "job ghost")


def test_verify_changes_nothing(queue: Queue) -> None:
    _full(queue)
    before = queue.dump()
    assert queue.verify() == []
    assert queue.dump() == before
    assert ids(queue.peek(State.WAITING)) == ["x0000", "x0005", "x0006", "x0007"]


@pytest.mark.exact_answers("a copy of a turn that was taken finds it taken")
def test_those_who_verify_together_take_turns(queue: Queue) -> None:
    queue.open()

    def turn(after_ms: int) -> str | None:
        queue.now_ms += after_ms
        return queue.do(queue.engine.turn(every_ms=5_000, now_ms=queue.now_ms))

    assert turn(0) == ""
    queue.do(queue.engine.turned("3:17"))
    assert [turn(1), turn(4_998)] == [None, None]
    assert [turn(1), turn(1)] == ["3:17", None]
    assert turn(-60_000) == "3:17"  # the server's clock was set back


def test_a_cursor_of_another_time_ends_the_pass(queue: Queue) -> None:
    queue.enqueue(A)
    page = queue.do(queue.engine.verify(cursor="99:0"))
    assert (page.problems, page.ids, page.cursor) == ([], [], "")
