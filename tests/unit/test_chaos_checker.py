"""The checker of the chaos harness sees what it is there to see: histories written by hand, in seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import checker, history
from chaos.checker import Final, Verdict

EMPTY = Final(counts={"waiting": 0})
Tell = Callable[..., Verdict]


@pytest.fixture
def told(tmp_path: Path) -> Tell:
    """Checks a story: lines `<second> <pid> <op> <words>`; worker 11 is a child of 1, worker 22 of 2."""

    def check(story: str, final: Final = EMPTY) -> Verdict:
        files: dict[str, list[str]] = {
            "11": ["0 hello worker 11 1"],
            "22": ["0 hello worker 22 2"],
            "9": ["0 hello harness 9 0"],
        }
        for line in filter(None, story.splitlines()):
            at_s, pid, rest = line.split(maxsplit=2)
            files[pid].append(f"{int(float(at_s) * 1e9)} {rest}")
        for pid, lines in files.items():
            (tmp_path / f"{pid}.log").write_text("\n".join(lines) + "\n")
        return checker.check(history.read(tmp_path), final, lease_ms=2_000)

    return check


GOOD = """
1 9 try 0 1
1.1 9 ok 0 1
2 11 start 0 quick a 100 1 w1
3 11 end 0 a 100 done
3.1 11 settled completed a
"""


def test_a_job_that_ran_once_and_ended_is_fine(told: Tell) -> None:
    verdict = told(GOOD)
    assert verdict.good
    assert (verdict.counts["enqueued"], verdict.counts["runs"]) == (1, 1)


IDLE = "5 9 fault 1 pause 1,11\n6 9 healed 1\n30 9 phase drain\n"


def test_a_worker_that_is_struck_again_and_again_must_still_end_jobs(told: Tell) -> None:
    faults = "".join(f"{at} 9 fault {at} kill_server *\n{at + 1} 9 healed {at}\n" for at in range(5, 29, 3))
    story = GOOD + faults + "5.5 9 try 1 2\n29 22 start 1 quick b 101 1 w2\n29.5 22 settled completed b\n"
    assert "I12" in told(story + "30 9 phase drain").violations
    ends = "".join(
        f"{at}.2 11 start {at} quick j{at} 1{at} 1 w1\n{at}.3 11 end {at} j{at} 1{at} done\n"
        f"{at}.4 11 settled completed j{at}\n{at} 9 try {at} {at + 1}\n"
        for at in range(6, 30, 3)
    )
    verdict = told(story + ends + "30 9 phase drain")
    assert "I12" not in verdict.violations
    assert verdict.counts["slowest recovery ms"] == 300


def test_a_worker_that_has_nothing_to_do_may_do_nothing(told: Tell) -> None:
    assert told(GOOD + IDLE).good


@pytest.mark.parametrize(
    ("invariant", "story"),
    [
        ("I1", "1 9 try 0 1\n1.1 9 ok 0 1"),
        ("I1", GOOD.replace("settled", "gone")),
        ("I2", "2 11 start 0 quick a 100 1 w1\n3 11 end 0 a 100 done\n3.1 11 settled completed a"),
        ("I2", GOOD + "4 22 start 0 quick b 101 1 w2\n4.1 22 settled completed b"),
        (
            "I3",
            GOOD.replace("3.1 11 settled completed a", "4 22 start 0 quick a 101 1 w2\n5 22 settled dead a"),
        ),
        ("I4", GOOD + "4 22 settled completed a"),
        ("I4", GOOD + "4 22 start 0 quick a 101 1 w2"),
        ("I4", GOOD + "4 22 start 0 quick a 100 1 w2"),
        ("I6", GOOD.replace("a 100 1 w1", "a 100 2 w1")),
        ("I12", GOOD + IDLE + "5.5 9 try 1 2\n12 22 start 1 quick b 101 1 w2\n13 22 settled completed b"),
        ("I14", GOOD + "4 9 answer 0 wrong a"),
    ],
)
def test_each_invariant_that_is_broken_is_named(told: Tell, invariant: str, story: str) -> None:
    assert invariant in told(story).violations


TWICE = """
1 9 try 0 1
1.1 9 ok 0 1
2 11 start 0 quick a 100 1 w1
{fault}
4 22 start 0 quick a 101 1 w2
4.1 22 end 0 a 101 done
4.2 22 settled completed a
"""


@pytest.mark.parametrize("began_s", [1.5, 2.5])
def test_who_ran_beside_poison_may_run_again_whichever_began_first(told: Tell, began_s: float) -> None:
    poison = f"1 9 try 1 2\n{began_s} 11 start 1 exits b 99 1 w1\n"
    verdict = told(poison + TWICE.format(fault=""))
    assert "I3" not in verdict.violations
    assert verdict.explained == {"a neighbour's poison": 1}


@pytest.mark.parametrize(
    ("explained", "fault"),
    [
        (True, "3 9 fault 1 kill child 11\n3 9 healed 1"),
        (True, "3 9 fault 1 kill tree 1,11\n3 9 healed 1"),
        (True, "3 9 fault 1 kill server *\n3.5 9 healed 1"),
        (False, "3 9 fault 1 kill child 22\n3 9 healed 1"),  # another's death explains nothing
        (False, "5 9 fault 1 kill child 11\n5 9 healed 1"),  # nor does a later one
        (False, "3 9 fault 1 quiet -\n3 9 healed 1"),
    ],
)
def test_a_second_run_needs_a_fault_that_touched_the_first(told: Tell, explained: bool, fault: str) -> None:
    verdict = told(TWICE.format(fault=fault))
    assert ("I3" not in verdict.violations) is explained
    assert verdict.counts["extra runs"] == 1


def test_a_planned_retry_is_no_extra_run(told: Tell) -> None:
    story = (
        GOOD.replace("quick", "shaky")
        .replace("settled completed", "settled retried")
        .replace("done", "raised")
    )
    verdict = told(story + "4 22 start 0 shaky a 101 2 w2\n5 22 end 0 a 101 done\n5 22 settled completed a")
    assert verdict.good
    assert verdict.counts["extra runs"] == 0


def test_what_the_server_says_counts_when_a_kill_kept_the_worker_from_saying_it(told: Tell) -> None:
    story = GOOD.replace("3.1 11 settled completed a", "")
    assert "I1" in told(story).violations
    assert told(story, Final(counts={}, facts={"a": "completed"})).good


def test_what_is_left_on_the_server_is_a_violation(told: Tell) -> None:
    assert "I13" in told(GOOD, Final(counts={"active": 1})).violations
    assert "I13" in told(GOOD, Final(counts={}, leftovers=("homing:{chaos}:worker:w1",))).violations


def test_a_line_that_a_kill_cut_off_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "11.log").write_text("0 hello worker 11 1\n1 start 0 quick a 100 1 w1\n2 end 0 a 1")
    account = history.read(tmp_path)
    assert account.torn == 1
    assert [run.how for run in account.runs[0]] == [""]


@pytest.mark.parametrize(("acknowledged_s", "lost"), [(7.9, 1), (8.1, 0), (12.9, 0), (13.1, 1)])
def test_only_what_was_acknowledged_around_a_failover_may_be_lost(
    told: Tell, acknowledged_s: float, lost: int
) -> None:
    story = f"1 9 try 0 1\n{acknowledged_s} 9 ok 0 1\n9 9 fault 1 switch *\n12 9 healed 1"
    verdict = told(story, Final(counts={}, lossy=frozenset({"switch"})))
    assert (verdict.counts["lost"], verdict.counts["lost in the window"]) == (lost, 1 - lost)
    assert ("I1" in verdict.violations) == bool(lost)


@pytest.mark.parametrize(("ended_s", "good"), [(3.1, False), (8.1, True)])
def test_only_an_end_that_a_failover_may_have_taken_back_may_come_twice(
    told: Tell, ended_s: float, good: bool
) -> None:
    story = f"""
1 9 try 0 1
1.1 9 ok 0 1
2 11 start 0 quick a 100 1 w1
3 11 end 0 a 100 done
{ended_s} 11 settled completed a
9 9 fault 1 switch *
12 9 healed 1
12.5 22 start 0 quick a 101 1 w2
12.6 22 end 0 a 101 done
14 22 settled completed a
"""
    assert ("I4" not in told(story, Final(counts={}, undone=frozenset({"switch"}))).violations) == good


@pytest.mark.parametrize(
    ("clock", "good"),
    [
        ("", False),
        ("1.5 9 clock 0 60000\n1.6 9 clock 60000", True),  # it jumped over the time
        ("0.5 9 clock 60000\n1.5 9 clock 60000 0\n1.6 9 clock 0", False),
        ("1 9 clock 0 60000\n1.05 9 clock 60000", True),  # enqueued just before the jump, or just behind it
        ("0.5 9 clock 0 60000\n0.6 9 clock 60000", False),
        ("2.5 9 clock 0 60000", False),
    ],
)
def test_a_job_runs_when_it_is_due_by_the_servers_clock(told: Tell, clock: str, *, good: bool) -> None:
    verdict = told(f"0.9 9 later 0 3000\n{GOOD}\n{clock}")
    assert ("I10" not in verdict.violations) == good


def test_what_is_completed_has_run_to_its_end(told: Tell) -> None:
    unfinished = GOOD.replace("3 11 end 0 a 100 done\n", "")
    assert "I1" in told(unfinished).violations
    story = unfinished.replace("3.1 11 settled completed a", "")
    assert "I1" in told(story, Final(counts={}, facts={"a": "completed"})).violations


STOPPED = TWICE.format(fault="2.5 9 fault 1 stop beyond lease 1,11\n3.5 9 healed 1") + "1 9 try 1 2\n"


@pytest.mark.parametrize(
    ("good", "later"),
    [
        (True, "5 11 start 1 quick b 99 1 w1\n5.1 11 end 1 b 99 done"),  # it had been claimed before
        (True, "5 11 start 1 quick b 102 1 w3\n5.1 11 end 1 b 102 done\n5.2 11 settled completed b"),
        (False, "5 11 start 1 quick b 102 1 w1\n5.1 11 end 1 b 102 done\n5.2 11 settled completed b"),
    ],
)
def test_a_worker_that_was_reclaimed_takes_no_more_jobs(told: Tell, good: bool, later: str) -> None:
    assert ("I4" not in told(STOPPED + later).violations) is good


@pytest.mark.parametrize(
    ("good", "story"),
    [
        (True, "2 11 start 0 exits a 100 1 w1\n3 9 marks a 1"),
        (False, "3 9 marks a 1\n4 22 start 0 quick a 101 1 w2"),  # it had only been held
        (True, "3 9 marks a 1\n4 22 start 0 stops a 101 1 w2"),  # it may have waited for its thread
        # Nobody saw what ran in a tree that died: nobody is charged.
        (False, "3 9 marks a 2\n4 22 start 0 quick a 101 1 w2\n2 9 fault 1 kill tree 1,11\n2 9 healed 1"),
    ],
)
def test_a_crash_is_charged_to_what_had_started(told: Tell, good: bool, story: str) -> None:
    assert ("I6" not in told(f"1 9 try 0 1\n{story}").violations) is good


@pytest.mark.parametrize(
    ("good", "beside"),
    [
        (True, "1.5 11 start 1 quick b 99 1 w1\n1.6 11 end 1 b 99 done"),  # it had ended before
        (True, "1.5 22 start 1 nap b 99 1 w2"),  # in another process
        (False, "1.5 11 start 1 nap b 99 1 w1"),
        (False, "2.5 11 start 1 nap b 99 1 w1\n2.6 11 end 1 b 99 done"),
        (False, "2.5 11 start 1 nap b 99 1 w1\n3 11 end 0 a 100 done"),
        (True, "3 11 end 0 a 100 done\n3.5 11 start 1 nap b 101 1 w3"),  # it had been cut off, and came back
    ],
)
def test_who_is_buried_for_a_crash_ran_alone(told: Tell, good: bool, beside: str) -> None:
    story = f"1 9 try 0 2\n2 11 start 0 exits a 100 1 w1\n{beside}"
    assert ("I6" not in told(story, Final(counts={}, dead=frozenset({"a"}))).violations) is good


@pytest.mark.parametrize(("kind", "good"), [("thread", False), ("fails", True)])
def test_nobody_is_buried_for_what_it_does_not_raise(told: Tell, kind: str, good: bool) -> None:
    story = GOOD.replace("quick", kind).replace("settled completed", "settled dead").replace("done", "raised")
    assert ("I6" not in told(story, Final(counts={}, dead=frozenset({"a"}))).violations) is good
