"""Damage: bodies that are not what they should be, keys of the wrong type, queues of others."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from homing.engines import make
from homing.errors import NewerData, WrongEngine, WrongType
from homing.job import Ack, Again, Cancelled, Dead, Decision, HandBack, State
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, A, B, C, D, at_priority, awaited, ids, later, made_at, many


def _corrupt(queue: Queue, job_id: str) -> None:
    """Something else writes a string where the job's hash was."""
    queue.raw.set(queue.keys.job(job_id), "nonsense")


@pytest.mark.parametrize("by", ["claim", "tick"])
def test_a_body_that_is_no_hash_is_buried_raw_when_it_comes_due(queue: Queue, by: str) -> None:
    queue.enqueue(later(A, 1_000), later(awaited(B), 1_000), later(C, 1_000), D)
    _corrupt(queue, "b")
    worker = queue.register()
    queue.now_ms += 1_000
    if by == "tick":
        queue.tick(worker)
    assert sorted(ids(queue.claim(worker))) == ["a", "c", "d"]
    record = queue.record("b")
    assert (record.state, b"WrongType" in record.error, record.ended_ms) == (State.DEAD, True, queue.now_ms)
    assert queue.raw.get(f"{queue.keys.base}:raw:b") == b"nonsense"
    assert queue.told()[0].startswith(b"b\ndead\n{")
    whole = queue.whole()
    assert (whole.dead, whole.scheduled, whole.strays, whole.problems) == (["b"], [], [], [])


def _raw_dead(queue: Queue, job_id: str = "b") -> None:
    queue.enqueue(later(at_priority(B, 4), 1_000))
    _corrupt(queue, job_id)
    queue.tick(after_ms=1_000)
    assert queue.whole() == Whole(dead=["b"])


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize("verb", ["remove", "purge"])
def test_what_was_buried_raw_leaves_nothing_behind(queue: Queue, verb: str) -> None:
    _raw_dead(queue)
    if verb == "remove":
        assert queue.remove("b") is State.DEAD
    else:
        assert queue.purge(State.DEAD) == 1
    assert queue.whole() == Whole()
    assert not [name for name in queue.names() if name.startswith("raw:")]


def test_what_was_buried_raw_dies_again_when_it_is_replayed(queue: Queue) -> None:
    _raw_dead(queue)
    assert queue.replay("b") == ["b"]
    assert queue.raw.exists(f"{queue.keys.base}:raw:b") == 0
    assert queue.claim(queue.register()) == []
    assert queue.whole() == Whole(dead=["b"], workers=["w1"])
    assert queue.raw.get(f"{queue.keys.base}:raw:b") == b"nonsense"


def _lists_only(queue: Queue) -> None:
    """A waiting or active job of the streams engine has no key of its own that could be broken."""
    if queue.engine.name != "lists":
        pytest.skip("there is no such key")


def test_a_waiting_body_that_is_no_hash_is_buried_raw_and_the_rest_goes_on(queue: Queue) -> None:
    _lists_only(queue)
    queue.enqueue(A, at_priority(B, 3), C)
    _corrupt(queue, "b")
    assert ids(queue.claim(queue.register())) == ["a", "c"]
    assert queue.whole() == Whole(active={"w1": ["a", "c"]}, dead=["b"], workers=["w1"])
    assert queue.record("b").priority == 3


def test_a_held_body_that_is_no_hash_is_buried_raw(queue: Queue) -> None:
    _lists_only(queue)
    queue.enqueue(A, B, C)
    worker = queue.register()
    queue.claim(worker)
    _corrupt(queue, "b")
    assert sorted(ids(queue.held(worker).jobs)) == ["a", "c"]
    assert queue.whole() == Whole(active={"w1": ["a", "c"]}, dead=["b"], workers=["w1"])


@pytest.mark.exact_answers("a copy tells what it did itself")
def test_a_reclaimed_body_that_is_no_hash_is_buried_raw(queue: Queue) -> None:
    _lists_only(queue)
    queue.enqueue(A, B, C)
    worker = queue.register()
    queue.claim(worker)
    _corrupt(queue, "b")
    done = queue.reclaim(worker)
    assert (done.moved, done.buried) == (2, 1)
    assert queue.whole() == Whole(waiting=["a", "c"], dead=["b"])


STAYS: list[Decision] = [Again(5, 1), Dead(ERROR, 1), HandBack()]
GOES: list[Decision] = [Ack(b"1"), Cancelled()]


@pytest.mark.parametrize("decision", STAYS, ids=repr)
def test_a_settled_body_that_is_no_hash_is_buried_raw(queue: Queue, decision: Decision) -> None:
    _lists_only(queue)
    queue.enqueue(A, B)
    worker = queue.register()
    first, second = queue.claim(worker)
    _corrupt(queue, "a")
    assert queue.decide(worker, first, decision).done == 1
    queue.ack(worker, second)
    assert queue.whole() == Whole(dead=["a"], completed=["b"], workers=["w1"])
    assert queue.raw.get(f"{queue.keys.base}:raw:a") == b"nonsense"


@pytest.mark.parametrize("decision", GOES, ids=repr)
def test_a_body_that_is_no_hash_can_end(queue: Queue, decision: Decision) -> None:
    _lists_only(queue)
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    _corrupt(queue, "a")
    assert queue.decide(worker, job, decision).done == 1
    whole = queue.whole()
    assert (whole.completed + whole.cancelled, whole.strays) == (["a"], [])


@pytest.mark.parametrize("verb", ["cancel", "remove"])
def test_a_waiting_body_that_is_no_hash_can_be_taken_out(queue: Queue, verb: str) -> None:
    _lists_only(queue)
    queue.enqueue(A)
    _corrupt(queue, "a")
    assert getattr(queue, verb)("a") is State.WAITING
    assert queue.whole() == Whole(cancelled=["a"] if verb == "cancel" else [])


def _lose_body(queue: Queue, *job_ids: str) -> None:
    """Somebody deletes the bodies of jobs that wait, are active, or are scheduled."""
    for job_id in job_ids:
        if queue.engine.name == "streams" and (ref := queue.field("index", job_id)):
            priority, _, entry = ref.decode().rpartition("/")
            queue.raw.xdel(queue.keys.stream(int(priority or 0)), entry)
        else:
            queue.raw.delete(queue.keys.job(job_id))


def _mended(queue: Queue, *job_ids: str) -> Whole:
    """The whole state, after the index of the streams has forgotten entries that somebody deleted."""
    if queue.engine.name == "streams":
        problems = queue.verify()
        assert all(any(f"job {one} stands in the index" in text for text in problems) for one in job_ids)
        assert [queue.remove(job_id) for job_id in job_ids] == [None] * len(job_ids)
    return queue.whole()


@pytest.mark.exact_answers("a copy tells what it promoted itself")
@pytest.mark.parametrize("by", ["claim", "tick"])
def test_a_scheduled_id_without_a_body_is_counted(queue: Queue, by: str) -> None:
    queue.enqueue(later(A, 1_000), later(B, 1_000))
    _lose_body(queue, "a")
    worker = queue.register()
    queue.now_ms += 1_000
    if by == "tick":
        assert queue.tick(worker).promoted == 1
    assert ids(queue.claim(worker)) == ["b"]
    assert queue.whole() == Whole(active={"w1": ["b"]}, workers=["w1"], missing=1)


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_a_waiting_id_without_a_body_is_counted_once(queue: Queue) -> None:
    queue.enqueue(A, B, C)
    worker = queue.register()
    queue.hand_back(worker, *queue.claim(worker))
    _lose_body(queue, "a", "c")
    assert ids(queue.claim(worker)) == ["b"]
    assert queue.claim(worker) == []
    assert _mended(queue, "a", "c") == Whole(active={"w1": ["b"]}, workers=["w1"], missing=2)


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_a_held_id_without_a_body_is_counted(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.claim(worker)
    _lose_body(queue, "a")
    assert ids(queue.held(worker).jobs) == ["b"]
    assert _mended(queue, "a") == Whole(active={"w1": ["b"]}, workers=["w1"], missing=1)


@pytest.mark.exact_answers("a copy tells what it did itself")
def test_a_reclaimed_id_without_a_body_is_counted(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.claim(worker)
    _lose_body(queue, "a")
    assert queue.reclaim(worker).moved == 1
    assert _mended(queue, "a") == Whole(waiting=["b"], missing=1)


@pytest.mark.exact_answers("a copy tells what it did itself")
@pytest.mark.parametrize("decision", STAYS, ids=repr)
def test_a_settled_id_without_a_body_is_counted(queue: Queue, decision: Decision) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    first, second = queue.claim(worker)
    _lose_body(queue, "a")
    queue.decide(worker, first, decision)
    queue.ack(worker, second)
    assert ids(queue.claim(worker)) == []
    lost = ["a"] if decision == HandBack() else []
    assert _mended(queue, *lost) == Whole(completed=["b"], workers=["w1"], missing=1)


def test_an_acknowledged_job_may_have_lost_its_body(queue: Queue) -> None:
    queue.enqueue(A)
    worker = queue.register()
    [job] = queue.claim(worker)
    _lose_body(queue, "a")
    assert queue.ack(worker, job).done == 1
    assert queue.whole() == Whole(completed=["a"], workers=["w1"])


def test_a_lost_body_among_many_does_not_hide_the_rest(queue: Queue) -> None:
    queue.enqueue(*many(20))
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker)
    _lose_body(queue, *ids(many(20))[:19])
    assert ids(queue.claim(queue.register(), limit=1)) == ["j0019"]
    assert queue.counts().missing == 19


def test_a_group_that_somebody_destroyed_is_made_again_from_the_beginning(queue: Queue) -> None:
    if queue.engine.name == "lists":
        return
    queue.enqueue(A, B)
    worker = queue.register()
    [before] = queue.claim(worker, limit=1)
    queue.raw.xgroup_destroy(queue.keys.stream(0), "workers")
    after = queue.claim(worker)
    assert ids(after) == ["a", "b"]  # at least once
    assert after[0].token > before.token
    assert queue.ack(worker, *after).done == 2
    assert queue.whole() == Whole(completed=["a", "b"], workers=["w1"])


VERBS: dict[str, Callable[[Queue], object]] = {
    "open": lambda queue: queue.open(),
    "enqueue": lambda queue: queue.enqueue(A),
    "register": lambda queue: queue.register(),
    "claim": lambda queue: queue.claim("w1"),
    "held": lambda queue: queue.held("w1"),
    "settle": lambda queue: queue.settle("w1"),
    "tick": lambda queue: queue.tick("w1"),
    "reclaim": lambda queue: queue.reclaim("w1"),
    "cancel": lambda queue: queue.cancel("a"),
    "remove": lambda queue: queue.remove("a"),
    "replay": lambda queue: queue.replay("a"),
    "pause": lambda queue: queue.pause(),
    "resume": lambda queue: queue.resume(),
    "purge": lambda queue: queue.purge(State.WAITING),
    "counts": lambda queue: queue.counts(),
    "peek": lambda queue: queue.peek(State.WAITING),
    "job": lambda queue: queue.job("a"),
    "workers": lambda queue: queue.workers(),
    "follow": lambda queue: queue.follow("a"),
    "statistics": lambda queue: queue.statistics(),
    "verify": lambda queue: queue.verify(),
    "repair": lambda queue: queue.repair("job:a"),
    "turn": lambda queue: queue.do(queue.engine.turn(every_ms=1)),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_queue_of_the_other_engine_is_not_touched(queue: Queue, verb: str) -> None:
    queue.enqueue(A)
    before = queue.dump()
    other = make("streams" if queue.engine.name == "lists" else "lists", queue.keys)
    mine, queue.engine = queue.engine, other
    with pytest.raises(WrongEngine, match=mine.name):
        VERBS[verb](queue)
    queue.engine = mine
    assert queue.dump() == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_queue_of_a_newer_release_is_not_touched(queue: Queue, verb: str) -> None:
    queue.enqueue(A)
    queue.raw.hset(queue.keys.meta, "version", 2)
    before = queue.dump()
    with pytest.raises(NewerData):
        VERBS[verb](queue)
    assert queue.dump() == before


@pytest.mark.parametrize("by", ["open", "enqueue", "register"])
def test_a_queue_is_its_engines_from_the_first_use(queue: Queue, by: str) -> None:
    VERBS[by](queue)
    assert queue.field("meta", "engine") == queue.engine.name.encode()
    assert queue.field("meta", "version") == b"1"


@pytest.mark.parametrize("verb", VERBS)
def test_a_meta_key_of_the_wrong_type_is_an_error(queue: Queue, verb: str) -> None:
    queue.raw.set(queue.keys.meta, "mine")
    before = queue.dump()
    with pytest.raises(WrongType):
        VERBS[verb](queue)
    assert queue.dump() == before


@pytest.mark.parametrize("key", ["scheduled", "ids", "waiting"])
def test_an_enqueue_into_a_key_of_the_wrong_type_stores_nothing(queue: Queue, key: str) -> None:
    queue.open()
    if key == "waiting":
        name = queue.keys.waiting(0) if queue.engine.name == "lists" else queue.keys.stream(0)
    else:
        name = queue.keys(key)
    queue.raw.set(name, "mine")
    before = queue.dump()
    with pytest.raises(WrongType):
        queue.enqueue(later(A, 5), B, D.__class__("own", own_id=True))
    assert queue.dump() == before
    queue.raw.delete(name)
    queue.enqueue(B)
    assert queue.whole() == Whole(waiting=["b"])


@pytest.mark.parametrize("key", ["lanes", "index", "waiting"])
@pytest.mark.parametrize("made_by_us", [False, True])
def test_a_plain_enqueue_into_a_key_of_the_wrong_type_stores_nothing(
    queue: Queue, key: str, *, made_by_us: bool
) -> None:
    if key == "index" and queue.engine.name == "lists":
        pytest.skip("lists have no index")
    queue.enqueue(B)  # now the queue has its priorities, its lanes and their time
    if key == "waiting":
        name = queue.keys.waiting(0) if queue.engine.name == "lists" else queue.keys.stream(0)
    else:
        name = queue.keys(key)
    queue.raw.delete(name)
    queue.raw.set(name, "mine")
    before = queue.dump()
    job = replace(C, id=made_at(queue.now_ms, 1)) if made_by_us else C
    with pytest.raises(WrongType):
        queue.enqueue(job)
    assert queue.dump() == before


def test_a_register_where_workers_have_the_wrong_type_stores_nothing(queue: Queue) -> None:
    queue.open()
    queue.raw.set(queue.keys("workers"), "mine")
    before = queue.dump()
    with pytest.raises(WrongType):
        queue.register()
    assert queue.dump() == before


@pytest.mark.parametrize("key", ["scheduled", "waiting"])
def test_a_claim_from_a_key_of_the_wrong_type_is_an_error_until_it_is_mended(queue: Queue, key: str) -> None:
    worker = queue.register()
    if key == "waiting":
        name = queue.keys.waiting(0) if queue.engine.name == "lists" else queue.keys.stream(0)
    else:
        name = queue.keys(key)
    queue.raw.set(name, "mine")
    with pytest.raises(WrongType):
        queue.claim(worker)
    queue.raw.delete(name)
    queue.enqueue(B)
    assert ids(queue.claim(worker)) == ["b"]
    assert queue.whole() == Whole(active={"w1": ["b"]}, workers=["w1"])
