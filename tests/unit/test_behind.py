"""Commands right behind a command, on its connection: played without a server."""

import itertools
from typing import Any

import pytest

from homing.command import Command
from homing.errors import QueueFull, ServerUnreachable
from homing.faults import Broken, Refusal
from tests.unit.play import CLAIM, NOSCRIPT, OTHER, Play, command

pytestmark = pytest.mark.exact_traffic("it plays a flight with prepared answers")


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    return Play(monkeypatch)


def followed(*, resend: bool = True) -> Command[list[Any]]:
    return Command(CLAIM, ("k",), ("a",), list, "mails", resend, behind=(("WAIT", 1, 50),))


def test_they_leave_in_the_same_flight_and_all_replies_are_the_answer(play: Play) -> None:
    assert play.drive(play.run(followed()), [["done", 1]]) == ["done", 1]
    assert play.log == [("h:1", ["EVALSHA", "sha-claim", "1", "k", "a"], ["WAIT", "1", "50"])]


def test_each_command_of_a_flight_has_its_own_behind_it(play: Play) -> None:
    calls: list[Command[Any]] = [command(), followed(), command(OTHER), followed()]
    answers = [["a", "b", 1, "c", "d", 0]]
    assert play.drive(play.flight.run_many(calls), answers) == ["a", ["b", 1], "c", ["d", 0]]


def test_a_refused_command_is_sent_again_with_them(play: Play) -> None:
    assert play.drive(play.run(followed()), [[NOSCRIPT, 1], ["done", 0]]) == ["done", 0]
    assert [one[1] for one in play.verbs()] == ["EVALSHA sha-claim", "EVAL #!lua\nclaim"]
    with pytest.raises(QueueFull):
        play.drive(play.run(followed()), [[Refusal("OOM command not allowed"), 1]])


def test_what_they_were_refused_stands_in_the_answer(play: Play) -> None:
    denied = Refusal("NOPERM no wait")
    assert play.drive(play.run(followed()), [["done", denied]]) == ["done", denied]


def test_cut_off_between_the_replies_all_is_asked_again(play: Play) -> None:
    cut = Broken("reset", replies=["done"])
    assert play.drive(play.run(followed()), [cut, ["repeated", 1]]) == ["repeated", 1]


def test_what_may_not_be_sent_again_keeps_the_reply_that_came(play: Play) -> None:
    cut = Broken("reset", replies=["done"])
    assert play.drive(play.run(followed(resend=False)), [cut]) == ["done", cut]
    with pytest.raises(ServerUnreachable, match="whether the command ran is not known"):
        play.drive(play.run(followed(resend=False)), [Broken("reset")])


def test_a_reply_that_came_stays_true_whatever_comes_of_asking_again(play: Play) -> None:
    cut = Broken("reset", replies=["done"])
    assert play.drive(play.run(followed()), itertools.chain([cut], itertools.repeat(Broken("x")))) == [
        "done",
        cut,
    ]
    full = [Refusal("OOM command not allowed"), 1]
    assert play.drive(play.run(followed()), [cut, full]) == ["done", cut]


def test_a_flight_that_is_cut_off_keeps_what_was_answered_whole(play: Play) -> None:
    calls = [followed(resend=False), followed(resend=False), followed(resend=False)]
    first, second, third = play.drive(
        play.flight.run_many(calls), [cut := Broken("reset", replies=["a", 1, "b"])]
    )
    assert (first, second, type(third)) == (["a", 1], ["b", cut], ServerUnreachable)
