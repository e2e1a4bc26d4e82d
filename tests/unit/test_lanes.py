"""Lanes: one call at a time on each, and none on two sides of a fork."""

import os
import threading

from homing.lanes import Lane, Lanes


def _said(lane: Lane) -> tuple[str, int]:
    return lane.name, lane.number


def test_calls_at_the_same_time_have_lanes_of_their_own() -> None:
    lanes = Lanes()
    first, second = lanes.take(), lanes.take()
    assert first.name != second.name
    assert (first.number, second.number) == (1, 1)


def test_a_released_lane_counts_up() -> None:
    lanes = Lanes()
    first = lanes.take()
    first.release()
    second = lanes.take()
    assert _said(second) == (first.name, 2)


def test_a_lane_keeps_its_number_while_its_call_is_sent_again() -> None:
    lane = Lanes().take()
    said = _said(lane)
    lane.release()
    assert _said(lane) == said


def test_a_lane_with_an_unknown_end_is_not_used_again() -> None:
    lanes = Lanes()
    dropped = lanes.take()
    assert all(lanes.take().name != dropped.name for _ in range(3))


def test_a_lane_released_twice_is_not_given_to_two_calls() -> None:
    lanes = Lanes()
    lane = lanes.take()
    lane.release()
    lane.release()
    assert lanes.take().name != lanes.take().name


def test_the_newest_lane_is_used_first_so_that_there_are_few() -> None:
    lanes = Lanes()
    names = set()
    for _ in range(100):
        lane = lanes.take()
        names.add(lane.name)
        lane.release()
    assert len(names) == 1


def test_a_forked_child_uses_none_of_its_parents_lanes() -> None:
    lanes = Lanes()
    held, free = lanes.take(), lanes.take()
    free.release()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        held.release()
        os.write(writing, f"{lanes.take().name} {lanes.take().name}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reading, 1_000).decode().split()
    os.close(reading)
    os.close(writing)
    assert len(said) == 2
    assert not {held.name, free.name} & set(said)


def test_no_two_threads_get_the_same_lane_and_number() -> None:
    lanes = Lanes()
    taken: list[tuple[str, int]] = []

    def call() -> None:
        for _ in range(500):
            lane = lanes.take()
            taken.append(_said(lane))
            lane.release()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 4_000
