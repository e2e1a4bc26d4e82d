"""The same short story on every server there is: a task with a result, messages, a retry, a clean end."""

from collections.abc import Iterator

import pytest

from homing import App, Fixed
from homing.engines.engine import EngineName
from homing.job import Counts
from tests.servers import NAMES, Missing, Servers


@pytest.fixture(params=NAMES)
def app(request: pytest.FixtureRequest, servers: Servers) -> Iterator[App]:
    try:
        server = servers[request.param]
    except Missing as reason:
        pytest.skip(str(reason))
    with App(server.url, prefix=f"every-{request.node.callspec.params['engine']}") as app:
        yield app


async def test_a_task_and_its_result(app: App, engine: EngineName) -> None:
    @app.task(queue="sums", engine=engine)
    async def add(a: int, b: int) -> int:
        return a + b

    async with app.worker():
        jobs = [await add.aenqueue(number, 1) for number in range(5)]
        assert [await job.aresult(timeout=20) for job in jobs] == [1, 2, 3, 4, 5]
    assert await app.queue("sums").averify() == []
    await app.aclose()


def test_messages_and_a_retry(app: App, engine: EngineName) -> None:
    outbox = app.queue("outbox", engine=engine)
    outbox.put_many(["a", "b", "c"], priority=3)
    outbox.put("first", priority=4)
    outbox.put("later", delay=0.2)
    taken = []
    for job in outbox.consume(burst=True, retry=Fixed(times=1, delay=0.02)):
        with job:
            if job.payload == "b" and job.attempt == 1:
                raise ConnectionError("451")
            taken.append(job.payload)
    assert taken == ["first", "a", "c", "b", "later"]
    assert (outbox.counts(), outbox.verify()) == (Counts(finished=5), [])
    assert outbox.put("end").cancel()
