"""Statistics: what is counted, in which minute, and for how long it is kept."""

from homing.job import Ack, Again, Cancelled, Dead, Decision, HandBack
from tests.conformance.driver import Queue, Whole
from tests.conformance.jobs import ERROR, MINUTE_MS, A, B, C, chosen, many, settlement


def test_everything_that_happens_is_counted(queue: Queue) -> None:
    queue.enqueue(*many(8), chosen(A))
    queue.enqueue(chosen(A), lane="lane")
    worker, other = queue.register(), queue.register()
    jobs = queue.claim(worker, limit=8)
    queue.claim(other)
    decisions: list[Decision] = [Ack(), Ack(b"1"), Again(500, 1), Dead(ERROR, 1), HandBack(), Cancelled()]
    queue.settle(worker, *map(settlement, jobs, decisions))
    queue.ack(worker, jobs[0], jobs[1])
    queue.cancel("j0004")
    queue.reclaim(worker, "left")
    queue.replay("j0003")
    counted = {name: count for name, count in queue.statistics().items() if ":" not in name}
    assert counted == {
        "enqueued": 9,
        "acked": 2,
        "retried": 1,
        "buried": 1,
        "released": 1,
        "cancelled": 2,
        "reclaimed": 2,
        "refused": 2,
        "replayed": 1,
    }
    whole = queue.whole()
    assert (whole.refused, whole.completed, whole.cancelled) == (2, ["j0000", "j0001"], ["j0004", "j0005"])


def test_a_death_by_crashes_is_counted_as_buried(queue: Queue) -> None:
    queue.open(crash_max=1)
    queue.enqueue(A, B)
    worker = queue.register()
    queue.claim(worker)
    queue.reclaim(worker, "died", "a")
    statistics = queue.statistics()
    assert (statistics["buried"], statistics["reclaimed"]) == (1, 1)


def test_each_minute_has_its_own_statistics(queue: Queue) -> None:
    queue.enqueue(A)
    queue.enqueue(B, after_ms=MINUTE_MS - 1)
    queue.enqueue(C, after_ms=1)
    assert queue.statistics(queue.start_ms) == {"enqueued": 2}
    assert queue.statistics() == {"enqueued": 1}
    assert queue.statistics(queue.start_ms - 1) == {}
    assert queue.whole() == Whole(waiting=["a", "b", "c"])


def test_times_are_counted_in_buckets_of_powers_of_two(queue: Queue) -> None:
    times = [0, 1, 2, 3, 6, 7, 14, 15, 1_023, 60_000]
    queue.enqueue(*many(len(times)))
    worker = queue.register()
    jobs = queue.claim(worker)
    settlements = [
        settlement(job, Ack(), wait_ms=ms, run_ms=2 * ms) for job, ms in zip(jobs, times, strict=True)
    ]
    queue.settle(worker, *settlements)
    expected: dict[str, int] = {}
    for ms in times:
        for name in (f"wait:{(ms + 1).bit_length() - 1}", f"run:{(2 * ms + 1).bit_length() - 1}"):
            expected[name] = expected.get(name, 0) + 1
    assert {name: count for name, count in queue.statistics().items() if ":" in name} == expected


def test_each_outcome_of_a_run_tells_its_times(queue: Queue) -> None:
    decisions: list[Decision] = [Ack(), Again(1, 1), Dead(ERROR, 1), Cancelled(), HandBack()]
    queue.enqueue(*many(5))
    worker = queue.register()
    for job, decision in zip(queue.claim(worker), decisions, strict=True):
        queue.settle(worker, settlement(job, decision, wait_ms=3, run_ms=7))
    statistics = queue.statistics()
    assert (statistics["wait:2"], statistics["run:3"]) == (4, 4)


def test_statistics_are_kept_for_a_day(queue: Queue) -> None:
    queue.enqueue(A)
    [name] = [name for name in queue.names() if name.startswith("stats:")]
    assert queue.ttl_s(name) in range(86_395, 86_401)


def test_what_adds_nothing_is_not_counted(queue: Queue) -> None:
    queue.enqueue()
    worker = queue.register()
    queue.claim(worker)
    queue.tick(worker)
    queue.settle(worker)
    queue.replay("a")
    queue.reclaim(worker)
    assert queue.statistics() == {}
    assert [name for name in queue.names() if name.startswith("stats:")] == []
