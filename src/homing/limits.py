"""The rules for numbers of time and order, checked where a value enters. Pure."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from homing.errors import SettingsError, WrongKind
from homing.job import PRIORITY_MAX, PRIORITY_MIN, State

#: Ten years: longer is taken for a mistake in the unit.
SECONDS_MAX = 10 * 365 * 86_400.0
#: How sure an answer must be: the server has it in memory, replicas have it too, it is on its disk.
Durability: TypeAlias = Literal["memory", "replicated", "fsynced"]
DURABILITIES: tuple[Durability, ...] = ("memory", "replicated", "fsynced")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(value: object, name: str, *, maximum: float = SECONDS_MAX, positive: bool = False) -> float:
    """A length of time as seconds, from an int, a float or a timedelta.

    Refuses NaN, what is negative (with `positive` also 0) or over `maximum`, with SettingsError, and
    anything else, bool and str too, with WrongKind (a SettingsError and a TypeError).
    """
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if -1e18 < value < 1e18 else math.inf
    else:
        hint = f"; write {name}={value}" if isinstance(value, str) and _is_number(value) else ""
        raise WrongKind(
            f"{name} must be seconds as a number or a timedelta, not {type(value).__name__} {_shown(value)}{hint}"
        )
    if not math.isfinite(number) or number < 0 or number > maximum or (positive and number == 0):
        low = "more than 0" if positive else "0"
        raise SettingsError(f"{name} must be {low} to {maximum:,.0f} seconds, not {_shown(value)}")
    return number


def whole(value: object, name: str, *, minimum: int, maximum: int) -> int:
    """A whole number in a range; bool and float are refused."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongKind(f"{name} must be a whole number, not {type(value).__name__} {_shown(value)}")
    if not minimum <= value <= maximum:
        raise SettingsError(f"{name} must be {minimum} to {maximum}, not {_shown(value)}")
    return value


def per_second(value: object, name: str) -> float:
    """A rate, more than 0 a second."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongKind(f"{name} must be a number, not {type(value).__name__} {_shown(value)}")
    if not 0 < value < 1e9:
        raise SettingsError(
            f"{name} must be more than 0 and less than a billion a second, not {_shown(value)}"
        )
    return float(value)


def priority(value: object, name: str = "priority") -> int:
    """A priority from -100 to 100; higher is claimed first."""
    return whole(value, name, minimum=PRIORITY_MIN, maximum=PRIORITY_MAX)


def state(value: object, among: Iterable[State] = State) -> State:
    """A state by its name."""
    names = [one.value for one in among]
    if not isinstance(value, str) or value not in names:
        raise SettingsError(f"state must be one of {', '.join(names)}, not {_shown(value)}")
    return State(value)


def many(values: object, name: str, of: str) -> None:
    """Refuse one value where many are meant: a str or a mapping would be taken apart."""
    if isinstance(values, str | bytes | bytearray | Mapping) or not isinstance(values, Iterable):
        raise WrongKind(
            f"{name} must be a list or another iterable of {of}, not {type(values).__name__} {_shown(values)}"
        )


def durability(value: object, name: str = "durability") -> Durability:
    """One of the three levels."""
    for level in DURABILITIES:
        if value == level:
            return level
    raise SettingsError(f"{name} must be one of {', '.join(DURABILITIES)}, not {_shown(value)}")


def when(value: object, name: str = "at") -> int:
    """A point in time as milliseconds since the epoch, from a datetime that knows its zone."""
    if not isinstance(value, datetime):
        raise WrongKind(
            f"{name} must be a datetime with a tzinfo, not {type(value).__name__} {_shown(value)}"
        )
    if value.utcoffset() is None:
        raise WrongKind(
            f"{name} has no tzinfo, so it names no moment: write datetime(..., tzinfo=UTC) "
            f"or value.astimezone(), not {_shown(value)}"
        )
    return (value - _EPOCH) // timedelta(milliseconds=1)


def delay_until(value: object, now_ms: int, name: str = "at") -> int:
    """Milliseconds from `now_ms` to a point in time; 0 when it is past, SettingsError when over ten years."""
    delay_ms = max(0, when(value, name) - now_ms)
    if delay_ms > SECONDS_MAX * 1000:
        raise SettingsError(f"{name} must be within ten years, not {_shown(value)}")
    return delay_ms


def _shown(value: object) -> str:
    try:
        return repr(value)[:200]
    except Exception:  # its own `__repr__`, or an int with too many digits to write down
        return "what cannot be shown"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
