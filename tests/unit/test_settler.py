"""The settler: batches, order, and what it does when an answer is lost."""

import asyncio
from typing import Any

import pytest

from homing import events
from homing.command import Command
from homing.delivery import settler as settling
from homing.delivery.assurance import Assurance
from homing.delivery.lease import Lease
from homing.delivery.settler import ENOUGH, Settler
from homing.durability import Proof, Proven
from homing.engines import make
from homing.errors import LeaseLost, QueueFull, ServerUnreachable
from homing.job import Ack, HandBack, Settled, Settlement
from homing.keys import Keys


class Heart:
    """Says that every lease lasts for ever."""

    def __init__(self) -> None:
        self.left: list[str] = []

    def lease_end_s(self, queue: str, worker: str) -> float:
        return 1e12

    def leave(self, queue: str, worker: str) -> None:
        self.left.append(worker)


class Server:
    """Answers settles with what it was told to, in order; then with success."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []
        self.lean: list[bool] = []
        self.behind: list[Any] = []
        self.held = asyncio.Event()
        self.held.set()

    async def run(self, command: Command[Any]) -> Settled | Proven[Settled]:
        assert not command.resend
        words = [word.decode() if isinstance(word, bytes) else str(word) for word in command.args]
        ids = [word for word in words if word.startswith("job")]
        self.calls.append(sorted(ids))
        self.lean.append(words[2] == "1")
        self.behind.append(command.behind)
        await self.held.wait()
        answer = self.answers.pop(0) if self.answers else Settled(len(ids))
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Settled | Proven)
        return answer


class Account:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.thrown = 0

    def settled(self, settlements: list[Settlement], refused: list[str]) -> None:
        self.done += [each.id for each in settlements]

    def thrown_away(self, count: int) -> None:
        self.thrown += count


class Floor:
    """Much runs, or nothing, or, without either, something."""

    def __init__(self, *, plenty: bool = False, quiet: bool = False) -> None:
        self.many = plenty
        self.none = quiet

    def plenty(self) -> bool:
        return self.many

    def quiet(self) -> bool:
        return self.none


def lease_on(heart: Heart) -> Lease:
    return Lease("q", "w", make("lists", Keys("q")), 10_000, heart)  # type: ignore[arg-type]


def ack(lease: Lease, number: int, decision: Any = None) -> tuple[Settlement, object]:
    """A settlement of `job<number>`, held by the lease."""
    held = object()
    lease.jobs[f"job{number}"] = held
    return Settlement(f"job{number}", b"0", decision or Ack()), held


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "backoff_s", lambda _: 0.0)


async def test_what_ends_in_one_pass_leaves_together_and_the_rest_with_the_next_call() -> None:
    server, account, lease = Server(), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor())
    server.held.clear()
    for number in range(3):
        settler.add(*ack(lease, number))
    await asyncio.sleep(0.01)
    for number in range(3, 2_005):
        settler.add(*ack(lease, number))
    assert (server.calls, settler.backlog) == ([["job0", "job1", "job2"]], 2_005)
    server.held.set()
    await settler.drained()
    assert [len(call) for call in server.calls] == [3, 1_000, 1_000, 2]
    assert (settler.backlog, lease.jobs, len(account.done)) == (0, {}, 2_005)


def waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that waits for company waits longer than any test: only what should end that does."""
    monkeypatch.setattr(settling, "HOLD_S", 60.0)


async def passes(count: int = 10) -> None:
    """Let the loop turn so often that a task which may go on has done so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_while_many_end_they_leave_by_hundreds(monkeypatch: pytest.MonkeyPatch) -> None:
    waits_long(monkeypatch)
    server, account, lease = Server(), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor(plenty=True))
    for number in range(ENOUGH * 2):  # each in a pass of its own
        settler.add(*ack(lease, number))
        await passes(3)
    await settler.drained()
    assert [len(call) for call in server.calls] == [ENOUGH, ENOUGH]
    assert (len(account.done), lease.jobs) == (ENOUGH * 2, {})


async def test_a_lone_end_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    waits_long(monkeypatch)
    server, lease = Server(), lease_on(Heart())
    settler = Settler(lease, server.run, Account(), Floor())
    settler.add(*ack(lease, 1))
    await passes()
    assert server.calls == [["job1"]]


async def test_where_nothing_else_runs_an_end_leaves_at_once_and_what_goes_back_in_one_piece() -> None:
    server, account, lease = Server(), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor(quiet=True))
    settler.add(*ack(lease, 1))
    assert server.calls == [["job1"]]  # not a pass of the loop later
    await settler.drained()
    for number in (2, 3):
        settler.add(*ack(lease, number, HandBack()))
    await settler.drained()
    assert (server.calls[1:], account.done, lease.jobs) == ([["job2", "job3"]], ["job1", "job2", "job3"], {})


async def test_an_end_that_left_at_once_is_sent_again_when_its_answer_is_lost() -> None:
    server, account, lease = Server(ServerUnreachable("gone")), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor(quiet=True))
    settler.add(*ack(lease, 1))
    await settler.drained()
    assert (server.calls, account.done, settler.backlog) == ([["job1"]] * 2, ["job1"], 0)


async def test_an_end_waits_for_company_only_a_moment() -> None:
    server, account, lease = Server(), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor(plenty=True))
    settler.add(*ack(lease, 1))
    async with asyncio.timeout(10.0):
        while not account.done:
            await asyncio.sleep(0)
    assert server.calls == [["job1"]]


async def test_who_waits_for_company_leaves_when_there_is_none_left(monkeypatch: pytest.MonkeyPatch) -> None:
    waits_long(monkeypatch)
    floor = Floor(plenty=True)
    server, lease = Server(), lease_on(Heart())
    settler = Settler(lease, server.run, Account(), floor)
    settler.add(*ack(lease, 1))
    await passes()
    assert server.calls == []
    floor.many = False
    settler.add(*ack(lease, 2))
    await passes()
    assert server.calls == [["job1", "job2"]]


@pytest.mark.parametrize("lost", [False, True], ids=["drained", "lease lost"])
async def test_nobody_waits_for_company_at_the_end(monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    waits_long(monkeypatch)
    server, account, lease = Server(), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor(plenty=True))
    settler.add(*ack(lease, 1))
    await passes()
    if lost:
        lease.lose()
    async with asyncio.timeout(10.0):
        await settler.drained()
    assert (server.calls, account.thrown) == (([], 1) if lost else ([["job1"]], 0))


async def test_a_batch_stays_under_four_megabytes() -> None:
    server, lease = Server(), lease_on(Heart())
    settler = Settler(lease, server.run, Account(), Floor())
    for number in range(5):
        settler.add(*ack(lease, number, Ack(b"x" * (3 << 19))))
    await settler.drained()
    assert [len(call) for call in server.calls] == [2, 2, 1]


async def test_a_lost_answer_is_asked_for_again_unchanged_and_no_claim_leaves_meanwhile() -> None:
    server = Server(ServerUnreachable("gone"), ServerUnreachable("gone"))
    account, lease = Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor())
    settler.add(*ack(lease, 1))
    async with lease.flight:  # a claim is on its way: the settle must not be sent again beside it
        await asyncio.sleep(0.02)
        assert server.calls == [["job1"]]
    await settler.drained()
    assert (server.calls, account.done) == ([["job1"]] * 3, ["job1"])


async def test_a_job_that_came_back_meanwhile_is_left_out_when_sent_again() -> None:
    server, account, lease = Server(ServerUnreachable("gone")), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor())
    settler.add(*ack(lease, 1, HandBack()))
    settler.add(*ack(lease, 2))
    async with lease.flight:
        await asyncio.sleep(0.02)
        again = lease.jobs["job1"] = object()  # handed back by the call whose answer was lost, and claimed
    await settler.drained()
    assert server.calls == [["job1", "job2"], ["job2"]]
    assert (lease.jobs, account.done) == ({"job1": again}, ["job1", "job2"])


async def test_what_is_refused_when_sent_again_was_done_the_first_time() -> None:
    server, lease = Server(ServerUnreachable("gone"), Settled(0, ["job1"])), lease_on(Heart())
    refused: list[str] = []

    class Listening(Account):
        def settled(self, settlements: list[Settlement], refused_ids: list[str]) -> None:
            refused.extend(refused_ids)

    settler = Settler(lease, server.run, Listening(), Floor())
    settler.add(*ack(lease, 1))
    await settler.drained()
    assert (refused, lease.jobs) == ([], {})


async def test_a_full_server_gets_the_lean_form() -> None:
    server, account, lease = Server(QueueFull("full")), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor())
    settler.add(*ack(lease, 1))
    await settler.drained()
    assert (server.calls, server.lean, account.done) == ([["job1"]] * 2, [False, True], ["job1"])


async def test_after_the_lease_is_lost_nothing_more_is_said() -> None:
    server, account, heart = Server(LeaseLost("gone")), Account(), Heart()
    lease = lease_on(heart)
    settler = Settler(lease, server.run, account, Floor())
    server.held.clear()
    settler.add(*ack(lease, 1))
    await asyncio.sleep(0.01)
    settler.add(*ack(lease, 2))
    server.held.set()
    await settler.drained()
    settler.add(*ack(lease, 3))
    assert (server.calls, account.done, account.thrown) == ([["job1"]], [], 3)
    assert (lease.lost, heart.left, settler.backlog) == (True, ["w"], 0)


async def test_refused_outcomes_are_told_and_leave_the_table() -> None:
    server, lease = Server(Settled(1, ["job1"])), lease_on(Heart())
    refused: list[str] = []

    class Listening(Account):
        def settled(self, settlements: list[Settlement], refused_ids: list[str]) -> None:
            refused.extend(refused_ids)

    settler = Settler(lease, server.run, Listening(), Floor())
    settler.add(*ack(lease, 1))
    settler.add(*ack(lease, 2))
    await settler.drained()
    assert (refused, lease.jobs) == (["job1"], {})


async def test_an_error_nobody_expected_does_not_lose_outcomes() -> None:
    server, account, lease = Server(RuntimeError("a bug")), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor())
    settler.add(*ack(lease, 1))
    await settler.drained()
    assert account.done == ["job1"]


async def test_outcomes_that_are_not_sure_are_told_once_and_leave_the_table() -> None:
    proof = Proof("replicated", 1, 50)
    unsure = Proven(Settled(1), 0, "nobody confirmed")
    server, account, lease = Server(unsure, unsure, Proven(Settled(1), 1)), Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor(), Assurance("q", proof))
    told: list[str] = []
    unsubscribe = events.subscribe(lambda name, _: told.append(name))
    for number in range(3):
        settler.add(*ack(lease, number))
        await settler.drained()
    unsubscribe()
    assert (account.done, lease.jobs) == (["job0", "job1", "job2"], {})
    assert told == ["outcomes_unsure", "outcomes_sure_again"]


async def test_a_call_sent_again_asks_again_whether_it_is_sure() -> None:
    server = Server(ServerUnreachable("gone"), Proven(Settled(0, repeated=True), 1))
    account, lease = Account(), lease_on(Heart())
    settler = Settler(lease, server.run, account, Floor(), Assurance("q", Proof("replicated", 1, 50)))
    settler.add(*ack(lease, 1))
    await settler.drained()
    assert server.behind == [(("WAIT", 1, 50),)] * 2
    assert account.done == ["job1"]
