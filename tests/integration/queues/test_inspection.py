"""Looking at a queue and putting it in order."""

import time

import pytest

from homing import App, Queue, State
from homing.command import Command
from homing.errors import JobNotFound
from homing.job import Counts


def bury_all(queue: Queue) -> None:
    for job in queue.consume(block=False):
        job.bury("for the test")


def test_peek_pages_through_a_state(queue: Queue) -> None:
    jobs = queue.put_many(range(25))
    found, cursor = [], ""
    while True:
        page = queue.peek(State.WAITING, cursor=cursor, limit=10)
        found += [record.id for record in page.jobs]
        if not (cursor := page.cursor):
            break
    assert found == [job.id for job in jobs]
    assert [record.id for record in queue.peek("scheduled").jobs] == []


def test_purge_deletes_a_state_whole(queue: Queue) -> None:
    queue.put_many(range(1_500))
    queue.put("later", delay=60)
    assert (queue.purge(), queue.counts()) == (1_500, Counts(scheduled=1))
    assert (queue.purge("scheduled"), queue.counts(), queue.verify()) == (1, Counts(), [])
    with pytest.raises(ValueError, match="waiting, scheduled, dead"):
        queue.purge(State.ACTIVE)
    with pytest.raises(ValueError, match="sleeping"):
        queue.purge("sleeping")


def test_dead_letters_are_listed_replayed_and_purged(queue: Queue) -> None:
    jobs = queue.put_many(range(5))
    bury_all(queue)
    assert [record.id for record in queue.dead()] == [job.id for job in jobs]
    assert [record.id for record in queue.dead(limit=2)] == [job.id for job in jobs[:2]]
    assert queue.replay([jobs[1].id, "nobody"]) == [jobs[1].id]
    assert queue.counts() == Counts(waiting=1, dead=4)
    assert len(queue.replay()) == 4
    bury_all(queue)
    assert (queue.purge("dead"), queue.counts()) == (5, Counts())


@pytest.mark.exact_answers("a copy takes what an earlier call cancelled for its own work")
def test_remove_and_cancel_one_job(queue: Queue) -> None:
    first, second, third = queue.put_many(range(3))
    assert queue.remove(first.id)
    assert queue.cancel(second.id)
    assert not queue.cancel(second.id)
    for verb in (queue.remove, queue.cancel):
        with pytest.raises(JobNotFound, match="outbox/nobody"):
            verb("nobody")
    for job in queue.consume(block=False):
        with job:
            assert (job.id, queue.remove(job.id), queue.cancel(job.id)) == (third.id, False, False)
    assert queue.verify() == []


def test_workers_and_statistics_tell_what_goes_on(queue: Queue) -> None:
    queue.put("x")
    minute = int(time.time() // 60)
    for job in queue.consume(block=False):
        [worker] = queue.workers()
        assert (worker.holding, b'"pid"' in worker.info) == (1, True)
        job.ack()
    counted = [queue.statistics(minute), queue.statistics(minute + 1)]
    assert sum(each.get("acked", 0) for each in counted) == 1


def test_verify_finds_a_body_that_is_in_no_state(app: App, queue: Queue) -> None:
    queue.put_many(range(3))
    assert queue.verify() == []
    app.client.run(Command(("HSET",), (queue.keys.job("stray"),), ("state", "scheduled"), int))
    [problem] = queue.verify()
    assert "job stray says that it is scheduled and is not there" in problem


async def test_the_same_verbs_are_awaited(app: App, queue: Queue) -> None:
    async with app:
        jobs = await queue.aput_many(range(6))
        await queue.apause()
        assert await queue.acounts() == Counts(waiting=6, paused=True)
        await queue.aresume()
        assert await queue.acancel(jobs[0].id)
        assert await queue.aremove(jobs[1].id)
        async for job in queue.aconsume(block=False):
            await job.abury("x")
        assert [each.id for each in await queue.adead()] == [job.id for job in jobs[2:]]
        assert await queue.areplay([jobs[2].id]) == [jobs[2].id]
        assert await queue.apurge("dead") == 3
        assert [each.id for each in (await queue.apeek()).jobs] == [jobs[2].id]
        assert (await queue.aworkers(), await queue.averify()) == ([], [])
        assert await queue.astatistics(0) == {}
        assert await jobs[2].arecord() == jobs[2].record()
