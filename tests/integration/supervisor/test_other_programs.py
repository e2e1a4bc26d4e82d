"""What another program puts in with a plain Redis client is run like a job of ours."""

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
import redis

from homing.engines.engine import EngineName
from tests.integration.supervisor.conftest import Site, site_on
from tests.servers import Server, running, start


@pytest.fixture
def plain(valkey: Server) -> "redis.Redis":
    return valkey.redis(decode_responses=True)


def put(plain: "redis.Redis", site: Site, name: str, fields: dict[str, str]) -> None:
    """As a program that knows the layout from the docs, and nothing of homing."""
    base = site.queue.keys.base
    if plain.hget(f"{base}:meta", "engine") == "streams":
        plain.xadd(f"{base}:stream:0", fields)  # type: ignore[arg-type]
    else:
        plain.hset(f"{base}:job:{name}", mapping=fields)  # type: ignore[arg-type]
        plain.lpush(f"{base}:waiting:0", name)


def test_a_task_with_args_is_run_by_the_worker(site: Site, plain: "redis.Redis") -> None:
    site.worker()
    put(plain, site, "a1", {"task": "sleep", "args": json.dumps([41, 0.0])})
    put(plain, site, "a2", {"task": "sleep", "args": "[42]", "kwargs": '{"seconds": 0.0}'})
    put(plain, site, "a3", {"task": "sleep", "payload": "[[43, 0.0], {}]"})
    site.wait_for(lambda: sorted(n for n, _, _ in site.seen("end")) == [41, 42, 43])
    site.wait_for(site.empty)


def test_plain_fields_are_a_message_whose_payload_is_its_fields(site: Site, plain: "redis.Redis") -> None:
    site.worker()
    put(plain, site, "m1", {"recipient": "añe@example.com", "subject": "Hi", "body": "a|b"})
    site.wait_for(lambda: (site.folder / "mails").exists() and site.empty())
    assert (site.folder / "mails").read_text() == "añe@example.com|Hi|a|b\n"
    site.wait_for(site.empty)


def test_what_cannot_be_read_goes_to_the_dead_letters_whole_and_the_worker_goes_on(
    site: Site, plain: "redis.Redis"
) -> None:
    site.worker()
    put(plain, site, "bad1", {"task": "sleep", "payload": "{not json"})
    put(plain, site, "bad2", {"task": "sleep", "args": '["not a number", 0.0]'})
    put(plain, site, "bad3", {"recipient": "x@example.com", "colour": "no such parameter"})
    after = site.put("sleep", 1, 0.0)
    site.wait_for(lambda: site.state(after) == "completed" and site.queue.counts().dead == 3)
    dead = site.queue.dead()
    assert {b"{not json", b'[["not a number", 0.0],{}]'} < {record.payload for record in dead}
    assert {"recipient": "x@example.com", "colour": "no such parameter"} in [record.fields for record in dead]


def test_the_worker_goes_on_after_its_server_was_killed_and_came_back(
    tmp_path: Path, engine: EngineName
) -> None:
    (tmp_path / "site").mkdir()
    keeps = {"appendonly": "yes", "appendfsync": "always"}
    with contextlib.ExitStack() as until_the_end:
        server = until_the_end.enter_context(running("valkey-9.1", **keeps))
        again = until_the_end.enter_context(contextlib.ExitStack())
        site = until_the_end.enter_context(site_on(server, tmp_path / "site", engine))
        worker = site.worker()
        held = [site.put("until", n, "go") for n in range(5)]
        site.wait_for(lambda: len(site.seen("start")) == 5)
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        site.touch("go")
        site.wait_for(lambda: len(site.seen("end")) == 5)
        again.enter_context(start("valkey-9.1", server.folder, **keeps))
        later = site.put("sleep", 99, 0.0)
        site.wait_for(lambda: {site.state(job) for job in (*held, later)} == {"completed"})
        # What had ended during the outage was said once the server was back: nothing ran twice.
        assert len(site.seen("start")) == 6
        worker.stop()
        assert worker.code() == 0
