"""When a command is sent, where to, and when again: played without a server."""

import itertools
import time
from collections.abc import Iterable
from typing import Any

import hiredis
import pytest

from homing.command import Command, Script
from homing.errors import (
    HomingError,
    LeaseLost,
    ServerAuth,
    ServerError,
    ServerLoading,
    ServerReadOnly,
    ServerTooOld,
    ServerUnreachable,
    WrongType,
)
from homing.faults import Broken, Refusal
from homing.flight import BLOCK_MARGIN_S, Flight, check_greeting, greeting
from homing.routes import Drop, Exchange, Flow, Pause, slot_of
from homing.target import Address, Target

PROBE = ["COMMAND", "INFO", "LMOVE"]
NEW = [["lmove"]]
CLAIM = Script("claim", "#!lua\nclaim", "claim", (), (), False, "sha-claim", "plain-claim")
OTHER = Script("other", "#!lua\nother", "other", (), (), False, "sha-other", "plain-other")
NOSCRIPT = Refusal("NOSCRIPT No matching script.")


def command(script: Script = CLAIM, key: str = "k", *, resend: bool = True) -> Command[str]:
    return Command(script, (key,), ("a",), str, "mails", resend)


def sent(packed: bytes) -> list[list[str]]:
    """The commands in some bytes."""
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(packed)
    commands = []
    while (words := reader.gets()) is not False:
        commands.append(words)
    return commands


class Play:
    """Drives a flow with prepared answers: a list of replies, or an exception. Its clock runs by pauses only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, url: str = "redis://h:1") -> None:
        self.flight = Flight(Target.parse(url), 5.0)
        self.log: list[Any] = []
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.proven = False

    def drive(self, flow: Flow[Any], answers: Iterable[Any]) -> Any:
        rest = iter(answers)
        step: Exchange | Pause | Drop = next(flow)
        while True:
            answer: Any = None
            match step:
                case Exchange():
                    answer = self._answer(step, rest)
                case Pause():
                    self.now += step.seconds
                case Drop():
                    self.log.append(("drop", str(step.address)))
            try:
                if isinstance(answer, Exception) and not isinstance(answer, Refusal):
                    step = flow.throw(answer)
                else:
                    step = flow.send(answer)
            except StopIteration as end:
                left = list(rest) if isinstance(answers, list) else []
                assert not left, "answers nobody asked for"
                return end.value

    def _answer(self, step: Exchange, rest: Any) -> Any:
        words = sent(step.packed)
        if words == [PROBE] and not self.proven:
            self.proven = True
            return [NEW]
        assert len(words) == step.replies
        self.log.append((str(step.address), *words))
        answer = next(rest)
        return answer if isinstance(answer, Exception) else list(answer)

    def verbs(self) -> list[Any]:
        """What was sent, without keys and arguments."""
        return [(one[0], *(" ".join(words[:2]) for words in one[1:])) for one in self.log if one[0] != "drop"]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    return Play(monkeypatch)


def test_a_script_goes_by_its_hash(play: Play) -> None:
    assert play.drive(play.flight.run(command()), [["done"]]) == "done"
    assert play.log == [("h:1", ["EVALSHA", "sha-claim", "1", "k", "a"])]


def test_a_script_the_server_does_not_know_goes_by_its_text(play: Play) -> None:
    play.drive(play.flight.run(command(resend=False)), [[NOSCRIPT], ["done"]])
    assert play.verbs() == [("h:1", "EVALSHA sha-claim"), ("h:1", "EVAL #!lua\nclaim")]
    assert play.now == 1_000.0


def test_where_the_lua_line_is_no_lua_the_plain_text_goes_from_then_on(play: Play) -> None:
    compile_error = Refusal(
        "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'"
    )
    play.drive(play.flight.run(command(resend=False)), [[NOSCRIPT], [compile_error], ["done"]])
    play.drive(play.flight.run(command()), [["done"]])
    assert play.verbs() == [
        ("h:1", "EVALSHA sha-claim"),
        ("h:1", "EVAL #!lua\nclaim"),
        ("h:1", "EVAL claim"),
        ("h:1", "EVALSHA plain-claim"),
    ]


def test_plain_commands_go_as_words_keys_and_arguments(play: Play) -> None:
    play.drive(play.flight.run(Command(("ZADD",), ("k",), (1, "m"), int)), [[1]])
    assert play.log == [("h:1", ["ZADD", "k", "1", "m"])]


def test_after_a_broken_connection_a_command_is_sent_again_until_the_deadline(play: Play) -> None:
    with pytest.raises(ServerUnreachable, match=r"cannot reach h:1: reset; .* not known"):
        play.drive(play.flight.run(command()), itertools.repeat(Broken("reset")))
    assert len(play.log) > 10
    assert 1_004.0 < play.now < 1_005.0


def test_a_claim_is_never_sent_again_when_its_end_is_unknown(play: Play) -> None:
    with pytest.raises(ServerUnreachable, match="whether the command ran is not known"):
        play.drive(play.flight.run(command(resend=False)), [Broken("reset")])
    assert len(play.log) == 1


def test_a_claim_that_was_never_sent_may_be_sent(play: Play) -> None:
    refused = Broken("Connection refused", sent=False)
    assert play.drive(play.flight.run(command(resend=False)), [refused, refused, ["done"]]) == "done"


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
    assert play.drive(play.flight.run(claim), [[Refusal(text)], ["done"]]) == "done"
    assert (("drop", "h:1") in play.log) is drops
    with pytest.raises(error):
        play.drive(play.flight.run(claim), itertools.repeat([Refusal(text)]))


def test_a_deadline_of_a_call_is_its_own(play: Play) -> None:
    with pytest.raises(ServerLoading):
        play.drive(play.flight.run(command(), 0.5), itertools.repeat([Refusal("LOADING x")]))
    assert 1_000.2 < play.now < 1_000.5


def test_a_try_leaves_time_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    play, limits = Play(monkeypatch), []
    original = play._answer

    def answer(step: Exchange, rest: Any) -> Any:
        limits.append(step.by - play.now)
        return original(step, rest)

    monkeypatch.setattr(play, "_answer", answer)
    play.drive(play.flight.run(command()), [["done"]])
    play.drive(play.flight.run(command(resend=False)), [["done"]])
    assert limits == [5.0, 2.5, 5.0]


def test_a_definite_no_is_raised_at_once(play: Play) -> None:
    with pytest.raises(LeaseLost, match=r"gone \(queue 'mails'\)"):
        play.drive(play.flight.run(command()), [[Refusal("LEASELOST gone")]])


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
    assert play.drive(play.flight.wait(["b1", "b2"], 1.5, command()), [[[b"b1", b"1"], "jobs"]]) == "jobs"
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
    flow = play.flight.wait(["b"], 1.0, command(resend=False))
    assert play.drive(flow, [[None, NOSCRIPT], ["jobs"]]) == "jobs"
    assert play.verbs()[-1] == ("h:1", "EVAL #!lua\nclaim")


def test_a_wait_that_breaks_is_over(play: Play) -> None:
    with pytest.raises(ServerUnreachable):
        play.drive(play.flight.wait(["b"], 1.0, command()), [Broken("reset")])
    with pytest.raises(ServerUnreachable):
        play.drive(play.flight.wait(["b"], 1.0, command()), [Broken("no", sent=False)])


def test_a_bell_of_the_wrong_type_does_not_become_a_busy_loop(play: Play) -> None:
    wrong = Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
    with pytest.raises(WrongType):
        play.drive(play.flight.wait(["b"], 1.0, command()), [[wrong, "jobs"]])
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
        play.drive(play.flight.run(command()), [[[None]], [b"# Server\r\nredis_version:6.0.16\r\n"]])


def test_a_user_who_may_not_ask_for_commands_is_not_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    play.proven = True
    assert play.drive(play.flight.run(command()), [[Refusal("NOPERM x")], ["done"]]) == "done"


def test_a_plain_connection_to_a_clusters_node_is_told_so(play: Play) -> None:
    with pytest.raises(ServerError, match=r"connect with redis\+cluster://h:1"):
        play.drive(play.flight.run(command()), [[Refusal("MOVED 1 other:2")]])


def test_a_sentinel_is_asked_for_the_primary_and_again_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+sentinel://s1:1,s2:2/svc")
    answers = [
        Broken("refused", sent=False),  # s1
        [[b"p1", b"6379"]],  # s2
        ["done"],
        Broken("reset"),
        [[b"p2", b"6379"]],  # s2 answered last: it is asked first
        [Refusal("READONLY x")],
        [[b"p3", b"6379"]],
        ["done again"],
    ]
    assert play.drive(play.flight.run(command()), answers[:3]) == "done"
    assert play.drive(play.flight.run(command()), answers[3:]) == "done again"
    ask, run = "SENTINEL GET-MASTER-ADDR-BY-NAME", "EVALSHA sha-claim"
    assert play.verbs() == [
        ("s1:1", ask),
        ("s2:2", ask),
        ("p1:6379", run),
        ("p1:6379", run),
        ("s2:2", ask),
        ("p2:6379", run),
        ("s2:2", ask),
        ("p3:6379", run),
    ]


def test_a_service_no_sentinel_knows_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+sentinel://s1:1,s2:2/svc")
    with pytest.raises(ServerError, match="knows a service 'svc'"):
        play.drive(play.flight.run(command()), [[None], Broken("x")])


def test_sentinels_that_are_away_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+sentinel://:pw@s1:1,s2:2/svc")
    with pytest.raises(ServerUnreachable, match=r":\*\*\*@s1:1,s2:2/svc/0: s2:2: refused"):
        play.drive(play.flight.run(command()), itertools.repeat(Broken("refused", sent=False)))


HALVES = [[0, 8191, [b"a", 1, b"id"], [b"a2", 1, b"id"]], [8192, 16383, [b"", 2, b"id"]]]
LOW, HIGH = "{0}", "{foo}"  # slots 13907 and 12182


def test_slots_are_those_of_the_cluster_specification() -> None:
    assert slot_of("123456789") == 0x31C3
    assert slot_of("homing:{foo}:x") == slot_of("foo") == slot_of(b"foo") == 12182
    assert slot_of("{}foo") == slot_of(b"{}foo") != slot_of("foo")


def test_a_cluster_is_asked_for_its_slots_and_moves_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+cluster://n:1")
    moved = Refusal("MOVED 12182 b:9")
    answers = [[HALVES], [moved], ["done"], ["done"]]
    assert play.drive(play.flight.run(command(key=HIGH)), answers[:3]) == "done"
    assert play.drive(play.flight.run(command(key=HIGH)), answers[3:]) == "done"
    run = "EVALSHA sha-claim"
    assert play.verbs() == [("n:1", "CLUSTER SLOTS"), ("n:2", run), ("b:9", run), ("b:9", run)]


def test_a_cluster_asks_elsewhere_for_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+cluster://n:1")
    answers = [[HALVES], [Refusal("ASK 12182 b:9")], ["OK", "done"], ["done"]]
    assert play.drive(play.flight.run(command(key=HIGH)), answers[:3]) == "done"
    assert play.drive(play.flight.run(command(key=HIGH)), answers[3:]) == "done"
    run = "EVALSHA sha-claim"
    assert play.verbs() == [("n:1", "CLUSTER SLOTS"), ("n:2", run), ("b:9", "ASKING", run), ("n:2", run)]


def test_when_a_node_is_gone_another_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+cluster://n:1")
    after = [[0, 16383, [b"a2", 1, b"id"]]]
    answers = [[HALVES], Broken("reset"), Broken("refused", sent=False), [after], ["done"]]
    assert play.drive(play.flight.run(command(key="{bar}")), answers) == "done"
    assert [verb[:2] for verb in play.verbs()][-3:] == [
        ("n:1", "CLUSTER SLOTS"),
        ("a2:1", "CLUSTER SLOTS"),
        ("a2:1", "EVALSHA sha-claim"),
    ]


def test_many_for_several_nodes_go_in_a_flight_each(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+cluster://n:1")
    commands = [command(key="{bar}"), command(key=HIGH), command(key="{bar}")]
    assert play.drive(play.flight.run_many(commands), [[HALVES], ["1", "3"], ["2"]]) == ["1", "2", "3"]


def test_two_nodes_that_send_each_other_do_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+cluster://n:1")
    loop = itertools.chain([[HALVES]], itertools.repeat([Refusal("MOVED 12182 b:9")]))
    with pytest.raises(ServerError):
        play.drive(play.flight.run(command(key=HIGH)), itertools.islice(loop, 200))
    assert len(play.log) < 30


def test_keys_are_scanned_on_all_primaries(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+cluster://n:1")
    assert play.drive(play.flight.primaries(), [[HALVES]]) == [Address("a", 1), Address("n", 2)]
    page = play.drive(play.flight.page(Address("a", 1), b"0", "x*"), [[[b"7", [b"x1"]]]])
    assert page == (b"7", [b"x1"])


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
