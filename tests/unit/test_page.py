"""What a child writes into its page is there for its supervisor, whatever becomes of the child."""

import tempfile
from collections.abc import Iterator

import pytest

from homing.delivery.heart import boot_s
from homing.worker.page import PAGE_BYTES, SLOTS_MAX, Joined, Page, PageView

Both = tuple[Page, PageView, list[Joined | int]]


@pytest.fixture
def both() -> Iterator[Both]:
    said: list[Joined | int] = []
    with tempfile.TemporaryFile() as file:
        file.truncate(PAGE_BYTES)
        page, view = Page(file.fileno(), said.append), PageView(file.fileno())
        yield page, view, said
        page.close()
        view.close()


def test_a_member_is_announced_before_and_after_it_is_registered(both: Both) -> None:
    page, _, said = both
    page.join("emails", "lists", "w1", 0)
    page.join("emails", "lists", "w1", 5000)
    assert said == [Joined(0, "emails", "lists", "w1", 0), Joined(0, "emails", "lists", "w1", 5000)]


def test_a_lease_counts_from_the_first_join_until_a_tick_prolongs_it(both: Both) -> None:
    page, view, _ = both
    assert page.lease_end_s("emails", "w1") == 0.0
    page.join("emails", "lists", "w1", 0)
    before = boot_s()
    page.join("emails", "lists", "w1", 5000)
    assert page.lease_end_s("emails", "w1") <= before + 5
    view.kept(0, before + 9, waiting=3, alone=1)
    assert (page.lease_end_s("emails", "w1"), page.waiting("emails"), page.alone("emails")) == (
        before + 9,
        3,
        1,
    )
    view.kept(0, before + 8, waiting=0, alone=0)
    assert page.lease_end_s("emails", "w1") == before + 9


def test_a_lost_lease_is_known_to_the_child_and_its_place_starts_clean_for_the_next(both: Both) -> None:
    page, view, said = both
    page.join("emails", "lists", "w1", 5000)
    view.lost(0)
    assert page.lease_end_s("emails", "w1") == 0.0
    page.leave("emails", "w1")
    assert said[-1] == 0
    workers = [f"w{number}" for number in range(2, 5000)]
    for worker in workers[:100]:
        page.join("emails", "lists", worker, 5000)
        page.leave("emails", worker)
    page.join("emails", "lists", "last", 5000)
    assert page.lease_end_s("emails", "last") > boot_s()


def test_the_supervisor_reads_what_was_running_in_which_slot(both: Both) -> None:
    page, view, _ = both
    page.join("emails", "lists", "w1", 5000)
    page.join("orders", "streams", "w2", 5000)
    page.started(0, "emails", "w1", "job-a")
    page.started(7, "orders", "w2", "x" * 64)
    page.started(SLOTS_MAX - 1, "emails", "w1", "job-b")
    assert view.running() == {0: ["job-a", "job-b"], 1: ["x" * 64]}
    page.ended(0)
    page.started(7, "orders", "w2", "short")
    assert view.running() == {0: ["job-b"], 1: ["short"]}


def test_the_pulse_says_when_and_how_long_a_job_may_take(both: Both) -> None:
    page, view, _ = both
    assert view.pulse() == (0.0, 0.0)
    before = boot_s()
    page.pulse(30.0)
    at, limit = view.pulse()
    assert before <= at <= boot_s()
    assert limit == 30.0
