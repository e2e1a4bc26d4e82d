"""A loop stands still only in time that its watcher saw pass."""

from homing.worker.children import Stillness


def test_it_counts_from_the_last_pulse_that_was_new() -> None:
    still = Stillness(now_s=100.0)
    assert [still.look(0.0, 100.5), still.look(0.0, 101.0)] == [0.5, 1.0]
    assert still.look(101.2, 101.5) == 0.0
    assert [still.look(101.2, 102.0), still.look(101.2, 102.5)] == [0.5, 1.0]


def test_a_machine_that_slept_for_an_hour_finds_nobody_standing_still() -> None:
    still = Stillness(now_s=100.0)
    still.look(99.9, 100.5)
    assert still.look(99.9, 3_700.0) == 1.0
    assert still.look(3_700.1, 3_700.5) == 0.0


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    still = Stillness(now_s=100.0)
    assert [still.look(0.0, 100.5), still.look(0.0, 90.0), still.look(0.0, 90.5)] == [0.5, 0.5, 1.0]
