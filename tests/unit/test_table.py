"""The table: how much a worker takes, in which order jobs start, what is handed back."""

from collections.abc import Mapping

import pytest

from homing.delivery.heart import boot_s
from homing.delivery.lease import Lease
from homing.engines import make
from homing.job import Claimed
from homing.keys import Keys
from homing.worker.table import HORIZON_S, PREFETCH_MAX, Entry, Kind, Pace, Table


class Heart:
    """Leases last until the time it is told."""

    def __init__(self) -> None:
        self.end_s = 1e12

    def lease_end_s(self, queue: str, worker: str) -> float:
        return self.end_s

    def leave(self, queue: str, worker: str) -> None: ...


@pytest.fixture
def heart() -> Heart:
    return Heart()


@pytest.fixture
def lease(heart: Heart) -> Lease:
    made = Lease("q", "w", make("lists", Keys("q")), 10_000, heart)  # type: ignore[arg-type]
    made.look()
    return made


def table(kinds: Mapping[str, set[Kind]] | None = None, backlog: int = 0) -> Table:
    return Table({"async": 4, "thread": 2, "process": 1}, kinds or {"q": {"async"}}, lambda: backlog)


def entry(
    lease: Lease, number: int, kind: Kind = "async", *, alone: bool = False, age_s: float = 0.0
) -> Entry:
    job = Claimed(f"job{number}", b"0", "task", b"[[],{}]", 0, b"", 0, alone=alone)
    return Entry(lease, job, None, kind, boot_s() - age_s)


def take(of: Table, kind: Kind = "async") -> Entry:
    """Start the next job, as the executor does."""
    found = of.next(kind, boot_s())
    assert found is not None
    found.slot = of.benches[kind].take(boot_s())
    of.running[found.slot] = found
    return found


def test_free_slots_are_room_and_buffered_jobs_take_it(lease: Lease) -> None:
    of = table()
    assert of.room("q") == 4
    for number in range(3):
        of.put(entry(lease, number))
    assert (of.room("q"), of.buffered) == (1, 3)
    take(of)
    of.put(entry(lease, 3))
    assert of.room("q") == 0


def test_nothing_is_taken_while_too_many_outcomes_wait_or_when_closed(lease: Lease) -> None:
    assert table(backlog=2_000).room("q") == 0
    of = table()
    of.closed = True
    assert of.room("q") == 0


def test_short_jobs_are_taken_ahead_and_long_ones_are_not() -> None:
    short, long = Pace(), Pace()
    for number in range(50):
        short.busy(number * 0.001)
        short.ended(0.001)
        short.idle(number * 0.001 + 0.001)
        long.busy(number * 1.0)
        long.ended(1.0)
        long.idle(number * 1.0 + 1.0)
    assert short.prefetch(0.05) == pytest.approx(HORIZON_S / 0.001, abs=2)
    assert long.prefetch(50.0) == 0
    quick = Pace()
    quick.busy(0.0)
    quick.ended(0.00001)
    quick.idle(0.00001)
    assert (quick.prefetch(0.1), Pace().prefetch(0.0)) == (PREFETCH_MAX, 0)


def test_as_many_are_taken_ahead_as_may_end_at_the_same_moment() -> None:
    wide = Pace(1_000)
    wide.busy(0.0)
    for _ in range(1_000):
        wide.ended(0.05)
    assert wide.prefetch(0.06) == 1_000


@pytest.mark.parametrize(
    ("buffered", "ran_s", "many"), [(100, 0.0001, True), (99, 0.0001, False), (100, 0.05, False)]
)
def test_many_end_in_a_moment_where_short_jobs_wait(
    lease: Lease, buffered: int, ran_s: float, many: bool
) -> None:
    of = table()
    pace = of.benches["async"].pace
    pace.busy(0.0)
    for _ in range(10):
        pace.ended(ran_s)
    pace.prefetch(10 * ran_s)
    for number in range(buffered):
        of.put(entry(lease, number))
    assert of.plenty() is many


@pytest.mark.parametrize(
    ("slots", "a_second", "held", "room", "wake_at"),
    [
        (4, 100_000, 0, 500, -1),  # at first, too, no more than a portion
        (4, 100_000, 504, 500, 252),  # 1,000 ahead and four to start: half of these have begun
        (4, 100_000, 505, 0, 504),  # room for 499
        (4, 100_000, 1_004, 0, 504),
        (4, 4_000, 0, 404, -1),
        (4, 4_000, 204, 200, 102),
        (4, 4_000, 205, 0, 204),
        (4_000, 100_000, 0, 4_000, -1),  # slots are filled at once
        (4_000, 100_000, 7_500, 500, 7_500 // 2),
        (4_000, 100_000, 7_501, 0, 7_500),
    ],
)
def test_a_buffer_is_filled_in_portions(
    lease: Lease, slots: int, a_second: int, held: int, room: int, wake_at: int
) -> None:
    """Of the `held` jobs that wait only `wake_at` still do when the claimer looks again."""
    of = Table({"async": slots}, {"q": {"async"}}, lambda: 0)
    pace = of.benches["async"].pace
    pace.busy(0.0)
    for _ in range(10):
        pace.ended(0.00001)
    pace.idle(10 / a_second)
    for number in range(held):
        of.put(entry(lease, number))
    assert of.room("q") == room
    of.benches["async"].look_again()
    assert of.benches["async"].wake_at == wake_at


def test_heavy_jobs_are_claimed_in_small_numbers(lease: Lease) -> None:
    of = Table({"async": 100}, {"q": {"async"}}, lambda: 0)
    heavy = entry(lease, 1)
    heavy.job.payload = b"x" * (1 << 20)
    of.weighed("q", [heavy.job])
    assert of.room("q") == 4
    of.weighed("q", [entry(lease, 2).job] * 10)
    assert of.room("q") == 8


def test_jobs_start_in_the_order_of_their_claims(lease: Lease) -> None:
    of = table()
    for number in range(3):
        of.put(entry(lease, number))
    assert [take(of).job.id for _ in range(3)] == ["job0", "job1", "job2"]
    assert of.next("async", boot_s()) is None


def test_nothing_starts_while_the_lease_is_in_doubt_and_it_keeps_its_place(
    lease: Lease, heart: Heart
) -> None:
    of = table()
    for number in range(2):
        of.put(entry(lease, number))
    heart.end_s = lease.end_s = boot_s() - 1
    assert (of.next("async", boot_s()), of.buffered) == (None, 2)
    heart.end_s = boot_s() + 10
    assert take(of).job.id == "job0"


def test_of_a_lost_lease_nothing_starts(lease: Lease) -> None:
    of = table()
    of.leases["q"] = lease
    dropped: list[int] = []
    lease.on_lost(lambda lost: dropped.append(of.drop(lost)))
    for number in range(2):
        of.put(entry(lease, number))
    lease.lose()
    assert (of.next("async", boot_s()), of.buffered, dropped) == (None, 0, [2])


def test_what_another_registration_waits_with_starts_once_when_one_is_found_lost(
    lease: Lease, heart: Heart
) -> None:
    of = table()
    other = Lease("q", "w2", lease.engine, 10_000, heart)  # type: ignore[arg-type]
    other.look()
    dropped: list[int] = []
    lease.on_lost(lambda lost: dropped.append(of.drop(lost)))
    for number, held in enumerate([lease, other, lease, other]):
        of.put(entry(held, number))
    heart.end_s = lease.end_s = 0.0  # over, and when it is asked for, lost
    assert [take(of).job.id for _ in range(2)] == ["job1", "job3"]
    assert (of.next("async", boot_s()), of.buffered, dropped) == (None, 0, [2])


def test_what_waited_too_long_goes_back_oldest_first_with_all_behind_it(lease: Lease) -> None:
    of = table()
    for number, age_s in enumerate([3.0, 2.0, 0.0]):
        of.put(entry(lease, number, age_s=age_s))
    assert [each.job.id for each in of.overdue(boot_s() - 1.0)] == ["job0", "job1", "job2"]
    assert of.overdue(boot_s() - 1.0) == []


def test_a_full_kind_at_the_head_stops_the_queue_and_slows_it_after_a_hand_back(lease: Lease) -> None:
    of = table({"q": {"async", "thread"}})
    for number in range(5):
        of.put(entry(lease, number, "thread", age_s=2.0))
    for _ in range(2):
        take(of, "thread")
    assert of.room("q") == 0
    of.overdue(boot_s() - 1.0)
    # Four async slots are free; the head of the queue is for threads, of which none is.
    assert of.room("q") == 0
    ended = next(iter(of.running.values()))
    del of.running[ended.slot]
    of.benches["thread"].free.append(ended.slot)
    assert of.room("q") == 1


def test_a_suspect_waits_until_nothing_else_is_here_and_nothing_is_taken_beside_it(lease: Lease) -> None:
    of = table()
    of.put(entry(lease, 1))
    first = take(of)
    of.put(entry(lease, 2, alone=True))
    assert (of.room("q"), of.next("async", boot_s()), of.any("async")) == (0, None, False)
    del of.running[first.slot]
    suspect = take(of)
    assert (suspect.job.id, of.next("async", boot_s()), of.room("q")) == ("job2", None, 0)
    of.ended(suspect)
    assert of.room("q") == 2


def test_a_suspect_that_waits_too_long_goes_back_and_its_queue_is_left_alone(lease: Lease) -> None:
    of = table({"q": {"async"}, "other": {"async"}})
    of.leases["q"] = lease
    of.put(entry(lease, 1))
    take(of)
    suspect = entry(lease, 2, alone=True, age_s=2.0)
    of.put(suspect)
    assert of.late_suspect(boot_s() - 1.0) is suspect
    assert (of.room("q"), of.room("other")) == (0, 3)


def test_a_solo_worker_holds_one_job_at_a_time(lease: Lease) -> None:
    of = table()
    of.solo = True
    of.leases["q"] = lease
    assert of.room("q") == 1
    of.put(entry(lease, 1))
    assert of.room("q") == 0


def test_for_a_suspect_elsewhere_an_inside_worker_empties_itself(lease: Lease) -> None:
    of = table({"q": {"async"}, "other": {"async"}})
    of.leases["q"] = lease
    of.put(entry(lease, 1))
    of.reserved = "q"
    assert (of.room("q"), of.room("other")) == (0, 0)
    lease.jobs.clear()
    assert (of.room("q"), of.room("other")) == (1, 0)
