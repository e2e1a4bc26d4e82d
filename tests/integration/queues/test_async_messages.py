"""The same queue from asyncio: calls that share a round trip, cancellation, async with."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from homing import App, Fixed, Queue, State
from homing.errors import JobExists, JobNotSettled, LeaseLost
from homing.job import Counts
from tests.integration.queues.waiting import aeventually
from tests.servers import Server


@pytest.fixture
async def queue(app: App, engine: str) -> AsyncIterator[Queue]:
    async with app:
        yield app.queue("outbox", engine=engine)  # type: ignore[arg-type]


async def bodies(queue: Queue) -> list[object]:
    taken = []
    async for job in queue.aconsume(burst=True):
        async with job:
            taken.append(job.payload)
    return taken


async def test_messages_come_out_in_the_order_they_went_in(queue: Queue) -> None:
    await queue.aput("first")
    await queue.aput_many(range(2_500))
    assert await bodies(queue) == ["first", *range(2_500)]
    assert (await queue.acounts(), await queue.averify()) == (Counts(finished=2_501), [])


@pytest.mark.exact_traffic("it counts round trips")
async def test_calls_of_one_tick_share_a_round_trip_and_keep_their_order(
    queue: Queue, valkey: Server
) -> None:
    await queue.aput("opens the queue")
    with valkey.redis() as plain:
        before = plain.info("commandstats")["cmdstat_evalsha"]["calls"]
        await asyncio.gather(*[queue.aput(number) for number in range(500)])
        after = plain.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert after - before == 1
    assert await bodies(queue) == ["opens the queue", *range(500)]


async def test_a_taken_id_fails_its_own_call_alone(queue: Queue) -> None:
    answers = await asyncio.gather(
        queue.aput("a", id="x"), queue.aput("b", id="x"), queue.aput("c"), return_exceptions=True
    )
    assert [type(answer).__name__ for answer in answers] == ["Job", "JobExists", "Job"]
    assert await bodies(queue) == ["a", "c"]


async def test_a_full_register_of_ids_fails_only_the_calls_with_ids(app: App, queue: Queue) -> None:
    engine = await queue.aengine(app.aclient)
    await app.aclient.run(engine.open({"ids_max": 1}))
    await queue.aput("a", id="x")
    answers = await asyncio.gather(queue.aput("b", id="y"), queue.aput("c"), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["QueueFull", "Job"]
    assert await bodies(queue) == ["a", "c"]


async def test_a_cancelled_caller_does_not_cancel_the_others(queue: Queue) -> None:
    await queue.aput("opens the queue")
    calls = [asyncio.create_task(queue.aput(number)) for number in range(3)]
    await asyncio.sleep(0)  # all three are in the batch now
    calls[1].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["Job", "CancelledError", "Job"]
    assert await bodies(queue) == ["opens the queue", 0, 1, 2]


async def test_an_exception_retries_as_the_policy_says(queue: Queue) -> None:
    await queue.aput("moody")
    runs = []
    async for job in queue.aconsume(burst=True, retry=Fixed(times=1, delay=0.02)):
        async with job:
            runs.append(job.attempt)
            if job.attempt == 1:
                raise ConnectionError("451")
    assert (runs, await queue.acounts()) == ([1, 2], Counts(finished=1))


async def test_the_verbs_settle(queue: Queue) -> None:
    await queue.aput_many(["aack", "aretry", "abury", "acancel"])
    async for job in queue.aconsume(block=False, retry=Fixed(times=1, delay=60)):
        await getattr(job, job.payload)()
    assert await queue.acounts() == Counts(scheduled=1, dead=1, finished=2)


async def test_going_on_or_leaving_unsettled_hands_back_and_says_so(queue: Queue) -> None:
    await queue.aput_many(["first", "second"])
    with pytest.raises(JobNotSettled):
        async for _ in queue.aconsume():
            pass
    with pytest.raises(JobNotSettled):
        async with queue.aconsume(prefetch=2) as jobs:
            async for _ in jobs:
                break
    assert await bodies(queue) == ["first", "second"]


async def test_a_loop_that_is_left_leaves_the_queue_soon(queue: Queue) -> None:
    await queue.aput_many(["first", "second"])
    async for job in queue.aconsume(prefetch=2):
        async with job:
            break
    await aeventually(lambda: _is_left(queue))
    assert await queue.acounts() == Counts(waiting=1, finished=1)


async def _is_left(queue: Queue) -> bool:
    return (await queue.acounts()).workers == 0


async def test_a_plain_with_says_what_to_write(queue: Queue) -> None:
    await queue.aput("x")
    with pytest.raises(TypeError, match="async with job"):
        async with queue.aconsume() as jobs:
            async for job in jobs:
                with job:
                    pass
    assert await queue.acounts() == Counts(waiting=1)


async def test_a_cancelled_consumer_hands_its_message_back_uncharged(queue: Queue) -> None:
    await queue.aput("x")
    has_it = asyncio.Event()

    async def consume() -> None:
        async with queue.aconsume() as jobs:
            async for job in jobs:
                async with job:
                    has_it.set()
                    await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await has_it.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [record] = (await queue.apeek(State.WAITING)).jobs
    assert (record.attempt, await queue.acounts()) == (0, Counts(waiting=1))


async def test_a_consumer_cancelled_while_it_waits_loses_nothing(queue: Queue) -> None:
    """A claim may be under way in the very moment: whatever it took goes back."""
    for _ in range(20):
        task = asyncio.create_task(_first(queue))
        await aeventually(lambda: _has_a_worker(queue))
        put = asyncio.create_task(queue.aput("x"))
        task.cancel()
        await asyncio.gather(task, put, return_exceptions=True)
        assert await queue.acounts() == Counts(waiting=1)
        assert await queue.apurge() == 1


async def _first(queue: Queue) -> None:
    async with queue.aconsume() as jobs:
        await anext(jobs)


async def _has_a_worker(queue: Queue) -> bool:
    return (await queue.acounts()).workers == 1


async def test_a_lost_lease_is_told_and_the_loop_goes_on(app: App, queue: Queue) -> None:
    await queue.aput("x")
    runs = 0
    async for job in queue.aconsume(idle=0.5):
        runs += 1
        if runs == 1:
            [worker] = await queue.aworkers()
            await app.aclient.run((await queue.aengine(app.aclient)).reclaim(worker.id, reason="died"))
            with pytest.raises(LeaseLost):
                await job.aack()
            assert job.lost
            continue
        async with job:
            pass
    assert (runs, await queue.acounts()) == (2, Counts(finished=1))


async def test_the_app_works_in_one_event_loop_after_another(app: App, engine: str) -> None:
    def put() -> None:
        asyncio.run(_put_and_close(app, engine))

    for _ in range(2):
        await asyncio.to_thread(put)
    assert await app.queue("outbox").acounts() == Counts(waiting=2)
    await app.aclose()


async def _put_and_close(app: App, engine: str) -> None:
    await app.queue("outbox", engine=engine).aput("x")  # type: ignore[arg-type]
    await app.aclose()


async def test_put_with_a_taken_id_raises(queue: Queue) -> None:
    await queue.aput("x", id="one")
    with pytest.raises(JobExists):
        await queue.aput("x", id="one")
