"""When a command is sent, where to, and when again: played without a server."""

import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from homing.command import Command
from homing.errors import (
    HomingError,
    LeaseLost,
    QueueFull,
    ServerAuth,
    ServerError,
    ServerLoading,
    ServerReadOnly,
    ServerTooOld,
    ServerUnreachable,
    WrongType,
)
from homing.faults import Broken, Refusal
from homing.flight import BLOCK_MARGIN_S
from homing.greeting import check_greeting, greeting
from homing.routes import Exchange
from homing.target import Address
from tests.unit.play import NEW, NOSCRIPT, OTHER, Play, command, sent

pytestmark = pytest.mark.exact_traffic("it plays a flight with prepared answers")


@pytest.fixture(params=["the first command", "a later command, which goes straight"])
def play(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Play:
    play = Play(monkeypatch)
    if request.param != "the first command":
        play.proven = play.flight._proven = True
    return play


def test_a_script_goes_by_its_hash(play: Play) -> None:
    assert play.drive(play.run(command()), [["done"]]) == "done"
    assert play.log == [("h:1", ["EVALSHA", "sha-claim", "1", "k", "a"])]


def test_a_script_the_server_does_not_know_goes_by_its_text(play: Play) -> None:
    play.drive(play.run(command(resend=False)), [[NOSCRIPT], ["done"]])
    assert play.verbs() == [("h:1", "EVALSHA sha-claim"), ("h:1", "EVAL #!lua\nclaim")]
    assert play.now == 1_000.0


def test_where_the_lua_line_is_no_lua_the_plain_text_goes_from_then_on(play: Play) -> None:
    compile_error = Refusal(
        "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'"
    )
    play.drive(play.run(command(resend=False)), [[NOSCRIPT], [compile_error], ["done"]])
    play.drive(play.run(command()), [["done"]])
    assert play.verbs() == [
        ("h:1", "EVALSHA sha-claim"),
        ("h:1", "EVAL #!lua\nclaim"),
        ("h:1", "EVAL claim"),
        ("h:1", "EVALSHA plain-claim"),
    ]


def test_plain_commands_go_as_words_keys_and_arguments(play: Play) -> None:
    play.drive(play.run(Command(("ZADD",), ("k",), (1, "m"), int)), [[1]])
    assert play.log == [("h:1", ["ZADD", "k", "1", "m"])]


def test_after_a_broken_connection_a_command_is_sent_again_until_the_deadline(play: Play) -> None:
    with pytest.raises(ServerUnreachable, match=r"cannot reach h:1: reset; .* not known"):
        play.drive(play.run(command()), itertools.repeat(Broken("reset")))
    assert len(play.log) > 10
    assert 1_004.0 < play.now < 1_005.0


def test_the_answer_to_a_copy_is_read_as_one_when_an_earlier_one_may_have_run(play: Play) -> None:
    cancel = replace(command(), decode_again=lambda reply: f"{reply}, by this call")
    stories: list[tuple[list[Any], str]] = [
        ([], "cancelled"),
        ([Broken("Connection refused", sent=False)], "cancelled"),
        ([[Refusal("LOADING x")]], "cancelled"),
        ([Broken("reset")], "cancelled, by this call"),
    ]
    for trouble, told in stories:
        assert play.drive(play.run(cancel), [*trouble, ["cancelled"]]) == told


def test_a_claim_is_never_sent_again_when_its_end_is_unknown(play: Play) -> None:
    with pytest.raises(ServerUnreachable, match="whether the command ran is not known"):
        play.drive(play.run(command(resend=False)), [Broken("reset")])
    assert len(play.log) == 1


def test_a_claim_that_was_never_sent_may_be_sent(play: Play) -> None:
    refused = Broken("Connection refused", sent=False)
    assert play.drive(play.run(command(resend=False)), [refused, refused, ["done"]]) == "done"


@pytest.mark.parametrize(
    ("text", "error", "drops"),
    [
        ("LOADING x", ServerLoading, False),
        ("TRYAGAIN x", ServerUnreachable, False),
        ("BUSY x", ServerUnreachable, False),
        ("READONLY x", ServerReadOnly, True),
        ("MASTERDOWN x", ServerReadOnly, True),
        ("CLUSTERDOWN x", ServerUnreachable, True),
        ("UNBLOCKED force unblock, instance state changed", ServerReadOnly, True),
    ],
)
def test_what_passes_is_waited_for_until_the_deadline(
    play: Play, text: str, error: type[HomingError], drops: bool
) -> None:
    claim = command(resend=False)
    assert play.drive(play.run(claim), [[Refusal(text)], ["done"]]) == "done"
    assert (("drop", "h:1") in play.log) is drops
    with pytest.raises(error):
        play.drive(play.run(claim), itertools.repeat([Refusal(text)]))


def test_a_deadline_of_a_call_is_its_own(play: Play) -> None:
    with pytest.raises(ServerLoading):
        play.drive(play.run(command(), 0.5), itertools.repeat([Refusal("LOADING x")]))
    # Three pauses fit whatever the jitter, of 25, 50 and 100 ms at least; the fourth is 200 to 400 ms.
    assert 1_000.175 <= round(play.now, 6) < 1_000.5


def test_a_try_leaves_time_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    play, limits = Play(monkeypatch), []
    original = play._answer

    def answer(step: Exchange, rest: Any) -> Any:
        limits.append(step.by - play.now)
        return original(step, rest)

    monkeypatch.setattr(play, "_answer", answer)
    play.drive(play.run(command()), [["done"]])
    play.drive(play.run(command(resend=False)), [["done"]])
    assert limits == [5.0, 2.5, 5.0]


def test_a_definite_no_is_raised_at_once(play: Play) -> None:
    with pytest.raises(LeaseLost, match=r"gone \(queue 'mails'\)"):
        play.drive(play.run(command()), [[Refusal("LEASELOST gone")]])


def test_many_go_in_one_flight_and_the_unknown_again_in_order(play: Play) -> None:
    commands = [command(), command(OTHER), command(), Command(("PING",), (), (), str)]
    first = [NOSCRIPT, "two", NOSCRIPT, "pong"]
    assert play.drive(play.flight.run_many(commands), [first, ["one", "three"]]) == [
        "one",
        "two",
        "three",
        "pong",
    ]
    assert play.verbs()[1] == ("h:1", "EVAL #!lua\nclaim", "EVALSHA sha-claim")


def test_errors_of_many_are_values_in_their_places(play: Play) -> None:
    commands = [command(), command(), command(resend=False), command()]
    answers = [Broken("reset", replies=["one", Refusal("LEASELOST x")]), ["four"]]
    one, two, three, four = play.drive(play.flight.run_many(commands), answers)
    assert (one, four) == ("one", "four")
    assert isinstance(two, LeaseLost)
    assert isinstance(three, ServerUnreachable)
    assert play.verbs()[1] == ("h:1", "EVALSHA sha-claim")


def test_many_of_nothing_send_nothing(play: Play) -> None:
    flow = play.flight.run_many([])
    with pytest.raises(StopIteration) as end:
        next(flow)
    assert end.value.value == []


def test_a_decoder_may_raise_what_the_caller_should_see(play: Play) -> None:
    def refuse(reply: Any) -> str:
        raise ServerError(f"not {reply}")

    odd = Command(("PING",), (), (), refuse)
    [error] = play.drive(play.flight.run_many([odd]), [["pong"]])
    assert str(error) == "not pong"


def test_waiting_blocks_and_runs_the_command_in_one_flight(play: Play) -> None:
    assert play.drive(play.wait(["b1", "b2"], 1.5, command()), [[[b"b1", b"1"], "jobs"]]) == "jobs"
    assert play.log == [("h:1", ["BLPOP", "b1", "b2", "1.500"], ["EVALSHA", "sha-claim", "1", "k", "a"])]


@pytest.mark.parametrize(("asked", "block"), [(0.0, "0.010"), (0.001, "0.010"), (60.0, "2.000")])
def test_a_block_is_neither_endless_nor_too_short(play: Play, asked: float, block: str) -> None:
    assert play.drive(play.flight.wait(["b"], asked, None), [[None]]) is None
    assert play.log == [("h:1", ["BLPOP", "b", block])]


def test_a_wait_has_a_hard_end(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Play(monkeypatch).flight.wait(["b"], 1.0, None)
    next(flow)
    step = flow.send([NEW])
    assert isinstance(step, Exchange)
    assert step.by == 1_000.0 + 1.0 + BLOCK_MARGIN_S


def test_a_wait_whose_script_is_unknown_runs_its_text(play: Play) -> None:
    flow = play.wait(["b"], 1.0, command(resend=False))
    assert play.drive(flow, [[None, NOSCRIPT], ["jobs"]]) == "jobs"
    assert play.verbs()[-1] == ("h:1", "EVAL #!lua\nclaim")


def test_a_wait_that_breaks_is_over(play: Play) -> None:
    with pytest.raises(ServerUnreachable):
        play.drive(play.wait(["b"], 1.0, command()), [Broken("reset")])
    with pytest.raises(ServerUnreachable):
        play.drive(play.wait(["b"], 1.0, command()), [Broken("no", sent=False)])


@pytest.mark.parametrize("found", [Broken("reset"), Broken("no", sent=False)])
def test_after_a_wait_that_broke_the_sentinel_is_asked_who_the_primary_is(
    monkeypatch: pytest.MonkeyPatch, found: Broken
) -> None:
    play = Play(monkeypatch, "redis+sentinel://h:1/service")
    named, told = [[b"a", b"1"]], [[b"b", b"2"]]
    assert play.drive(play.wait(["b"], 0.1, command()), [named, [None, "jobs"]]) == "jobs"
    with pytest.raises(ServerUnreachable):
        play.drive(play.wait(["b"], 0.1, command()), [found])
    assert play.drive(play.wait(["b"], 0.1, command()), [told, [None, "jobs"]]) == "jobs"
    assert [where for where, *_ in play.log] == ["h:1", "a:1", "a:1", "h:1", "b:2"]


def test_a_bell_of_the_wrong_type_does_not_become_a_busy_loop(play: Play) -> None:
    wrong = Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
    with pytest.raises(WrongType):
        play.drive(play.wait(["b"], 1.0, command()), [[wrong, "jobs"]])
    with pytest.raises(WrongType):
        play.drive(play.flight.pop("b", 1.0), [[wrong]])


def test_pop_gives_the_item(play: Play) -> None:
    assert play.drive(play.flight.pop("r", 1.0), [[[b"r", b"item"]]]) == b"item"
    assert play.drive(play.flight.pop("r", 1.0), [[None]]) is None


def test_a_server_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    play.proven = True  # answer the probe here
    with pytest.raises(
        ServerTooOld, match=r"needs Redis 6\.2 or Valkey 7\.2; h:1 is 6\.0\.16 and has no LMOVE"
    ):
        play.drive(play.run(command()), [[[None]], [b"# Server\r\nredis_version:6.0.16\r\n"]])


def test_a_user_who_may_not_ask_for_commands_is_not_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    play.proven = True
    assert play.drive(play.run(command()), [[Refusal("NOPERM x")], ["done"]]) == "done"


def test_a_plain_connection_to_a_clusters_node_is_told_so(play: Play) -> None:
    with pytest.raises(ServerError, match=r"connect with redis\+cluster://h:1"):
        play.drive(play.run(command()), [[Refusal("MOVED 1 other:2")]])


def test_a_greeting_says_user_and_database() -> None:
    packed, names = greeting(("u", "p"), 3)
    assert (sent(packed), names) == ([["AUTH", "u", "p"], ["SELECT", "3"]], ["AUTH", "SELECT"])
    assert greeting((), 0) == (b"", [])


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([Refusal("WRONGPASS x"), Refusal("NOAUTH x")], ServerAuth),
        ([Refusal("ERR AUTH <password> called without any password configured"), b"OK"], ServerAuth),
        ([b"OK", Refusal("ERR DB index is out of range")], ServerError),
        ([Refusal("LOADING x"), Refusal("LOADING x")], Broken),
    ],
)
def test_a_greeting_that_is_refused_says_why(replies: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        check_greeting(["AUTH", "SELECT"], replies, Address("h", 1))


def test_a_full_server_knows_nothing_of_the_try_before(play: Play) -> None:
    full = Refusal("OOM command not allowed when used memory > 'maxmemory'.")
    with pytest.raises(ServerUnreachable, match="whether a try before did run is not known"):
        play.drive(play.run(command()), [Broken("reset"), [full]])
    with pytest.raises(QueueFull):
        play.drive(play.run(command()), [Broken("Connection refused", sent=False), [full]])
    with pytest.raises(QueueFull):  # what the script says, it says of both
        play.drive(play.run(command()), [Broken("reset"), [Refusal("QUEUEFULL so many ids")]])
