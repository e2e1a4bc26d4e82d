"""Events: one safe line of log each, and subscribers that cannot break who tells them."""

import logging
from collections.abc import Mapping

import pytest

from homing import events
from homing.events import emit, line, subscribe


class Mute:
    def __str__(self) -> str:
        raise RuntimeError


def test_an_event_is_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "homing"):
        emit("reconnected", queue="emails", after_s=1.5)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("homing", "reconnected queue=emails after_s=1.5")
    ]


def test_an_event_has_its_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "homing"):
        emit("quiet")
        emit("loud", level=logging.WARNING)
    assert [record.getMessage() for record in caplog.records] == ["loud"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("", '""'),
        ("x\n2026 ERROR fake", r'"x\n2026 ERROR fake"'),
        ("\x1b[31mred\r", r"\x1b[31mred\r"),
        ("\u2028\u202e", r"\u2028\u202e"),
        ("Zoë", "Zoë"),
        ("redis://u:s3cret@host/0", "redis://u:***@host/0"),
        (ConnectionError("no redis://u:s3cret@host/0"), '"ConnectionError: no redis://u:***@host/0"'),
        (Mute(), '"<Mute: its __str__ raised RuntimeError>"'),
        (None, "None"),
        (3, "3"),
        ("%s %d", '"%s %d"'),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_value_cannot_break_its_line(value: object, shown: str) -> None:
    assert line("event", {"key": value}) == f"event key={shown}"


def test_a_long_value_is_cut() -> None:
    assert len(line("event", {"key": "x" * 10**6})) < 320


def test_subscribers_are_told_until_they_leave() -> None:
    seen: list[tuple[str, Mapping[str, object]]] = []
    leave = subscribe(lambda name, fields: seen.append((name, fields)))
    emit("first", job="a1")
    leave()
    leave()
    emit("second")
    assert seen == [("first", {"job": "a1"})]


def test_a_subscriber_that_fails_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def fail(_name: str, _fields: Mapping[str, object]) -> None:
        raise ValueError("mine")

    leave_first, leave_second = subscribe(fail), subscribe(lambda name, _fields: seen.append(name))
    emit("told")
    leave_first()
    leave_second()
    assert seen == ["told"]
    assert 'subscriber_failed event=told error="ValueError: mine"' in caplog.text


def test_nobody_listens_after_these_tests() -> None:
    assert events._subscribers == ()
