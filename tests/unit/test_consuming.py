"""What a consumer tells the server about its messages, without a server."""

from collections.abc import Generator
from typing import Any

import pytest

from homing import App
from homing.consuming import Consuming, Taking
from homing.delivery.lease import Lease
from homing.engines import make
from homing.errors import ServerUnreachable
from homing.job import Ack, Claimed, Settled
from homing.keys import Keys
from homing.message import Message
from homing.steps import Run, Sleep
from tests.unit.idle_heart import IdleHeart

Telling = Generator[Any, Any, None]


@pytest.fixture
def consuming() -> Consuming:
    taking = Taking.of(prefetch=1, block=True, burst=False, idle=None, retry=None)
    heart: Any = IdleHeart()
    return Consuming(App("redis://nowhere").queue("mails").sender, heart, taking, is_async=False)


def tell(consuming: Consuming, job_id: str) -> Telling:
    lease = Lease("mails", "w1", make("lists", Keys("mails")), 10_000, IdleHeart())
    claimed = Claimed(job_id, b"0", "", b"1", 0, b"", 0)
    return consuming.settle(Message(consuming, lease, claimed, 0), Ack())


def number(effect: Any) -> int:
    """Under which number a settle is sent."""
    assert isinstance(effect, Run)
    found = effect.command.args[3]
    assert isinstance(found, int)
    return found


def end(telling: Telling) -> None:
    with pytest.raises(StopIteration):
        telling.send(Settled(1))


def test_settles_are_numbered_one_after_the_other(consuming: Consuming) -> None:
    for expected in (1, 2, 3):
        telling = tell(consuming, "a")
        assert number(next(telling)) == expected
        end(telling)


def test_a_settle_is_sent_again_under_its_number(consuming: Consuming) -> None:
    telling = tell(consuming, "a")
    assert number(next(telling)) == 1
    assert isinstance(telling.throw(ServerUnreachable("lost")), Sleep)
    assert number(telling.send(None)) == 1
    end(telling)


def test_of_settles_that_may_overtake_each_other_one_is_numbered(consuming: Consuming) -> None:
    first, second = tell(consuming, "a"), tell(consuming, "b")
    assert (number(next(first)), number(next(second))) == (1, 0)
    end(second)
    end(first)
    assert number(next(tell(consuming, "c"))) == 2


def test_a_settle_that_was_broken_off_leaves_room_for_a_numbered_one(consuming: Consuming) -> None:
    first = tell(consuming, "a")
    next(first)
    with pytest.raises(KeyboardInterrupt):
        first.throw(KeyboardInterrupt())
    assert number(next(tell(consuming, "b"))) == 2
