"""From its second enqueue on a queue's way is known: until something is declared, or the app is closed."""

import gc
import weakref

import pytest

from homing import App, Queue
from homing.engines.engine import EngineName
from homing.errors import NotDurable
from homing.job import Counts


def test_what_is_declared_later_holds_for_the_next_enqueue(app: App, queue: Queue) -> None:
    queue.put("one")
    queue.put("two")
    app.queue("outbox", durability="fsynced")
    with pytest.raises(NotDurable):  # this server writes nothing to its disk
        queue.put("three")
    assert queue.counts() == Counts(waiting=2)


def test_what_one_call_asks_for_holds_for_it_alone(queue: Queue) -> None:
    queue.put("one")
    queue.put("two")
    with pytest.raises(NotDurable):
        queue.put("three", durability="fsynced")
    queue.put("four")
    assert queue.counts() == Counts(waiting=3)


def test_what_one_call_does_without_does_not_hold_for_the_next(app: App, engine: EngineName) -> None:
    queue = app.queue("outbox", engine=engine)
    queue.put("one")
    app.queue("outbox", durability="fsynced")
    queue.put("two", durability="memory")
    queue.put("three", durability="memory")
    with pytest.raises(NotDurable):
        queue.put("four")
    assert queue.counts() == Counts(waiting=3)


def test_a_closed_app_keeps_no_connection_and_makes_a_new_one(app: App, queue: Queue) -> None:
    queue.put("one")
    queue.put("two")
    client = weakref.ref(queue.sender.link.client)
    app.close()
    gc.collect()
    assert client() is None
    queue.put("three")
    assert queue.counts() == Counts(waiting=3)
