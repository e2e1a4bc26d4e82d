"""Numbers of time and order: what is taken, and what is refused with which rule."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from homing.errors import SettingsError
from homing.limits import delay_until, priority, seconds, when, whole

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0.0), (5, 5.0), (0.25, 0.25), (timedelta(minutes=1), 60.0), (315_360_000, 315_360_000.0)],
)
def test_a_length_of_time_is_seconds_or_a_timedelta(value: object, expected: float) -> None:
    assert seconds(value, "delay") == expected


@pytest.mark.parametrize(
    "value",
    [
        NAN,
        -5,
        -0.001,
        INF,
        -INF,
        1e20,
        pytest.param(-(10**400), id="-10**400"),
        timedelta.max,
        timedelta(-1),
        315_360_001,
    ],
)
def test_a_length_that_is_none_is_refused_with_the_range(value: object) -> None:
    with pytest.raises(SettingsError, match=r"^delay must be 0 to 315,360,000 seconds, not "):
        seconds(value, "delay")


def test_a_length_of_5001_digits_is_refused_too() -> None:
    with pytest.raises(SettingsError, match=r"^delay must be 0 to"):
        seconds(10**5000, "delay")


@pytest.mark.parametrize("value", [True, False, "5", b"5", None, [5], Decimal(5), 1j])
def test_a_length_of_the_wrong_type_is_a_type_error_and_a_settings_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"^delay must be seconds as a number or a timedelta, not ") as caught:
        seconds(value, "delay")
    assert isinstance(caught.value, SettingsError)


def test_a_number_in_quotes_is_told_how_to_write_it() -> None:
    with pytest.raises(TypeError, match=r"not str '5'; write delay=5$"):
        seconds("5", "delay")


def test_zero_is_refused_where_nothing_could_run() -> None:
    with pytest.raises(SettingsError, match=r"timeout must be more than 0 to"):
        seconds(0, "timeout", positive=True)


@pytest.mark.parametrize("value", [-100, 0, 100])
def test_a_priority_is_between_minus_and_plus_100(value: int) -> None:
    assert priority(value) == value


@pytest.mark.parametrize("value", [-101, 101, pytest.param(10**5000, id="5001 digits")])
def test_a_priority_outside_is_refused_with_the_rule(value: int) -> None:
    with pytest.raises(SettingsError, match=r"^priority must be -100 to 100, not "):
        priority(value)


@pytest.mark.parametrize("value", [1.0, True, "1", None, NAN])
def test_a_priority_is_a_whole_number(value: object) -> None:
    with pytest.raises(TypeError, match=r"^priority must be a whole number, not "):
        priority(value)


def test_a_whole_number_has_its_own_name_and_range() -> None:
    with pytest.raises(SettingsError, match=r"^concurrency must be 1 to 10, not 0$"):
        whole(0, "concurrency", minimum=1, maximum=10)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 1, 1, 12, tzinfo=UTC), 1_767_268_800_000),
        (datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), 1_767_261_600_000),
        # The hour that daylight saving skips, and both of the one it repeats.
        (datetime(2026, 3, 8, 2, 30, tzinfo=ZoneInfo("America/New_York")), 1_772_955_000_000),
        (datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=0), 1_793_511_000_000),
        (datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1), 1_793_514_600_000),
    ],
)
def test_a_moment_is_milliseconds_since_the_epoch(value: datetime, expected: int) -> None:
    assert when(value) == expected


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), datetime.max, datetime.min])  # noqa: DTZ001, DTZ901
def test_a_datetime_without_a_zone_names_no_moment(value: datetime) -> None:
    with pytest.raises(TypeError, match=r"^at has no tzinfo"):
        when(value)


@pytest.mark.parametrize("value", [5, "2026-01-01", None, datetime(2026, 1, 1, tzinfo=UTC).date()])
def test_a_moment_is_a_datetime(value: object) -> None:
    with pytest.raises(TypeError, match=r"^at must be a datetime with a tzinfo"):
        when(value)


def test_a_moment_in_the_past_is_now() -> None:
    assert delay_until(datetime(1, 1, 1, tzinfo=UTC), now_ms=1_767_268_800_000) == 0


def test_a_moment_ahead_is_a_delay() -> None:
    assert delay_until(datetime(2026, 1, 1, 12, tzinfo=UTC), now_ms=1_767_268_799_000) == 1_000


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-12)), timezone(timedelta(hours=12))])
def test_a_moment_over_ten_years_ahead_is_refused(zone: timezone) -> None:
    with pytest.raises(SettingsError, match=r"^at must be within ten years"):
        delay_until(datetime.max.replace(tzinfo=zone), now_ms=1_767_268_800_000)
