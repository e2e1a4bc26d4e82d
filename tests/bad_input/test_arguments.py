"""Wrong arguments: each is refused where it is given, at once, with what is wrong and what is right.

Each row says which call, which exception, and words of its sentence. Nothing is stored by any of them.
What a server or a stored job may be wrong in has its tests beside those of its part: URLs in
unit/test_target.py, servers in integration/client/test_refusals.py, jobs in test_jobs.py beside this.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from homing import App, Backoff, Fixed, Linear, Settings
from homing.errors import EncodeError, PayloadTooLarge, SettingsError
from homing.retries import Delays
from homing.target import Target
from homing.worker.supervisor import WorkerOptions
from tests.foreign import Site, nothing_happens

Call = Callable[[App], Any]


#: What type checkers would refuse, too.
WRONG: Any = {"one": 1, "text": "x", "sets": "sets", "four": "4"}


class Colour(Enum):
    RED = object()


class Unsayable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@dataclass
class Card:
    number: set[int]


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def circular() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


def plain(number: int = 0) -> None:
    """What may be a task."""


def yields() -> Any:
    yield 1


async def ayields() -> Any:
    yield 1


class Holder:
    def method(self) -> None:
        """A method is no task."""


def good(**options: Any) -> Call:
    """Enqueue `good` with these options."""
    return lambda app: app.tasks["good"].options(**options).enqueue(1)


def put(payload: Any, **options: Any) -> Call:
    return lambda app: app.queue("work").put(payload, **options)


def loose(value: Any) -> Call:
    """Enqueue a task whose parameter is not annotated."""

    def enqueue(app: App) -> Any:
        return app.tasks["loose"].enqueue(value)

    return enqueue


def task(function: Any, **options: Any) -> Call:
    return lambda app: app.task(**options)(function)


def settings(**values: Any) -> Call:
    return lambda app: Settings(**values)


ROWS: list[tuple[str, Call, type[Exception], str]] = [
    # Delays: seconds, finite, not negative, at most ten years.
    ("delay-nan", good(delay=float("nan")), SettingsError, "delay must be 0 to 315,360,000 seconds, not nan"),
    ("delay-negative", good(delay=-5), SettingsError, "delay must be 0 to 315,360,000 seconds, not -5"),
    ("delay-negative-timedelta", good(delay=timedelta(seconds=-1)), SettingsError, "delay must be 0 to"),
    ("delay-inf", good(delay=float("inf")), SettingsError, "not inf"),
    ("delay-minus-inf", put(1, delay=float("-inf")), SettingsError, "not -inf"),
    ("delay-1e20", put(1, delay=1e20), SettingsError, "not 1e+20"),
    ("delay-huge-int", put(1, delay=10**5_000), SettingsError, "not what cannot be shown"),
    ("delay-timedelta-max", put(1, delay=timedelta.max), SettingsError, "delay must be 0 to"),
    (
        "delay-bool",
        good(delay=True),
        TypeError,
        "delay must be seconds as a number or a timedelta, not bool True",
    ),
    ("delay-text", good(delay="5"), TypeError, "not str '5'; write delay=5"),
    ("delay-unsayable", put(1, delay=Unsayable()), TypeError, "not Unsayable what cannot be shown"),
    ("delay-and-at", put(1, delay=1, at=datetime.now(UTC)), SettingsError, "give one of them"),
    # Moments: a datetime that knows its zone, within ten years.
    ("at-naive", good(at=datetime(2026, 1, 1)), TypeError, "at has no tzinfo, so it names no moment"),  # noqa: DTZ001
    ("at-number", good(at=5), TypeError, "at must be a datetime with a tzinfo, not int 5"),
    ("at-max", good(at=datetime.max.replace(tzinfo=UTC)), SettingsError, "at must be within ten years"),
    (
        "at-max-west",
        put(1, at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))),
        SettingsError,
        "at must be within ten years",
    ),
    # Values that JSON cannot carry, or that would arrive as others.
    ("set", put({1}), EncodeError, "payload: a set would arrive as a list"),
    ("bytes", put({"a": [b"x"]}), EncodeError, "payload.a[0]: a bytes would arrive as a str"),
    ("decimal", put(Decimal(1)), EncodeError, "payload: a Decimal would arrive as a str"),
    ("datetime", put(datetime.now(UTC)), EncodeError, "payload: a datetime would arrive as a str"),
    ("uuid", put({"id": UUID(int=1)}), EncodeError, "payload.id: a UUID would arrive as a str"),
    ("dataclass", put(Card({1})), EncodeError, "payload: a Card would arrive as a dict"),
    ("enum", put(Colour.RED), EncodeError, "payload"),
    ("object", put([object()]), EncodeError, "payload[0]: an object has no form in JSON"),
    (
        "set-argument",
        loose({1}),
        EncodeError,
        "loose(), parameter value: args[0]: a set would arrive as a list",
    ),
    ("object-argument", loose({"x": object()}), EncodeError, "args[0].x: an object has no form in JSON"),
    ("int-keys", put({1: "a"}), EncodeError, "payload: the key 1 would arrive as a str; use str keys"),
    ("tuple-keys", put({(1, 2): "a"}), EncodeError, "the key (1, 2) is not a str"),
    ("nan", put(float("nan")), EncodeError, "payload: JSON has no nan"),
    ("infinity", put({"x": [1, float("inf")]}), EncodeError, "payload.x[1]: JSON has no inf"),
    ("circular", put(circular()), EncodeError, "payload[1]: a list contains itself"),
    ("deep", put(deep(1_000)), EncodeError, "nested deeper than 100 levels"),
    ("very-deep", put(deep(100_000)), EncodeError, "nested deeper than 100 levels"),
    ("deep-argument", loose(deep(100_000)), EncodeError, "nested deeper than 100 levels"),
    ("surrogate", put("\ud800"), EncodeError, "a str with a lone surrogate is not UTF-8"),
    ("surrogate-key", put({"\ud800": 1}), EncodeError, "is not UTF-8"),
    ("long-int", put(10**5_000), EncodeError, "an int of more than 4,300 digits; send it as text"),
    ("large", put("x" * (2 << 20)), PayloadTooLarge, "is 2,097,154 bytes as JSON, the limit is 1,048,576"),
    ("large-argument", loose("x" * (2 << 20)), PayloadTooLarge, "the payload of loose() is 2,097,1"),
    # Calls that do not fit their task.
    (
        "too-few",
        lambda app: app.tasks["good"].enqueue(),
        TypeError,
        "good() missing a required argument: 'number'",
    ),
    (
        "too-many",
        lambda app: app.tasks["good"].enqueue(1, 2),
        TypeError,
        "good() too many positional arguments",
    ),
    (
        "unknown",
        lambda app: app.tasks["good"].enqueue(1, x=2),
        TypeError,
        "got an unexpected keyword argument 'x'",
    ),
    (
        "wrong-kind",
        lambda app: app.tasks["good"].enqueue("1"),
        TypeError,
        "good(), parameter number: Expected `int`",
    ),
    # What cannot be a task.
    ("lambda", task(lambda: None), TypeError, "cannot be a task, it is a lambda: give it a name with def"),
    ("method", task(Holder().method), TypeError, "Holder.method cannot be a task, it is a method"),
    ("partial", task(functools.partial(plain, 1)), TypeError, "cannot be a task, it is a partial"),
    ("class", task(Holder), TypeError, "Holder cannot be a task, it is a class"),
    ("callable", task(Unsayable()), TypeError, "Unsayable cannot be a task, it is no function"),
    ("number", task(7), TypeError, "int cannot be a task, it is no function"),
    ("generator", task(yields), TypeError, "yields cannot be a task, it has a yield"),
    ("async-generator", task(ayields), TypeError, "ayields cannot be a task, it has a yield"),
    ("twice", task(plain, name="good"), SettingsError, "two tasks are named 'good':"),
    # Retries.
    ("retry-negative", task(plain, retry=-1), SettingsError, "retry must be 0 to 1000000, not -1"),
    ("retry-float", task(plain, retry=1.5), TypeError, "retry must be None, a number of extra runs, Backoff"),
    ("retry-text", good(retry="3"), TypeError, "retry must be None, a number of extra runs"),
    ("retry-bool", good(retry=True), TypeError, "not bool True"),
    ("retry-huge", good(retry=10**9), SettingsError, "retry must be 0 to 1000000, not 1000000000"),
    ("retry-class", good(retry=Backoff), TypeError, "retry is the class Backoff; make one"),
    (
        "retry-function-of-one-job",
        good(retry=lambda error, attempt: 1),
        SettingsError,
        "cannot travel with one job",
    ),
    ("backoff-times", lambda app: Backoff(times=-1), SettingsError, "Backoff(times) must be 0 to 1000000"),
    ("backoff-base", lambda app: Backoff(times=1, base=float("nan")), SettingsError, "Backoff(base) must be"),
    ("backoff-cap", lambda app: Backoff(times=1, cap=-1), SettingsError, "Backoff(cap) must be"),
    (
        "backoff-jitter",
        lambda app: Backoff(times=1, jitter=WRONG["one"]),
        TypeError,
        "Backoff(jitter) must be True or",
    ),
    ("fixed-delay", lambda app: Fixed(1, delay=float("inf")), SettingsError, "Fixed(delay) must be"),
    ("linear-step", lambda app: Linear(1, step=WRONG["text"]), TypeError, "Linear(step) must be seconds"),
    ("delays", lambda app: Delays([1, -1]), SettingsError, "retry[1] must be 0 to"),
    # Time limits and priorities.
    ("timeout-zero", good(timeout=0), SettingsError, "timeout must be more than 0 to"),
    ("timeout-negative", task(plain, timeout=-1), SettingsError, "timeout must be more than 0 to"),
    ("timeout-nan", good(timeout=float("nan")), SettingsError, "timeout must be more than 0 to"),
    ("timeout-text", good(timeout="1m"), TypeError, "timeout must be seconds as a number or a timedelta"),
    ("priority", good(priority=101), SettingsError, "priority must be -100 to 100, not 101"),
    ("priority-float", put(1, priority=1.0), TypeError, "priority must be a whole number, not float 1.0"),
    ("isolation", task(plain, isolation="thread"), SettingsError, "isolation must be None or 'process'"),
    (
        "engine",
        lambda app: app.queue("new", engine=WRONG["sets"]),
        SettingsError,
        "'sets' is not known: use 'lists' or",
    ),
    # Workers, consumers, and looking.
    ("lease", settings(lease=1), SettingsError, "lease must be at least 5 seconds, not 1"),
    ("lease-nan", settings(lease=float("nan")), SettingsError, "lease must be 0 to"),
    ("concurrency-zero", settings(concurrency=0), SettingsError, "concurrency must be 1 to 10000, not 0"),
    (
        "concurrency-negative",
        lambda app: app.worker(concurrency=-1),
        SettingsError,
        "concurrency must be 1 to 10000",
    ),
    (
        "concurrency-huge",
        lambda app: app.worker(concurrency=10**6),
        SettingsError,
        "concurrency must be 1 to 10000",
    ),
    (
        "threads-text",
        lambda app: app.worker(threads=WRONG["four"]),
        TypeError,
        "threads must be a whole number, not str '4'",
    ),
    (
        "worker-nothing",
        lambda app: App(app.settings.url).worker(),
        SettingsError,
        "there is no queue to work on",
    ),
    (
        "processes",
        lambda app: WorkerOptions(app="a:b", processes=0),
        SettingsError,
        "processes must be 1 to 1024",
    ),
    ("stall", lambda app: WorkerOptions(app="a:b", stall=0.5), SettingsError, "stall must be at least 1 s"),
    ("grace", lambda app: app.worker(grace=-1), SettingsError, "grace must be 0 to"),
    ("result-ttl", settings(result_ttl=-1), SettingsError, "result_ttl must be 0 to"),
    ("crash-max", settings(crash_max=0), SettingsError, "crash_max must be 1 to"),
    ("payload-max", settings(payload_max=1 << 40), SettingsError, "payload_max must be 64 to 268435456"),
    ("unknown-setting", lambda app: App(app.settings.url, leese=5), SettingsError, "did you mean lease?"),
    (
        "prefetch",
        lambda app: app.queue("work").consume(prefetch=0),
        SettingsError,
        "prefetch must be 1 to 1000",
    ),
    ("idle", lambda app: app.queue("work").consume(idle=-1), SettingsError, "idle must be 0 to"),
    (
        "burst-no-block",
        lambda app: app.queue("work").consume(burst=True, block=False),
        SettingsError,
        "choose",
    ),
    (
        "consume-retry",
        lambda app: app.queue("work").consume(retry=WRONG["text"]),
        TypeError,
        "retry must be None",
    ),
    (
        "peek-state",
        lambda app: app.queue("work").peek("lost"),
        SettingsError,
        "state must be one of scheduled",
    ),
    ("peek-limit", lambda app: app.queue("work").peek(limit=0), SettingsError, "limit must be 1 to 1000"),
    (
        "purge-state",
        lambda app: app.queue("work").purge("active"),
        SettingsError,
        "state must be one of waiting, scheduled, dead, not",
    ),
    (
        "result-timeout",
        lambda app: app.job("work", "x").result(timeout=-1),
        SettingsError,
        "timeout must be 0 to",
    ),
    # Servers, by their URL: the rest is in unit/test_target.py.
    ("url-scheme", lambda app: App("http://h"), SettingsError, "is not a server's URL"),
    (
        "url-database",
        lambda app: Target.parse("redis://h/abc"),
        SettingsError,
        "its database is a number, not 'abc'",
    ),
    (
        "url-option",
        lambda app: Target.parse("redis://h?tmieout=1"),
        SettingsError,
        "unknown option 'tmieout'",
    ),
    ("url-empty", lambda app: App("  "), SettingsError, "url must be a text that is not empty"),
    (
        "url-kind",
        lambda app: App(5).target(),
        TypeError,
        "given as a URL or as a redis-py or valkey-py client",
    ),
]


@pytest.mark.parametrize("engine", ["streams"], indirect=True)  # no engine is reached
@pytest.mark.parametrize(("call", "kind", "says"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_wrong_argument_is_refused_at_once(
    site: Site, call: Call, kind: type[Exception], says: str
) -> None:
    @site.app.task(queue=site.name)
    async def loose(value: Any) -> None:
        """Takes whatever JSON carries."""

    site.app.tasks["good"].enqueue(1)
    with nothing_happens(site.app, site.raw), pytest.raises(kind) as refused:
        call(site.app)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 1_000
    assert "\n" not in str(refused.value)
    assert site.app.queue(site.name).counts().waiting == 1


def test_what_looks_wrong_and_is_not(site: Site) -> None:
    """A moment in the past is now; the gap and the fold of a zone name an instant; NUL is a character."""
    from zoneinfo import ZoneInfo

    new_york = ZoneInfo("America/New_York")
    queue = site.app.queue(site.name)
    past = queue.put(1, at=datetime(1970, 1, 1, tzinfo=UTC))
    first = datetime(2026, 11, 1, 1, 30, tzinfo=new_york)
    assert (past.state, queue.put("\x00").record().payload) == ("waiting", b'"\\u0000"')
    year_one = queue.put(1, at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12))))
    assert year_one.state == "waiting"
    from homing.limits import when

    # 02:30 does not exist that night; with the offset before the gap it is 03:30.
    assert when(datetime(2026, 3, 8, 2, 30, tzinfo=new_york)) == when(datetime(2026, 3, 8, 7, 30, tzinfo=UTC))
    assert when(first.replace(fold=1)) - when(first) == 3_600_000
    assert queue.put((1, 2)).record().payload == b"[1,2]"  # a tuple arrives as a list, as documented


def test_called_in_plain_code_an_async_task_runs_here(site: Site) -> None:
    import asyncio

    coroutine = site.app.tasks["good"](5)
    with nothing_happens(site.app, site.raw):
        asyncio.run(coroutine)
    assert site.ran == [5]
