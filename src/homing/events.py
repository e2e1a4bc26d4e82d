"""What loops tell about what they survive: one line of log, and a call to everybody who asked.

`emit("reconnected", queue="emails", after_s=1.5)` logs `reconnected queue=emails after_s=1.5` to the
logger "homing". Payloads and arguments of jobs are not told; a URL's password never is.
"""

import logging
from collections.abc import Callable, Mapping

from homing.settings import masked

Subscriber = Callable[[str, Mapping[str, object]], object]

VALUE_MAX_CHARS = 300

_LOG = logging.getLogger("homing")
#: Replaced as a whole, never changed, so that `emit` needs no lock.
_subscribers: tuple[Subscriber, ...] = ()


def emit(name: str, /, *, level: int = logging.INFO, **fields: object) -> None:
    """Tell that something happened. Never raises, and never writes more than one line."""
    global _subscribers  # noqa: PLW0602 - read only: one look, whole
    if _LOG.isEnabledFor(level):
        _LOG.log(level, "%s", line(name, fields))
    for subscriber in _subscribers:
        try:
            subscriber(name, fields)
        except Exception as error:  # the subscriber's own; it must not end the loop that told it
            _LOG.error("%s", line("subscriber_failed", {"event": name, "error": error}))


def subscribe(subscriber: Subscriber) -> Callable[[], None]:
    """Call `subscriber(name, fields)` at each event, in the thread that emits; returns what ends that."""
    global _subscribers  # noqa: PLW0603 - who listens is a matter of the process
    _subscribers = (*_subscribers, subscriber)

    def unsubscribe() -> None:
        global _subscribers  # noqa: PLW0603
        _subscribers = tuple(one for one in _subscribers if one is not subscriber)

    return unsubscribe


def line(name: str, fields: Mapping[str, object]) -> str:
    """One event as `name key=value …`, on one line whatever the values hold."""
    return " ".join([_text(name), *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    text = _text(value)
    return f'"{text}"' if not text or any(character in text for character in ' ="') else text


def _text(value: object) -> str:
    """At most 300 characters, without line ends, escape codes or passwords."""
    try:
        text = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    except Exception as failed:  # the value's own `__str__`
        text = f"<{type(value).__name__}: its __str__ raised {type(failed).__name__}>"
    shown = masked(text[: VALUE_MAX_CHARS * 10])
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown[: VALUE_MAX_CHARS + 1])
    return shown if len(shown) <= VALUE_MAX_CHARS else f"{shown[: VALUE_MAX_CHARS - 1]}…"
