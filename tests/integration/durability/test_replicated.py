"""`durability="replicated"`: what was confirmed is on a replica, and what was not is said to be uncertain."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from homing import App
from homing.errors import EnqueueUncertain, JobExists, NotDurable
from tests.integration.client.links import proxy
from tests.servers import Server, frozen, replicated

Put = Callable[..., Any]
Pair = tuple[Server, Server]


def _named(error: EnqueueUncertain) -> tuple[str, list[str], int]:
    return error.queue, error.ids, error.replicas


def test_what_is_confirmed_is_on_the_replica(app: App, pair: Pair, put: Put) -> None:
    job = put(app.queue("mails", engine="lists"), "hello", durability="replicated")
    with pair[1].redis() as replica:
        assert replica.exists(f"{app.settings.prefix}:{{mails}}:job:{job.id}") == 1


def test_a_replica_that_stands_still_makes_it_uncertain_in_time_and_nothing_is_doubled(
    app: App, pair: Pair, put: Put
) -> None:
    queue = app.queue("mails")
    put(queue, "before", durability="replicated")
    with frozen(pair[1]):
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(
                EnqueueUncertain, match="0 of 1 replicas confirmed it within 400 ms"
            ) as raised:
                put(queue, "hello", id="welcome-1", durability="replicated")
            assert time.monotonic() - began < 1.6
            assert _named(raised.value) == ("mails", ["welcome-1"], 0)
        with pair[0].redis() as other:  # what any connection but the one that wrote would say
            assert other.execute_command("WAIT", 1, 50) == 1
        put(queue, "not asked for")
        assert queue.counts().waiting == 3
    with pytest.raises(JobExists):  # it is there, and now it is confirmed, too
        put(queue, "hello", id="welcome-1", durability="replicated")
    assert queue.counts().waiting == 3
    put(queue, "after", durability="replicated")


@pytest.mark.parametrize("name", ["redis-6.2", "redis-8.2"])
def test_every_server_says_the_same(name: str, prefix: str) -> None:
    with replicated(name) as (primary, replica), App(primary.url, prefix=prefix, deadline=1.6) as app:
        queue = app.queue("mails")
        queue.put("before", durability="replicated")
        with frozen(replica), pytest.raises(EnqueueUncertain):
            queue.put("hello", id="welcome-1", durability="replicated")
        with pytest.raises(JobExists):
            queue.put("hello", id="welcome-1", durability="replicated")


@pytest.mark.parametrize("client", ["sync", "async"])
def test_a_call_sent_again_on_a_new_connection_asks_about_what_was_written_before(
    client: str, pair: Pair, prefix: str
) -> None:
    with (
        proxy(pair[0].url) as road,
        App(f"redis://127.0.0.1:{road.port}", prefix=prefix, deadline=2) as app,
    ):
        queue = app.queue("mails")

        async def put(payload: str) -> None:
            if client == "sync":
                queue.put(payload, durability="replicated")
            else:
                await queue.aput(payload, durability="replicated")

        async def scene() -> None:
            await put("before")
            with frozen(pair[1]):
                connections = road.connections
                road.lose_next_reply("closed")
                with pytest.raises(EnqueueUncertain):
                    await put("hello")
                assert road.connections == connections + 1
            await app.aclose()

        asyncio.run(scene())
        assert queue.counts().waiting == 2


def test_calls_of_one_tick_are_each_as_sure_as_they_ask_for(app: App, pair: Pair) -> None:
    queue = app.queue("mails")

    async def together() -> list[Any]:
        calls = [queue.aput(level, id=f"{level}-{n}", durability=level) for n in (1, 2) for level in levels]
        try:
            return list(await asyncio.gather(*calls, return_exceptions=True))
        finally:
            await app.aclose()

    levels: tuple[Any, ...] = ("memory", "replicated")
    queue.put("before", durability="replicated")
    with frozen(pair[1]):
        answers = asyncio.run(together())
    assert [type(answer).__name__ for answer in answers] == ["Job", "EnqueueUncertain"] * 2
    assert [answers[1].ids, answers[3].ids] == [["replicated-1"], ["replicated-2"]]
    assert queue.counts().waiting == 5


@pytest.mark.exact_answers("it counts the waits that came to the server")
def test_a_batch_waits_once_and_keeps_its_order(app: App, pair: Pair) -> None:
    @app.task
    def note(n: int) -> None: ...

    sure, quick = note.options(durability="replicated"), note.options(durability="memory")
    calls = [sure.call(0), quick.call(1), *(sure.call(n) for n in range(2, 5))]
    jobs = note.enqueue_many(calls)
    with pair[0].redis() as primary:
        calls_of = primary.info("commandstats")["cmdstat_wait"]["calls"]
        note.enqueue_many(sure.call(n) for n in range(100))
        assert primary.info("commandstats")["cmdstat_wait"]["calls"] == calls_of + 1
    waiting = [job.id for job in app.queue("default").peek(limit=5).jobs]
    assert waiting == [job.id for job in jobs]
    with frozen(pair[1]), pytest.raises(EnqueueUncertain, match="100 jobs of queue 'default'") as raised:
        note.enqueue_many(sure.call(n) for n in range(100))
    assert len(raised.value.ids) == 100
    assert raised.value.__notes__ == ["0 jobs of this call were stored in queue 'default' before it"]


@pytest.mark.parametrize("where", ["the queue's", "the app's"])
def test_without_a_word_at_the_call_the_queue_decides_and_then_the_app(
    where: str, pair: Pair, prefix: str
) -> None:
    said: dict[str, Any] = {"durability": "replicated"} if where == "the app's" else {}
    with App(pair[0].url, prefix=prefix, deadline=1.6, **said) as app:
        queue = app.queue("mails", durability=None if said else "replicated")
        queue.put("before")
        with frozen(pair[1]):
            with pytest.raises(EnqueueUncertain):
                queue.put("hello")
            queue.put("hello", durability="memory")


def test_without_a_replica_nothing_is_stored(prefix: str, valkey: Server, put: Put) -> None:
    with App(valkey.url, prefix=prefix) as app:
        with pytest.raises(NotDurable, match=r"nothing was stored: it has 0 of the 1 replicas .* REPLICAOF"):
            put(app.queue("mails"), "hello", durability="replicated")
        assert app.queue("mails").counts().waiting == 0


def test_more_replicas_can_be_asked_for(pair: Pair, prefix: str) -> None:
    with (
        App(pair[0].url, prefix=prefix, durability_replicas=2) as app,
        pytest.raises(NotDurable, match="1 of the 2 replicas"),
    ):
        app.queue("mails").put("hello", durability="replicated")


def test_a_user_that_may_not_wait_is_told_that_it_is_stored(pair: Pair, prefix: str) -> None:
    port = pair[0].redis().config_get("port")["port"]
    with pair[0].redis() as primary:
        primary.execute_command("ACL", "SETUSER", "shy", "on", ">pw", "~*", "&*", "+@all", "-wait")
    with (
        App(f"redis://shy:pw@127.0.0.1:{port}", prefix=prefix) as app,
        pytest.raises(EnqueueUncertain, match="whether replicas have it is not known: NOPERM"),
    ):
        app.queue("mails").put("hello", durability="replicated")
