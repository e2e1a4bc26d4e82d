"""A job whose payload changed in the server's memory or files."""

import asyncio
import json

import pytest

from homing import App
from homing.command import Command
from homing.engines.engine import EngineName
from homing.errors import JobFailed


@pytest.mark.parametrize("field", ["payload", "task"])
async def test_a_job_that_was_changed_in_the_server_never_runs_and_the_others_do(
    app: App, engine: EngineName, field: str, events: list[str]
) -> None:
    ran: list[str] = []

    @app.task(queue="q", engine=engine)
    async def note(name: str) -> None:
        ran.append(name)

    @app.task(queue="q", engine=engine)
    async def nota(name: str) -> None:
        ran.append(f"by nota: {name}")

    bad = note.options(delay=0.01).enqueue("bad")
    note.enqueue_many([note.call("good"), note.options(delay=0.02).call("later")])
    changed = b'[["bed"],{}]' if field == "payload" else nota.name.encode()
    app.client.run(Command(("HSET",), (app.queue("q").keys.job(bad.id),), (field, changed), int))
    await asyncio.wait_for(app.worker(burst=True).run(), 20)
    assert sorted(ran) == ["good", "later"]
    [record] = app.queue("q").dead()
    error = json.loads(record.error)
    assert (record.id, record.corrupted, record.attempt, error["reason"]) == (bad.id, True, 0, "corrupted")
    assert "delete the hash's field `sum`" in error["message"]
    assert events.count("job_corrupted") == 1
    with pytest.raises(JobFailed, match="not what was enqueued"):
        bad.result(timeout=1)
