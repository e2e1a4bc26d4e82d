"""Where commands go: to the primary that Sentinels name, to the nodes of a cluster."""

import itertools

import pytest

from homing.errors import ServerError, ServerUnreachable
from homing.faults import Broken, Refusal
from homing.routes import slot_of
from homing.target import Address
from tests.unit.play import Play, command

pytestmark = pytest.mark.exact_traffic("it plays a flight with prepared answers")


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


SENTINELS, ASK, RUN = (
    "redis+sentinel://s1:1,s2:2/svc",
    "SENTINEL GET-MASTER-ADDR-BY-NAME",
    "EVALSHA sha-claim",
)


def test_a_primary_that_was_replaced_is_left_though_it_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, SENTINELS)
    assert play.drive(play.flight.run(command()), [[[b"p1", b"6379"]], ["first"]]) == "first"
    play.now += 0.4
    assert play.drive(play.flight.run(command()), [["second"]]) == "second"
    play.now += 0.2
    assert play.drive(play.flight.run(command()), [[[b"p2", b"6379"]], ["third"]]) == "third"
    assert play.verbs() == [
        ("s1:1", ASK),
        ("p1:6379", RUN),
        ("p1:6379", RUN),
        ("s1:1", ASK),
        ("p2:6379", RUN),
    ]
    assert ("drop", "p1:6379") in play.log


def test_a_primary_that_no_sentinel_can_confirm_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, SENTINELS)
    play.drive(play.flight.run(command()), [[[b"p1", b"6379"]], ["first"]])
    play.now += 1
    silent = Broken("no answer in time")
    assert play.drive(play.flight.run(command()), [silent, silent, ["second"]]) == "second"
    play.now += 4
    assert play.drive(play.flight.run(command()), [["third"]]) == "third"
    play.now += 2
    assert play.drive(play.flight.run(command()), [[[b"p1", b"6379"]], ["fourth"]]) == "fourth"


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
    with pytest.raises(ServerUnreachable, match="b:9 sends slot 12182 on to b:9"):
        play.drive(play.flight.run(command(key=HIGH)), itertools.islice(loop, 200))
    assert len(play.log) < 30


def test_keys_are_scanned_on_all_primaries(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, "redis+cluster://n:1")
    assert play.drive(play.flight.primaries(), [[HALVES]]) == [Address("a", 1), Address("n", 2)]
    page = play.drive(play.flight.page(Address("a", 1), b"0", "x*"), [[[b"7", [b"x1"]]]])
    assert page == (b"7", [b"x1"])
