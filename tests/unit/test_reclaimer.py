"""What dead children held is owed until the server took it back."""

from typing import Any

import pytest

from homing.command import Command
from homing.errors import ServerUnreachable, WrongType
from homing.job import Reclaimed
from homing.worker import reclaimer
from homing.worker.page import Joined
from homing.worker.reclaimer import Owed, Reclaimer


class Played:
    """A client that answers by a plan: a value is returned, an exception raised."""

    def __init__(self, *plan: Reclaimed | Exception) -> None:
        self.plan = list(plan)
        self.sent: list[tuple[str, list[object]]] = []

    def run(self, command: Command[Any], deadline: float | None = None) -> Any:
        self.sent.append((command.queue, list(command.args)))
        answer = self.plan.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def owed(queue: str, worker: str, *started: str, died: bool = True) -> Owed:
    return Owed(Joined(0, queue, "lists", worker, 10_000), started, b'{"type":"x"}', died)


def reclaimer_with(*plan: Reclaimed | Exception) -> tuple[Reclaimer, Played]:
    client = Played(*plan)
    return Reclaimer(client, "homing"), client  # type: ignore[arg-type]


DONE = Reclaimed(moved=1, buried=0, more=False)


def test_a_thousand_jobs_a_call_until_nothing_is_left() -> None:
    one, client = reclaimer_with(Reclaimed(moved=1000, buried=0, more=True), DONE)
    one.owe([owed("emails", "w1", "a", "b")])
    assert [queue for queue, _ in client.sent] == ["emails", "emails"]
    assert "died" in client.sent[0][1]
    assert {"a", "b"} <= set(client.sent[0][1])
    assert not one.owes


def test_who_was_stopped_or_left_is_charged_with_nothing() -> None:
    one, client = reclaimer_with(DONE)
    one.owe([owed("emails", "w1", "a", died=False)])
    [(_, args)] = client.sent
    assert "left" in args
    assert "a" not in args


def test_an_outage_ends_the_try_and_the_next_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(reclaimer, "boot_s", lambda: now_s[0])
    one, client = reclaimer_with(ServerUnreachable("gone"), DONE, DONE)
    one.owe([owed("emails", "w1"), owed("orders", "w2")])
    one.work()
    assert ([queue for queue, _ in client.sent], one.owes) == (["emails"], True)
    now_s[0] += reclaimer.REST_S
    one.work()
    assert ([queue for queue, _ in client.sent[1:]], one.owes) == (["emails", "orders"], False)


def test_a_last_try_does_not_wait() -> None:
    one, client = reclaimer_with(ServerUnreachable("gone"), DONE)
    one.owe([owed("emails", "w1")])
    one.work(now=True)
    assert (len(client.sent), one.owes) == (2, False)


def test_a_damaged_queue_is_left_to_its_lease_and_holds_up_no_other() -> None:
    one, client = reclaimer_with(WrongType("workers is a string"), DONE)
    one.owe([owed("emails", "w1"), owed("orders", "w2")])
    assert ([queue for queue, _ in client.sent], one.owes) == (["emails", "orders"], False)
