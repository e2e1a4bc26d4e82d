"""The ticker: leases kept from a thread, lost ones noticed, lapsed workers reclaimed, outages outlasted."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homing import App
from homing.client import Client
from homing.command import Command
from homing.delivery.heart import boot_s
from homing.delivery.ticker import Members, Ticker, TickRound, period_s
from homing.engines.engine import EngineName
from homing.errors import HomingError, ServerUnreachable
from homing.job import NewJob, Ticked
from homing.keys import queues_key
from tests.integration.runner.until import until
from tests.servers import start


@pytest.fixture
def client(app: App) -> Iterator[Client]:
    made = Client(app.target())
    yield made
    made.close()


@pytest.fixture
def ticker(app: App) -> Iterator[Ticker]:
    made = Ticker(Client(app.target()), prefix=app.settings.prefix)
    yield made
    made.close()


def ticked(answer: Ticked | HomingError) -> Ticked:
    assert isinstance(answer, Ticked)
    return answer


def test_a_tick_comes_each_second_and_ten_times_in_a_short_lease() -> None:
    assert (period_s(10_000), period_s(60_000), period_s(500)) == (1.0, 1.0, 0.05)


async def test_a_member_keeps_its_lease_from_its_second_join_until_it_leaves(
    app: App, ticker: Ticker, engine: EngineName
) -> None:
    verbs = app.queue("q", engine=engine).engine(app.client)
    ticker.join("q", engine, "w", 0)
    assert ticker.lease_end_s("q", "w") == 0.0
    before_s = boot_s()
    registered = app.client.run(verbs.register("w", settings={"lease_ms": 300}))
    ticker.join("q", engine, "w", registered.lease_ms)
    first_s = ticker.lease_end_s("q", "w")
    assert first_s <= before_s + 0.3
    await asyncio.sleep(0)
    await until(lambda: ticker.lease_end_s("q", "w") > first_s + 0.3)
    [record] = app.client.run(verbs.workers())
    assert record.expires_in_ms > 0
    ticker.leave("q", "w")
    assert ticker.lease_end_s("q", "w") == 0.0


async def test_a_lost_member_is_known_as_lost(app: App, ticker: Ticker) -> None:
    verbs = app.queue("q", engine="lists").engine(app.client)
    ticker.join("q", "lists", "w", 0)
    app.client.run(verbs.register("w", settings={"lease_ms": 300}))
    ticker.join("q", "lists", "w", 300)
    await until(lambda: ticker.lease_end_s("q", "w") > boot_s())
    app.client.run(verbs.reclaim("w", reason="died"))
    await until(lambda: ticker.lease_end_s("q", "w") == 0.0)


async def test_a_workers_jobs_come_back_when_its_lease_lapses(
    app: App, ticker: Ticker, engine: EngineName, events: list[str]
) -> None:
    verbs = app.queue("q", engine=engine).engine(app.client)
    app.client.run(verbs.enqueue([NewJob("a"), NewJob("b")], lane="l", number=1))
    app.client.run(verbs.register("gone", settings={"lease_ms": 200}))
    assert len(app.client.run(verbs.claim("gone", limit=2, number=1)).jobs) == 2
    ticker.join("q", engine, "w", 0)
    app.client.run(verbs.register("w"))
    ticker.join("q", engine, "w", 200)
    await until(lambda: ticker.waiting("q") == 2)
    assert "worker_lapsed" in events
    counts = app.client.run(verbs.counts())
    assert (counts.waiting, counts.active, counts.workers) == (2, 0, 1)


@pytest.mark.exact_answers("a copy tells what it promoted itself")
async def test_a_round_ticks_again_while_more_is_due_and_lists_its_queues(
    app: App, client: Client, engine: EngineName, prefix: str
) -> None:
    verbs = app.queue("q", engine=engine).engine(app.client)
    app.client.run(verbs.register("w"))
    for first in range(0, 2_500, 500):
        jobs = [NewJob(f"job{n}", delay_ms=1) for n in range(first, first + 500)]
        app.client.run(verbs.enqueue(jobs, lane="l", number=first + 1))
    time.sleep(0.01)
    answers = TickRound(client, prefix=prefix).beat([Members("q", engine, ["w"])])
    found = ticked(answers["q"])
    assert (found.promoted, found.more, found.waiting) == (2_500, False, 2_500)
    assert app.client.run(verbs.counts()).scheduled == 0
    assert client.run(Command(("SMEMBERS",), (queues_key(prefix),), (), set)) == {b"q"}


async def test_a_round_answers_with_the_error_of_each_queue_that_failed(
    app: App, client: Client, prefix: str
) -> None:
    verbs = app.queue("mine", engine="lists").engine(app.client)
    app.client.run(verbs.register("w"))
    answers = TickRound(client, prefix=prefix).beat(
        [Members("mine", "lists", ["w"]), Members("mine2", "lists", []), Members("gone", "lists", ["w"])]
    )
    assert ticked(answers["mine"]).lost == []
    assert ticked(answers["gone"]).lost == ["w"]


async def test_it_outlasts_an_outage(tmp_path: Path, events: list[str]) -> None:
    server = start("valkey-9.1", tmp_path / "server", appendonly="yes", appendfsync="always")
    app = App(server.url, deadline=0.5)
    ticker = Ticker(Client(app.target(), deadline=0.5))
    verbs = app.queue("q", engine="streams").engine(app.client)
    ticker.join("q", "streams", "w", 0)
    app.client.run(verbs.register("w", settings={"lease_ms": 1_000}))
    ticker.join("q", "streams", "w", 1_000)
    await until(lambda: ticker.lease_end_s("q", "w") > boot_s())
    server.stop()
    await until(lambda: "tick_failed" in events)
    with pytest.raises(ServerUnreachable):
        app.client.run(verbs.counts())
    end_s = ticker.lease_end_s("q", "w")
    server = start("valkey-9.1", tmp_path / "server", appendonly="yes", appendfsync="always")
    await until(lambda: ticker.lease_end_s("q", "w") > end_s)
    ticker.close()
    app.close()
    server.stop()


def test_a_closed_ticker_takes_no_member(app: App) -> None:
    ticker = Ticker(Client(app.target()))
    ticker.close()
    with pytest.raises(RuntimeError, match="closed"):
        ticker.join("q", "lists", "w", 0)
