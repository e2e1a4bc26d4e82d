"""What a worker logs: one line for each event, without arguments, whatever a job is called."""

import logging

import pytest

from homing import events
from tests.foreign import Site

FORGED = "x\n2026-01-01 00:00:00,000 1 ERROR fake\x1b[2J\u202e\u2028"


def test_a_job_cannot_write_a_line_of_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "homing"):
        site.put("forged", task=FORGED, payload="[[],{}]")
        site.drain()
    lines = [record.getMessage() for record in caplog.records]
    [told] = [line for line in lines if line.startswith("task_unknown")]
    assert r"x\n2026-01-01 00:00:00,000 1 ERROR fake\x1b[2J\u202e\u2028" in told
    assert all(line.isprintable() for line in lines)


def test_arguments_and_results_are_not_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    unsubscribe = events.subscribe(lambda name, fields: told.append(f"{name} {dict(fields)!r}"))

    @site.app.task(queue=site.name, retry=1)
    async def fails(card: str) -> None:
        raise ValueError("no such card")

    @site.app.task(queue=site.name)
    async def returns(card: str) -> set[object]:
        return {object(), card}  # cannot be kept, and says so

    with caplog.at_level(logging.DEBUG, "homing"):
        fails.options(retry=None).enqueue("4111-1111")
        returns.enqueue("4111-1111")
        site.put("message", payload='{"card":"4111-1111"}')
        site.put("broken", task="returns", payload='[["4111-1111"')
        site.put("misfit", task="good", payload='[["4111-1111"],{}]')
        site.drain()
    unsubscribe()
    assert [record for record in caplog.records if record.name == "homing"]
    assert "4111" not in caplog.text + "".join(told)
