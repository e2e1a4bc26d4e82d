"""`repair` mends what `verify` finds, and never deletes a job that has a body."""

import pytest

from homing.errors import ServerError
from homing.job import State
from tests.conformance.damage import lists_only, lose, mends, put_body, ref_of, spoil, streams_only
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import HOUR_MS, A, B, C, D, at_priority, awaited, chosen, ids, later


@pytest.mark.parametrize("place", ["scheduled", "dead"])
def test_a_waiting_job_that_is_also_elsewhere_waits(queue: Queue, place: str) -> None:
    queue.enqueue(A, B)
    queue.raw.zadd(queue.keys(place), {"a": 1})
    mends(queue, Whole(waiting=["a", "b"]), "job a ", place)
    assert ids(queue.claim(queue.register())) == ["a", "b"]


@pytest.mark.parametrize("place", ["scheduled", "dead"])
def test_an_active_job_that_is_also_elsewhere_stays_with_its_worker(queue: Queue, place: str) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    jobs = queue.claim(worker)
    queue.raw.zadd(queue.keys(place), {"a": 1})
    mends(queue, Whole(active={"w1": ["a", "b"]}, workers=["w1"]), "job a ", place)
    assert queue.ack(worker, *jobs).done == 2


@pytest.mark.parametrize(
    ("said", "where"), [("scheduled", "scheduled"), ("dead", "dead"), ("waiting", "scheduled")]
)
def test_a_job_that_is_scheduled_and_dead_is_what_it_says_or_runs(
    queue: Queue, said: str, where: str
) -> None:
    queue.enqueue(later(A, 5_000), later(B, 6_000))
    queue.raw.zadd(queue.keys("dead"), {"a": 1})
    queue.raw.hset(queue.keys.job("a"), "state", said)
    if said == "dead":
        queue.raw.hset(queue.keys.job("a"), "dead_ms", 1)
    whole = Whole(scheduled=["a", "b"]) if where == "scheduled" else Whole(scheduled=["b"], dead=["a"])
    mends(queue, whole, "job a ", ":dead", ":scheduled")
    assert queue.record("a").payload == A.payload


@pytest.mark.parametrize("place", ["scheduled", "dead"])
def test_a_job_says_what_its_only_place_says(queue: Queue, place: str) -> None:
    queue.enqueue(later(A, 5_000), later(B, 6_000))
    if place == "dead":
        queue.raw.zrem(queue.keys("scheduled"), "a")
        queue.raw.zadd(queue.keys("dead"), {"a": 7})
    else:
        queue.raw.hset(queue.keys.job("a"), "state", "active")
    whole = Whole(scheduled=["a", "b"]) if place == "scheduled" else Whole(scheduled=["b"], dead=["a"])
    mends(queue, whole, "job a ", "says that it is")
    assert queue.raw.hget(queue.keys.job("a"), "state") == place.encode()


@pytest.mark.parametrize("place", ["scheduled", "dead"])
def test_an_id_without_a_body_is_dropped_and_counted(queue: Queue, place: str) -> None:
    queue.enqueue(later(A, 5_000), chosen(B))
    queue.raw.zadd(queue.keys(place), {"ghost": 1})
    queue.raw.zadd(queue.keys("ids"), {"ghost": "+inf"})
    queue.raw.hset(queue.keys("suspects"), "ghost", "1 0")
    queue.raw.hset(queue.keys("replies"), "ghost", "p")
    mends(queue, Whole(waiting=["b"], scheduled=["a"], ids=2, missing=1), "job ghost ", "no body")
    queue.tick(after_ms=HOUR_MS)
    assert queue.counts().ids == 1


def test_with_an_id_goes_at_once_what_stood_beside_it(queue: Queue) -> None:
    queue.open()
    queue.raw.zadd(queue.keys("scheduled"), {"ghost": 1})
    queue.raw.hset(queue.keys("suspects"), "ghost", "1 0")
    queue.raw.hset(queue.keys("replies"), "ghost", "p")
    assert queue.repair("job:ghost").outcome == "mended"
    assert queue.whole() == Whole(missing=1)


def test_a_waiting_id_without_a_body_is_dropped_and_counted_once(queue: Queue) -> None:
    queue.enqueue(chosen(awaited(A)), B, at_priority(C, 4))
    lose(queue, "a", "c")
    mends(queue, Whole(waiting=["b"], ids=1, missing=2), "job a ")
    assert ids(queue.claim(queue.register())) == ["b"]
    assert queue.counts().missing == 2


def test_an_id_that_was_handed_back_and_lost_its_body_is_counted_once(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    queue.hand_back(worker, *queue.claim(worker))
    lose(queue, "a")
    mends(
        queue,
        Whole(waiting=["b"], workers=["w1"], missing=1),
        "no body" if queue.engine.name == "lists" else "a",
    )


def test_a_body_that_a_worker_holds_and_that_is_gone_is_left_to_it(queue: Queue) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    jobs = queue.claim(worker)
    lose(queue, "a")
    found = queue.problems()
    assert found
    assert {queue.repair(problem.subject).outcome for problem in found if problem.subject != "counts:"} == {
        "left"
    }
    assert queue.ack(worker, *jobs).done == 2
    assert queue.whole() == Whole(completed=["a", "b"], workers=["w1"])


@pytest.mark.parametrize("state", [State.WAITING, State.ACTIVE])
def test_a_body_in_no_place_waits_again(queue: Queue, state: State) -> None:
    queue.enqueue(A, B)
    worker = queue.register()
    put_body(queue, "lost", str(state), worker=worker, task="send")
    queue.rung()
    waiting = ["lost", "a", "b"] if queue.engine.name == "lists" else ["a", "b", "lost"]
    mends(queue, Whole(waiting=waiting, workers=["w1"]), "job lost ", "not there")
    assert queue.rung()
    [job] = [job for job in queue.claim(worker) if job.id == "lost"]
    assert (job.payload, job.attempt, job.task) == (b"1", 2, "send")


@pytest.mark.parametrize("due", [True, False])
def test_a_scheduled_body_in_no_place_is_scheduled_again(queue: Queue, due: bool) -> None:
    queue.enqueue(A)
    due_ms = queue.now_ms + 5_000 if due else queue.now_ms
    put_body(queue, "lost", "scheduled", **({"due_ms": due_ms} if due else {}))
    queue.rung()
    mends(queue, Whole(waiting=["a"], scheduled=["lost"]), "job lost ", "not there")
    assert queue.rung()
    assert queue.raw.zscore(queue.keys("scheduled"), "lost") == due_ms


@pytest.mark.parametrize("died", [True, False])
def test_a_dead_body_in_no_place_is_a_dead_letter_again(queue: Queue, died: bool) -> None:
    queue.enqueue(A)
    dead_ms = queue.now_ms - 5_000 if died else queue.now_ms
    put_body(queue, "lost", "dead", error="{}", **({"dead_ms": dead_ms} if died else {}))
    mends(queue, Whole(waiting=["a"], dead=["lost"]), "job lost ", "not there")
    assert queue.raw.zscore(queue.keys("dead"), "lost") == dead_ms


def test_a_suspect_in_no_place_waits_apart(queue: Queue) -> None:
    lists_only(queue)
    queue.enqueue(A)
    put_body(queue, "lost", "active")
    queue.raw.hset(queue.keys("suspects"), "lost", "1 1")
    mends(queue, Whole(waiting=["lost", "a"], suspects=1), "job lost ", "not there")
    assert queue.raw.lrange(f"{queue.keys.base}:alone", 0, -1) == [b"lost"]


def test_a_body_without_a_state_is_another_programs_and_left(queue: Queue) -> None:
    queue.enqueue(A)
    queue.raw.hset(queue.keys.job("coming"), "payload", "1")
    assert queue.problems() == []
    assert queue.repair("job:coming").outcome == "fine"
    assert queue.raw.exists(queue.keys.job("coming")) == 1


@pytest.mark.parametrize("place", ["scheduled", "dead", "nowhere"])
def test_a_body_that_is_no_hash_is_buried_raw(queue: Queue, place: str) -> None:
    queue.enqueue(later(A, 5_000), later(B, 5_000))
    spoil(queue, "a")
    if place != "scheduled":
        queue.raw.zrem(queue.keys("scheduled"), "a")
    if place == "dead":
        queue.raw.zadd(queue.keys("dead"), {"a": 1})
    mends(queue, Whole(scheduled=["b"], dead=["a"]), "job a ", "no hash")
    assert queue.raw.get(f"{queue.keys.base}:raw:a") == b"nonsense"


def test_what_was_kept_raw_before_is_not_overwritten(queue: Queue) -> None:
    queue.enqueue(later(A, 5_000))
    spoil(queue, "a")
    queue.mend()
    queue.raw.set(queue.keys.job("a"), "once more")
    assert queue.repair("job:a").outcome == "left"
    assert queue.raw.get(f"{queue.keys.base}:raw:a") == b"nonsense"
    assert queue.raw.get(queue.keys.job("a")) == b"once more"


def test_what_stands_beside_no_job_is_dropped(queue: Queue) -> None:
    queue.enqueue(chosen(awaited(A)))
    queue.raw.hset(queue.keys("suspects"), mapping={"ghost": "1 1", "a": "1 0"})
    queue.raw.hset(queue.keys("replies"), "ghost", "p")
    queue.raw.zadd(queue.keys("ids"), {"ghost": "+inf"})
    mends(queue, Whole(waiting=["a"], suspects=1, ids=2, replies=1), "ghost")
    queue.tick(after_ms=HOUR_MS)
    assert queue.counts().ids == 1


def test_an_id_of_an_ended_job_is_taken_for_id_ttl(queue: Queue) -> None:
    queue.open(id_ttl_ms=7_000)
    queue.enqueue(A)
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    queue.raw.zadd(queue.keys("ids"), {"a": "+inf"})
    mends(queue, Whole(completed=["a"], workers=["w1"], ids=1), "id a ")
    assert queue.raw.zscore(queue.keys("ids"), "a") == queue.now_ms + 7_000


def test_what_a_worker_said_of_itself_goes_with_it(queue: Queue) -> None:
    queue.enqueue(A)
    queue.register()
    queue.raw.hset(f"{queue.keys.base}:worker:gone", "info", "{}")
    mends(queue, Whole(waiting=["a"], workers=["w1"]), "worker:gone")


@pytest.mark.parametrize("subject", ["job:none", "worker:none", "suspects:none", "ids:none", "replies:none", "active:x", "entry:0/1-1", "consumer:0/x", "group:0", "counts:"])  # fmt: skip
def test_where_nothing_is_nothing_is_mended(queue: Queue, subject: str) -> None:
    mine = {"lists": {"active"}, "streams": {"entry", "consumer", "group", "counts"}}
    other = mine["streams" if queue.engine.name == "lists" else "lists"]
    queue.enqueue(A, later(B, 5), C, D)
    before = queue.dump()
    if subject.split(":", maxsplit=1)[0] in other:
        with pytest.raises(ServerError, match="nothing that can be mended"):
            queue.repair(subject)
    else:
        assert queue.repair(subject).outcome == "fine"
    assert queue.dump() == before


def test_a_hash_beside_a_stream_job_goes(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A, B)
    put_body(queue, "a", "dead")
    queue.raw.zadd(queue.keys("dead"), {"a": 1})
    mends(queue, Whole(waiting=["a", "b"]), "job a ", "job:a")


def test_what_is_no_hash_beside_a_stream_job_moves_aside(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A, B)
    spoil(queue, "a")
    mends(queue, Whole(waiting=["a", "b"]), "job a ", "no hash")
    assert queue.raw.get(f"{queue.keys.base}:raw:a") == b"nonsense"
    spoil(queue, "a")
    assert queue.repair("job:a").outcome == "left"


def test_a_copy_of_an_entry_is_dropped_and_counted(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A, B)
    queue.raw.xadd(queue.keys.stream(0), {"id": "a", "payload": "1"})
    mends(queue, Whole(waiting=["a", "b"], taken=1), "job a ", "index")
    assert queue.record("a").payload == A.payload


def test_an_entry_with_the_id_of_a_job_in_a_hash_is_dropped_and_counted(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(later(A, 5_000), B)
    queue.raw.xadd(queue.keys.stream(0), {"id": "a", "payload": "1"})
    mends(queue, Whole(waiting=["b"], scheduled=["a"], taken=1), "job a ", "job:a")
    assert queue.record("a").payload == A.payload


def test_an_index_that_names_another_entry_is_put_right(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A, B)
    queue.claim(queue.register(), limit=1)
    right = queue.field("index", "a")
    queue.raw.hset(queue.keys("index"), "a", queue.field("index", "b"))
    mends(queue, Whole(waiting=["b"], active={"w1": ["a"]}, workers=["w1"]), "job a ", "index")
    assert queue.field("index", "a") == right


@pytest.mark.parametrize("index", ["nothing", "an entry that is not there"])
def test_a_held_entry_that_the_index_does_not_name_is_entered(queue: Queue, index: str) -> None:
    streams_only(queue)
    queue.enqueue(A, B)
    worker = queue.register()
    jobs = queue.claim(worker)
    if index == "nothing":
        queue.raw.hdel(queue.keys("index"), "a")
    else:
        queue.raw.hset(queue.keys("index"), "a", "0/1-1")
    mends(queue, Whole(active={"w1": ["a", "b"]}, workers=["w1"]), "job a ", "index")
    assert queue.ack(worker, *jobs).done == 2


def test_an_index_that_names_nothing_beside_a_hash_is_dropped(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(later(A, 5_000), B)
    queue.raw.hset(queue.keys("index"), "a", "0/1-1")
    mends(queue, Whole(waiting=["b"], scheduled=["a"]), "job a ", "index")


def test_more_in_the_index_than_in_the_streams_is_mended_one_by_one(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A)
    for number in range(3):
        queue.raw.hset(queue.keys("index"), f"ghost{number}", "no entry" if number else "0/1-1")
    assert queue.repair("counts:").outcome == "left"
    mends(queue, Whole(waiting=["a"], missing=3), "the index has 4 jobs, the streams 1")


def test_a_group_that_was_destroyed_is_made_again_from_its_beginning(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(A, B)
    worker = queue.register()
    assert queue.problems() == []  # nobody claimed yet: it never had one
    queue.claim(worker, limit=1)
    stream, _ = ref_of(queue, "a")
    queue.raw.xgroup_destroy(stream, "workers")
    queue.rung()
    mends(queue, Whole(waiting=["a", "b"], workers=["w1"]), "group", "gone")
    assert queue.rung()
    assert ids(queue.claim(worker)) == ["a", "b"]


def test_what_is_no_hash_leaves_the_index_too(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(later(A, 5_000), B)
    spoil(queue, "a")
    queue.raw.hset(queue.keys("index"), "a", "0/1-1")
    assert queue.repair("job:a").outcome == "mended"
    assert queue.whole() == Whole(waiting=["b"], dead=["a"])


def test_an_index_that_names_anothers_entry_is_dropped_before_its_own_is_known(queue: Queue) -> None:
    streams_only(queue)
    queue.enqueue(chosen(A), B)
    queue.raw.hset(queue.keys("index"), "a", queue.field("index", "b"))
    assert queue.repair("job:a").outcome == "mended"
    assert (queue.field("index", "a"), queue.counts().missing) == (None, 0)
    assert queue.repair("job:a").outcome == "fine"
    worker = queue.register()
    assert ids(queue.claim(worker)) == ["a", "b"]
    assert queue.whole() == Whole(active={"w1": ["a", "b"]}, workers=["w1"], ids=1)
