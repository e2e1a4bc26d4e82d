"""What is known of ended jobs: of ids that were made together one field of the hash tells."""

from itertools import count

import pytest

from chaos.arena import told_by
from homing.ids import Ids
from homing.job import Cancelled, NewJob, State
from tests.conformance.damage import lists_only
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import A, B, awaited, chosen, made_at

#: As many as a field takes before it is full, and more than one settle.
MANY = 400


def alike(numbers: range, head: str = "00000000") -> list[NewJob]:
    """Jobs whose ids begin alike. Each of them ends as the next begins: read across borders they are other ids."""
    return [NewJob(f"{head}{number:013}", "send", b"[[],{}]") for number in numbers]


def ended(queue: Queue, *batches: list[NewJob]) -> list[str]:
    """Have jobs end, each batch in one settle and a millisecond of its own; their ids."""
    worker = queue.register()
    for batch in batches:
        queue.enqueue(*batch)
        queue.ack(worker, *queue.claim(worker, limit=len(batch)))
        queue.now_ms += 1
    queue.reclaim(worker)
    return [job.id for batch in batches for job in batch]


def fields(queue: Queue, name: str = "finished") -> dict[bytes, bytes]:
    """What is kept of facts, but their number."""
    found: dict[bytes, bytes] = queue.raw.hgetall(queue.keys(name))
    return {field: fact for field, fact in found.items() if field != b"\n"}


def test_ends_of_ids_that_begin_alike_share_a_field(queue: Queue) -> None:
    ids = ended(queue, alike(range(1, 10)), alike(range(10, 15)))
    assert fields(queue).keys() == {b"00000000\n"}
    assert queue.whole() == Whole(completed=ids)
    found = [queue.record(one) for one in ids]
    assert [one.ended_ms for one in found] == [queue.start_ms] * 9 + [queue.start_ms + 1] * 5
    assert [(one.state, one.returned, one.result) for one in found] == [(State.COMPLETED, False, None)] * 14


def test_an_id_is_not_found_across_the_border_of_two(queue: Queue) -> None:
    [first, second, *_] = ended(queue, alike(range(1, 11)))
    text = fields(queue)[b"00000000\n"].decode()
    for offset in range(1, len(first)):
        across = (first + second)[offset : offset + len(first)]
        assert across in text
        assert (queue.job(across) is None) == (across not in {first, second} and int(across) > 10)
    assert queue.job("0" * 20 + "a") is None


def test_few_and_other_ids_have_fields_of_their_own(queue: Queue) -> None:
    few, longer = alike(range(3), "11111111"), [NewJob(f"x{job.id}", "", b"1") for job in alike(range(5))]
    ids = ended(queue, [*few, *longer, A], [B])
    assert sorted(fields(queue)) == sorted(one.encode() for one in ids)
    assert queue.whole() == Whole(completed=sorted(ids))


def test_ids_that_take_turns_share_fields_too(queue: Queue) -> None:
    pairs = zip(alike(range(10)), alike(range(10), "11111111"), strict=True)
    ids = ended(queue, [job for pair in pairs for job in pair])
    assert fields(queue).keys() == {b"00000000\n", b"11111111\n"}
    assert queue.whole() == Whole(completed=sorted(ids))


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize(
    ("step_ms", "queues", "letters"),
    [(0.001, 1, 8), (0.001, 8, 7), (0.5, 1, 6), (1, 10, 6), (20, 1, 5), (1_000, 1, 5), (2_000, 1, 0)],
)
def test_ids_made_further_apart_share_fewer_letters(
    queue: Queue, step_ms: float, queues: int, letters: int
) -> None:
    """Four or more to a field on the average, whatever the rate at which jobs come in, and for how many queues."""
    ids = Ids(count(1_764_000_000_000_000_000, int(step_ms * 1e6)).__next__)
    made = [NewJob(ids.new(), "send", b"[[],{}]") for _ in range(60 * queues)]
    jobs = made[::queues]
    assert ended(queue, jobs[:30], jobs[30:]) == [job.id for job in jobs]
    shared = [field for field in fields(queue) if field.endswith(b"\n")]
    assert {len(field) for field in shared} == ({letters + 1} if letters else set())
    assert queue.whole() == Whole(completed=[job.id for job in jobs])
    removed = [job.id for job in jobs[::2]]
    assert [queue.remove(one) for one in removed] == [State.COMPLETED] * 30
    assert [queue.record(job.id).ended_ms for job in jobs[1::2]] == [queue.start_ms] * 15 + [
        queue.start_ms + 1
    ] * 15
    assert [queue.job(one) for one in removed] == [None] * 30
    assert queue.raw.hget(queue.keys("finished"), "\n") == b"30"


def test_ids_of_two_producers_whose_clocks_differ_share_fields_too(queue: Queue) -> None:
    """They end in turns, and each of the two has its own letters."""
    early, late = ([made_at(queue.now_ms + ms, number) for number in range(20)] for ms in (0, 100))
    ids = [job_id for pair in zip(early, late, strict=True) for job_id in pair]
    ended(queue, [NewJob(job_id, "send", b"[[],{}]") for job_id in ids])
    assert fields(queue).keys() == {one[0][:8].encode() + b"\n" for one in (early, late)}
    assert queue.whole() == Whole(completed=sorted(ids))


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_an_id_that_ended_twice_in_one_company_can_be_removed(queue: Queue) -> None:
    [first, *others] = ended(queue, alike(range(5)), alike(range(5)))[:5]
    assert queue.remove(first) is State.COMPLETED
    assert queue.job(first) is None
    assert queue.raw.hget(queue.keys("finished"), "\n") == b"8"
    assert [queue.record(one).ended_ms for one in others] == [queue.start_ms + 1] * 4


def test_a_page_of_shared_facts_is_no_longer_than_asked(queue: Queue) -> None:
    ids = Ids(count(1_764_000_000_000_000_000, 300_000).__next__)
    jobs = [NewJob(ids.new(), "send", b"[[],{}]") for _ in range(2_000)]
    ended(queue, *(jobs[at : at + 400] for at in range(0, 2_000, 400)))
    assert len(fields(queue)) < 50
    found: list[str] = []
    page = queue.do(queue.engine.peek(State.COMPLETED, limit=50))
    while True:
        assert len(page.jobs) <= 50
        found += [job.id for job in page.jobs]
        if not page.cursor:
            break
        page = queue.do(queue.engine.peek(State.COMPLETED, limit=50, cursor=page.cursor))
    assert sorted(found) == [job.id for job in jobs]


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize("first", ["near", "far"])
def test_of_the_fields_that_an_id_stands_in_the_later_end_tells(queue: Queue, first: str) -> None:
    """Somebody gives an id out again, and it ends in other company than before."""
    near, far = alike(range(5)), [alike(range(1), f"0000000{number}")[0] for number in range(8)]
    [again, *_] = ended(queue, *((near, far) if first == "near" else (far, near)))
    assert fields(queue).keys() == {b"00000000\n", b"0000000\n"}
    assert queue.record(again).ended_ms == queue.start_ms + 1
    assert queue.remove(again) is State.COMPLETED
    assert queue.job(again) is None
    assert queue.raw.hget(queue.keys("finished"), "\n") == b"11"


def test_a_field_that_many_share_is_full_one_day(queue: Queue) -> None:
    """Ids of another program may all begin alike."""
    ids = ended(queue, *(alike(range(at, at + 50)) for at in range(0, MANY, 50)))
    shared = fields(queue)[b"00000000\n"]
    assert 4_096 < len(shared) < 4_096 + 50 * 22
    assert len(fields(queue)) == 1 + MANY - shared.decode().count(":") * 50
    assert queue.whole() == Whole(completed=ids)
    assert None not in [queue.job(one) for one in ids]


def test_only_plain_ends_share_a_field(queue: Queue) -> None:
    worker = queue.register()
    queue.enqueue(*alike(range(10)), *(awaited(job) for job in alike(range(10, 15))))
    jobs = queue.claim(worker)
    queue.ack(worker, *jobs[:4], result=b"1")
    queue.decide(worker, jobs[4], Cancelled())
    queue.ack(worker, *jobs[5:])
    ids = [job.id for job in jobs]
    assert queue.whole() == Whole(completed=[*ids[:4], *ids[5:]], cancelled=[ids[4]], workers=["w1"])
    assert [queue.record(one).returned for one in ids] == [True] * 4 + [False] * 11
    assert fields(queue).keys() == {one.encode() for one in ids[:5]} | {b"00000000\n"}


def test_the_chaos_harness_reads_facts_by_itself(queue: Queue) -> None:
    completed = ended(queue, alike(range(10)), [A], alike(range(10, 15)), alike(range(5), "11111111"))
    queue.enqueue(B)
    queue.cancel("b")
    stored = {
        field.decode(): fact.decode() for field, fact in queue.raw.hgetall(queue.keys("finished")).items()
    }
    assert told_by(stored) == {**dict.fromkeys(completed, "completed"), "b": "cancelled"}


def test_the_bound_is_one_on_facts_not_on_fields(queue: Queue) -> None:
    queue.open(facts_max=10)
    ids = ended(queue, alike(range(6)), alike(range(6, 12)), alike(range(12, 18)))
    assert (len(fields(queue)), len(fields(queue, "finished_old"))) == (1, 1)
    assert queue.whole() == Whole(completed=ids)
    more = ended(queue, [A, *alike(range(18, 22))])
    assert queue.whole() == Whole(completed=sorted([*ids[12:], *more]))


def test_a_single_end_counts_beside_shared_ones(queue: Queue) -> None:
    queue.open(facts_max=6)
    ids = ended(queue, alike(range(5)), [A])
    assert (fields(queue), len(fields(queue, "finished_old"))) == ({}, 2)
    assert queue.whole() == Whole(completed=ids)


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize("name", ["finished", "finished_old"])
def test_one_of_many_facts_can_be_removed(queue: Queue, name: str) -> None:
    queue.open(facts_max=100 if name == "finished" else 11)
    first, second, third, *others = ended(queue, alike(range(1, 8)), alike(range(8, 12)))
    assert fields(queue, name).keys() == {b"00000000\n"}
    assert queue.remove(second) is State.COMPLETED
    assert queue.whole() == Whole(completed=[first, third, *others])
    assert (queue.job(second), queue.remove(second)) == (None, None)
    for one in (others[-1], first, *others[-4:-1]):
        assert queue.remove(one) is State.COMPLETED
    assert queue.whole() == Whole(completed=[third, *others[:-4]])
    assert [queue.record(one).ended_ms for one in others[:-4]] == [queue.start_ms] * len(others[:-4])
    for one in (third, *others[:-4]):
        queue.remove(one)
    assert queue.whole() == Whole()
    assert fields(queue, name) == {}


@pytest.mark.parametrize("facts_max", [100, 5])
def test_an_id_that_shared_a_field_and_is_chosen_again_ends_once(queue: Queue, facts_max: int) -> None:
    """Somebody gives a new job the id of an ended one."""
    queue.open(facts_max=facts_max)
    ids = ended(queue, alike(range(5)))
    queue.enqueue(chosen(NewJob(ids[2], "send", b"[[],{}]")))
    worker = queue.register()
    queue.ack(worker, *queue.claim(worker))
    assert queue.whole() == Whole(completed=ids, workers=["w2"], ids=1)
    assert queue.record(ids[2]).ended_ms == queue.start_ms + 1


def test_a_chosen_id_shares_no_field(queue: Queue) -> None:
    ids = ended(queue, [chosen(alike(range(1))[0]), *alike(range(1, 6))])
    assert fields(queue).keys() == {ids[0].encode(), b"00000000\n"}
    assert queue.whole() == Whole(completed=ids, ids=1)


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_an_id_spelt_like_a_shared_field_leaves_no_fact(queue: Queue) -> None:
    """It is another program's: on streams such an id is none."""
    lists_only(queue)
    spelt = ["\n", "00000\n", "00000000\n"]
    longer = "000000000\n"
    ids = ended(queue, alike(range(5)), [NewJob(one, "", b"1") for one in (*spelt, longer)], [A])
    assert queue.whole() == Whole(completed=sorted([*ids[:5], longer, "a"]))
    assert [(queue.job(one), queue.remove(one)) for one in spelt] == [(None, None)] * 3
    assert queue.whole() == Whole(completed=sorted([*ids[:5], longer, "a"]))
    assert queue.remove(longer) is State.COMPLETED


@pytest.mark.parametrize("limit", [1, 40, 1_000])
def test_shared_facts_are_paged_over_both_generations(queue: Queue, limit: int) -> None:
    queue.open(facts_max=MANY // 2)
    ids = ended(queue, *(alike(range(at, at + 16), f"{at:08}") for at in range(0, MANY, 16)))
    assert sorted(job.id for job in queue.peek(State.COMPLETED, limit=limit)) == ids
    assert queue.peek(State.CANCELLED, limit=limit) == []


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
@pytest.mark.parametrize(
    "written", [b"", b"x", b"1 2", b"5 9:0", b"1 99999999999:", b"1 0:1 0:", b"completed 7"]
)
def test_a_shared_field_that_was_spoilt_tells_nothing(queue: Queue, written: bytes) -> None:
    ids = ended(queue, alike(range(5)), alike(range(4), "11111111"))
    queue.raw.hset(queue.keys("finished"), "00000000\n", written)
    assert [queue.job(one) for one in ids[:5]] == [None] * 5
    assert queue.remove(ids[0]) is None
    assert sorted(job.id for job in queue.peek(State.COMPLETED)) == ids[5:]
    assert ended(queue, alike(range(5, 10)), [A])
    assert queue.record("a").state is State.COMPLETED
