"""When a failed run is tried again. Pure.

`attempt` is the number of the run that failed, counted from 1; `times` are extra runs. Seconds are
float or timedelta. A policy answers with the seconds to wait, or None: no more runs.
"""

import random as dice
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

from homing.errors import SettingsError, WrongKind
from homing.limits import seconds, whole

Random = Callable[[], float]
Seconds = float | timedelta

#: More extra runs than this are taken for a mistake.
TIMES_MAX = 1_000_000
#: 2 ** 64 seconds are over any cap; past it a float would overflow.
_DOUBLINGS_MAX = 64


class Policy(Protocol):
    """How long to wait after a failed run."""

    def delay_s(self, attempt: int, error: BaseException, random: Random = dice.random) -> float | None:
        """Seconds until the next run, or None: the job is buried."""


def _check(policy: object, **lengths: object) -> None:
    """Set the named lengths of a frozen policy as checked seconds."""
    kind = type(policy).__name__
    for name, value in lengths.items():
        object.__setattr__(policy, name, seconds(value, f"{kind}({name})"))
    if hasattr(policy, "times"):
        whole(policy.times, f"{kind}(times)", minimum=0, maximum=TIMES_MAX)


@dataclass(frozen=True, slots=True)
class Never:
    """No second run."""

    def delay_s(self, attempt: int, error: BaseException, random: Random = dice.random) -> float | None:
        return None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off: twice as long after each failure, at most `cap`.

    With full jitter, uniform in [0, min(cap, base * 2 ** (attempt - 1))], so that what failed
    together is not tried again together; without it, exactly that bound.
    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    times: int
    base: Seconds = 1.0
    cap: Seconds = 3600.0
    jitter: bool = True

    def __post_init__(self) -> None:
        _check(self, base=self.base, cap=self.cap)
        if not isinstance(self.jitter, bool):
            raise WrongKind(f"Backoff(jitter) must be True or False, not {self.jitter!r:.200}")

    def delay_s(self, attempt: int, error: BaseException, random: Random = dice.random) -> float | None:
        if attempt > self.times:
            return None
        base, cap = cast("float", self.base), cast("float", self.cap)
        bound = min(cap, base * 2.0 ** min(attempt - 1, _DOUBLINGS_MAX))
        return bound * random() if self.jitter else bound


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same delay before each of the extra runs."""

    times: int
    delay: Seconds

    def __post_init__(self) -> None:
        _check(self, delay=self.delay)

    def delay_s(self, attempt: int, error: BaseException, random: Random = dice.random) -> float | None:
        return cast("float", self.delay) if attempt <= self.times else None


@dataclass(frozen=True, slots=True)
class Linear:
    """One `step` more before each extra run, at most `cap`."""

    times: int
    step: Seconds
    cap: Seconds = 3600.0

    def __post_init__(self) -> None:
        _check(self, step=self.step, cap=self.cap)

    def delay_s(self, attempt: int, error: BaseException, random: Random = dice.random) -> float | None:
        step, cap = cast("float", self.step), cast("float", self.cap)
        return min(cap, step * attempt) if attempt <= self.times else None


@dataclass(frozen=True, slots=True)
class Delays:
    """One extra run for each delay of a list: `retry=[1, 10, 60]`."""

    delays: Sequence[Seconds]

    def __post_init__(self) -> None:
        checked = tuple(seconds(delay, f"retry[{i}]") for i, delay in enumerate(self.delays))
        object.__setattr__(self, "delays", checked)

    def delay_s(self, attempt: int, error: BaseException, random: Random = dice.random) -> float | None:
        return cast("float", self.delays[attempt - 1]) if attempt <= len(self.delays) else None


@dataclass(frozen=True, slots=True)
class Asking:
    """A function of the exception and the attempt decides: seconds, or None for no more runs.

    When it raises, or answers what is no length of time, the job is buried and told why.
    """

    function: Callable[[Any, int], Seconds | None]

    def delay_s(self, attempt: int, error: BaseException, random: Random = dice.random) -> float | None:
        answer = self.function(error, attempt)
        return None if answer is None else seconds(answer, "the retry function's answer")


def as_policy(value: object) -> Policy:
    """A policy from what `retry=` takes.

    None: no second run. An int: `Backoff(times=n)`. A list or tuple: its delays. A function of
    (exception, attempt): what it says. Anything else is a SettingsError that says so.
    """
    if value is None:
        return Never()
    if isinstance(value, Never | Backoff | Fixed | Linear | Delays | Asking):
        return value
    if isinstance(value, list | tuple):
        return Delays(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Backoff(whole(value, "retry", minimum=0, maximum=TIMES_MAX))
    if isinstance(value, type):
        raise WrongKind(f"retry is the class {value.__name__}; make one: {value.__name__}(times=5)")
    if callable(getattr(value, "delay_s", None)):
        return cast("Policy", value)
    if callable(value):
        return Asking(value)
    raise WrongKind(
        "retry must be None, a number of extra runs, Backoff, Fixed, Linear, a list of seconds "
        f"or a function of (exception, attempt), not {type(value).__name__} {value!r:.200}"
    )


_BY_NAME: dict[str, Callable[..., Policy]] = {
    "backoff": Backoff,
    "fixed": Fixed,
    "linear": Linear,
    "delays": Delays,
}


def dump(policy: Policy) -> dict[str, object]:
    """A policy as JSON can carry it, for one job's `meta`: `{"kind": "backoff", "times": 5, …}`."""
    if isinstance(policy, Never):
        return {"kind": "delays", "delays": []}
    if isinstance(policy, Backoff | Fixed | Linear | Delays):
        return {"kind": type(policy).__name__.lower(), **asdict(policy)}
    raise SettingsError(
        "a retry function cannot travel with one job: give it to the task, or use Backoff or a list"
    )


def load(stored: object) -> Policy:
    """The policy that `dump` wrote; SettingsError when it is none."""
    fields = dict(stored) if isinstance(stored, dict) else {}
    make = _BY_NAME.get(str(fields.pop("kind", None)))
    try:
        if make is not None:
            return make(**fields)
    except TypeError as error:
        raise SettingsError(f"the job's own retry is not a policy: {error}") from error
    raise SettingsError(f"the job's own retry is not a policy: {stored!r:.200}")
