"""Ids: their length, order, alphabet, and what a fork does to them."""

import os
import re
import threading

import pytest

from homing import ids, keys
from homing.ids import ALPHABET, Ids, made_ms, new_id, new_lane, new_worker_id

LETTERS = set(ALPHABET)


def test_an_id_has_21_letters_of_the_alphabet_and_may_stand_as_a_key() -> None:
    one = new_id()
    assert len(one) == 21
    assert set(one) <= LETTERS
    assert not one.startswith("-")
    assert keys.check_id(one) == one


def test_the_alphabet_is_in_the_order_of_ascii() -> None:
    assert list(ALPHABET) == sorted(ALPHABET)
    assert len(LETTERS) == 64


def test_ids_of_one_process_grow_strictly() -> None:
    made = [new_id() for _ in range(5_000)]
    assert made == sorted(set(made))


def test_ids_grow_while_the_clock_stands_still_or_goes_back() -> None:
    times = iter([2_000_000_000_000_000_000] * 3_000 + [1_000_000_000_000_000_000] * 3_000)
    source = Ids(clock_ns=lambda: next(times))
    made = [source.new() for _ in range(6_000)]
    assert made == sorted(set(made))


@pytest.mark.parametrize("earlier_ms", [10**12, 1_764_000_000_000, 2**41 - 1, 2**42 - 2])
def test_ids_sort_by_their_millisecond(earlier_ms: int) -> None:
    earlier = Ids(clock_ns=lambda: earlier_ms * 1_000_000).new()
    later = Ids(clock_ns=lambda: (earlier_ms + 1) * 1_000_000).new()
    assert earlier < later
    assert len(earlier) == len(later) == 21


def test_an_id_says_its_millisecond_whatever_the_one_before_was() -> None:
    """Four seconds of ids share their first letters, one millisecond the next two."""
    now_ms, first = 0, 1_764_000_000_000
    source = Ids(clock_ns=lambda: now_ms * 1_000_000)
    for now_ms in (*range(first, first + 200), *range(first + 200, first + 20_000, 61), 2**41, 2**42 - 1):
        assert made_ms(source.new()) == now_ms


def test_who_was_interrupted_while_it_made_an_id_leaves_nothing_half_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_ms = 1_764_000_000_000
    source = Ids(clock_ns=lambda: now_ms * 1_000_000)
    source.new()
    now_ms += 10_000
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ids, "_text", interrupted)
        source.new()
    assert [made_ms(source.new()) for _ in range(3)] == [now_ms] * 3


def interrupted(number: bytes) -> str:
    raise KeyboardInterrupt


def test_two_processes_in_the_same_millisecond_differ_in_74_random_bits() -> None:
    made = {Ids(clock_ns=lambda: 10**18).new() for _ in range(500)}
    tails = {one[9:] for one in made}
    assert len(made) == len(tails) == 500
    assert {one[:8] for one in made} == {made.pop()[:8]}


def test_threads_never_make_the_same_id() -> None:
    made: list[list[str]] = [[] for _ in range(4)]

    def make(into: list[str]) -> None:
        into.extend(new_id() for _ in range(2_000))

    threads = [threading.Thread(target=make, args=(one,)) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({one for part in made for one in part}) == 8_000


def test_a_forked_child_does_not_use_the_random_bytes_of_its_parent() -> None:
    new_id()  # bytes are drawn ahead now
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    assert theirs[9:] != new_id()[9:]


@pytest.mark.parametrize(
    ("label", "begins"),
    [
        ("web-1", "web-1-"),
        ("host.local:8", "host.local:8-"),
        ("Zoë's Mac {1}", "Zo-s-Mac-1-"),
        ("", "worker-"),
        ("---", "worker-"),
        ("a\nb", "a-b-"),
        ("x" * 500, "x" * 42 + "-"),
    ],
)
def test_a_worker_id_begins_with_its_label_and_is_never_used_twice(label: str, begins: str) -> None:
    first, second = new_worker_id(label), new_worker_id(label)
    assert first.startswith(begins)
    assert first != second
    assert keys.check_id(first) == first


def test_lanes_are_random() -> None:
    lanes = {new_lane() for _ in range(1_000)}
    assert len(lanes) == 1_000
    assert all(re.fullmatch(r"[-0-9A-Z_a-z]{16}", lane) for lane in lanes)


def test_drawing_ahead_starts_again_when_it_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def urandom(count: int) -> bytes:
        reads.append(count)
        return bytes(count)

    monkeypatch.setattr("homing.ids.os.urandom", urandom)
    source = Ids()
    for _ in range(257):
        source.new()
    assert reads == [2560, 2560]
