"""Policies: how long to wait after the nth failed run, and what is refused as a policy."""

from datetime import timedelta

import pytest

from homing.errors import SettingsError
from homing.policy import Backoff, Delays, Fixed, Linear, Never, Policy, as_policy, dump, load

NAN, INF = float("nan"), float("inf")
ERROR = ValueError("x")


def waits(policy: Policy, runs: int, random: float = 1.0) -> list[float | None]:
    return [policy.delay_s(attempt, ERROR, lambda: random) for attempt in range(1, runs + 1)]


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (None, [None, None]),
        (0, [None, None]),
        (2, [1.0, 2.0, None]),
        (Backoff(5), [1.0, 2.0, 4.0, 8.0, 16.0, None]),
        (Backoff(4, base=10, cap=25), [10.0, 20.0, 25.0, 25.0, None]),
        (Backoff(times=2, base=timedelta(seconds=2), cap=timedelta(seconds=3)), [2.0, 3.0, None]),
        (Fixed(2, 7), [7.0, 7.0, None]),
        (Fixed(times=1, delay=timedelta(minutes=1)), [60.0, None]),
        (Linear(4, step=10, cap=25), [10.0, 20.0, 25.0, 25.0, None]),
        ([1, 10.5, timedelta(seconds=60)], [1.0, 10.5, 60.0, None]),
        ((), [None]),
        (lambda _error, attempt: attempt * 2 if attempt < 3 else None, [2.0, 4.0, None]),
        (lambda _error, _attempt: timedelta(hours=1), [3600.0]),
    ],
)
def test_each_policy_waits_as_it_says(retry: object, expected: list[float | None]) -> None:
    assert waits(as_policy(retry), len(expected)) == expected


def test_back_off_has_full_jitter() -> None:
    assert waits(Backoff(4), 4, random=0.0) == [0.0, 0.0, 0.0, 0.0]
    assert waits(Backoff(4), 4, random=0.25) == [0.25, 0.5, 1.0, 2.0]


def test_jitter_can_be_left_out() -> None:
    assert waits(Backoff(4, jitter=False), 4, random=0.25) == [1.0, 2.0, 4.0, 8.0]


def test_back_off_never_overflows() -> None:
    assert Backoff(10**6).delay_s(10**6, ERROR, lambda: 1.0) == 3600.0


def test_a_function_sees_the_exception() -> None:
    policy = as_policy(lambda error, _attempt: 1 if isinstance(error, TimeoutError) else None)
    assert policy.delay_s(1, TimeoutError()) == 1.0
    assert policy.delay_s(1, ERROR) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Backoff(times=-1), "Backoff(times) must be 0 to 1000000, not -1"),
        (lambda: Backoff(10**9), "Backoff(times) must be 0 to 1000000, not 1000000000"),
        (lambda: Backoff(1.5), "Backoff(times) must be a whole number, not float 1.5"),  # type: ignore[arg-type]
        (lambda: Backoff("3"), "Backoff(times) must be a whole number, not str '3'"),  # type: ignore[arg-type]
        (lambda: Backoff(True), "Backoff(times) must be a whole number, not bool True"),
        (lambda: Backoff(1, base=NAN), "Backoff(base) must be 0 to"),
        (lambda: Backoff(1, base=-1), "Backoff(base) must be 0 to"),
        (lambda: Backoff(1, cap=INF), "Backoff(cap) must be 0 to"),
        (lambda: Backoff(1, base=True), "Backoff(base) must be seconds as a number"),
        (lambda: Backoff(1, jitter=0.5), "Backoff(jitter) must be True or False"),  # type: ignore[arg-type]
        (lambda: Fixed(1, "5"), "write Fixed(delay)=5"),  # type: ignore[arg-type]
        (lambda: Fixed(1, -1), "Fixed(delay) must be 0 to"),
        (lambda: Linear(1, step=10**12), "Linear(step) must be 0 to"),
        (lambda: as_policy(-1), "retry must be 0 to 1000000, not -1"),
        (lambda: as_policy(True), "retry must be None, a number of extra runs"),
        (lambda: as_policy(1.5), "retry must be None, a number of extra runs"),
        (lambda: as_policy("3"), "retry must be None, a number of extra runs"),
        (lambda: as_policy({}), "retry must be None, a number of extra runs"),
        (lambda: as_policy(object()), "retry must be None, a number of extra runs"),
        (lambda: as_policy([1, -1]), "retry[1] must be 0 to"),
        (lambda: as_policy([NAN]), "retry[0] must be 0 to"),
        (lambda: as_policy(["1"]), "retry[0] must be seconds as a number"),
        (lambda: as_policy(Backoff), "retry is the class Backoff; make one"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_rule(make: object, sentence: str) -> None:
    assert callable(make)
    with pytest.raises(SettingsError) as refused:
        make()
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "policy",
    [Never(), Backoff(3, base=2, cap=9, jitter=False), Fixed(2, 7), Linear(3, 1.5), Delays([1, 2])],
)
def test_a_policy_travels_with_a_job(policy: Policy) -> None:
    assert waits(load(dump(policy)), 5) == waits(policy, 5)


def test_a_function_cannot_travel_with_a_job() -> None:
    with pytest.raises(SettingsError, match=r"^a retry function cannot travel with one job"):
        dump(as_policy(lambda _error, _attempt: 1))


@pytest.mark.parametrize(
    "stored",
    [None, {}, [], "x", {"kind": "os.system"}, {"kind": "fixed"}, {"kind": "fixed", "times": -1, "delay": 1}],
)
def test_a_stored_policy_that_is_none_is_refused(stored: object) -> None:
    with pytest.raises(SettingsError):
        load(stored)
