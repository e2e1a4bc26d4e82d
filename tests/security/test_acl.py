"""The users that `homing acl` makes: homing works with their rights, on each server, and they have no others.

`make test-acl` runs the whole suite as the first of them.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

import homing
from homing import App
from homing.cli.profiles import rules
from homing.engines.engine import EngineName
from homing.errors import ServerAuth
from homing.job import State
from tests.foreign import Site, dump
from tests.integration.cli_session import Shell
from tests.servers import NAMES, Server, Servers, as_anybody

PREFIX = "acl"


@contextmanager
def user(server: Server, **profile: bool) -> Iterator[str]:
    """The URL of a user with a profile's rights; none of them may have been missing at the end."""
    name = "producer" if profile.get("producer") else "worker"
    with server.redis(decode_responses=True) as admin:
        admin.execute_command(
            "ACL", "SETUSER", name, "reset", "on", ">its-password", *rules(PREFIX, **profile)
        )
        admin.execute_command("ACL", "LOG", "RESET")
        try:
            yield as_anybody(server.url).replace("://", f"://{name}:its-password@", 1)
            log: Any = admin.execute_command("ACL", "LOG")
            entries = [
                one if isinstance(one, dict) else dict(zip(one[::2], one[1::2], strict=True)) for one in log
            ]
            missed = {one["object"] for one in entries if one["username"] == name}
            # A worker asks for the server's settings when it starts, and does without.
            assert missed - {"config", "config|get"} == set()
        finally:
            admin.execute_command("ACL", "DELUSER", name)
            for key in dump(admin, PREFIX):
                admin.delete(key)


def server_named(servers: Servers, name: str) -> Server:
    return servers[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_user_can_do_all_that_homing_does(servers: Servers, name: str, engine: EngineName) -> None:
    server = server_named(servers, name)
    with user(server) as url, App(url, prefix=PREFIX, unknown_task_for=0) as app, server.redis() as raw:
        site = Site(app, raw, engine)

        @app.task(queue=site.name, retry=[0])
        async def fails(number: int) -> int:
            raise ValueError(number)

        job = fails.options(delay=0.01, id="mine", priority=3).enqueue(1)
        late = app.tasks["good"].options(delay=600).enqueue(1)
        site.put("unknown", task="nobody", payload="[[],{}]")
        queue = app.queue(site.name)
        cancelled = app.tasks["good"].options(delay=600).enqueue(2)
        assert cancelled.cancel()
        queue.pause()
        queue.resume()
        good = app.tasks["good"].enqueue(7)

        async def work() -> None:
            async with app.worker():
                assert await good.aresult(timeout=20) is None
                with pytest.raises(homing.errors.JobFailed):
                    await job.aresult(timeout=20)
            await app.aclose()

        asyncio.run(work())
        assert (late.state, site.ran) == (State.SCHEDULED, [7])
        assert queue.verify() == []
        assert len(queue.peek(State.DEAD).jobs) == len(queue.replay()) == 2
        queue.put("message")
        for message in queue.consume(block=False):
            with message:
                assert message.payload is not None or message.task
        assert queue.purge(State.SCHEDULED) == 1
        assert queue.statistics() is not None
        assert queue.workers() == []


#: What neither user may: the rest of the server, and its other keys.
FORBIDDEN = [
    ("GET", "other"),
    ("SET", "other", "1"),
    ("DEL", "other"),
    ("EVAL", "return redis.call('GET', 'other')", "0"),
    ("EVAL", "return redis.call('GET', KEYS[1])", "1", "other"),
    ("EVAL", "return redis.call('KEYS', '*')", "0"),
    ("EVAL", "return redis.call('RENAME', KEYS[1], 'other')", "1", "acl:{work}:meta"),
    ("CONFIG", "GET", "requirepass"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("DEBUG", "SLEEP", "0"),
    ("SHUTDOWN", "NOSAVE"),
    ("SCRIPT", "FLUSH"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("CLIENT", "LIST"),
    ("ACL", "LIST"),
    ("MONITOR",),
    ("PUBLISH", "channel", "x"),
    ("MIGRATE", "127.0.0.1", "1", "acl:{work}:meta", "0", "100"),
    ("REPLICAOF", "NO", "ONE"),
    ("MODULE", "LIST"),
    ("XGROUP", "DESTROY", "acl:{work}:stream:0", "workers"),
    ("DUMP", "acl:{work}:meta"),
]
#: What a producer may not, beyond that: take jobs, read them, or look who works.
NOT_A_PRODUCERS = [
    ("XREADGROUP", "GROUP", "workers", "x", "STREAMS", "acl:{work}:stream:0", ">"),
    ("XRANGE", "acl:{work}:stream:0", "-", "+"),
    ("XDEL", "acl:{work}:stream:0", "1-1"),
    ("LMOVE", "acl:{work}:waiting:0", "acl:{work}:active:x", "RIGHT", "LEFT"),
    ("RPOP", "acl:{work}:waiting:0"),
    ("LRANGE", "acl:{work}:waiting:0", "0", "-1"),
    ("DEL", "acl:{work}:meta"),
    ("HGETALL", "acl:{work}:job:a1"),
    ("GET", "acl:{work}:result:a1"),
    ("SMEMBERS", "acl:queues"),
    ("SCAN", "0"),
    ("ZADD", "acl:{work}:workers", "1", "x"),
    ("HSET", "acl:{work}:worker:x", "number", "1"),
]


@pytest.mark.parametrize("producer", [False, True])
@pytest.mark.parametrize("name", ["valkey-9.1", "redis-6.2", "redis-8.2"])
def test_they_can_do_nothing_else(servers: Servers, name: str, producer: bool) -> None:
    server = server_named(servers, name)
    words = [*FORBIDDEN, *(NOT_A_PRODUCERS if producer else [])]
    with server.redis() as admin:
        admin.set("other", "theirs")
        admin.hset("acl:{work}:meta", "engine", "lists")
        admin.execute_command(
            "ACL", "SETUSER", "mallory", "reset", "on", ">pw", *rules(PREFIX, producer=producer)
        )
        with server.redis(username="mallory", password="pw", protocol=2) as mallory:
            for one in words:
                with pytest.raises(
                    redis.ResponseError, match=r"(?i)no permissions|can't run this command|can't access"
                ) as refused:
                    mallory.execute_command(*one)
                assert "user_script:0" not in str(refused.value)
        assert admin.get("other") == b"theirs"
        assert admin.hget("acl:{work}:meta", "engine") == b"lists"
        admin.execute_command("ACL", "DELUSER", "mallory")
        admin.delete("other", "acl:{work}:meta")


@pytest.mark.parametrize("name", ["valkey-9.1", "redis-6.2"])
def test_a_producer_can_put_jobs_in_and_nothing_more(servers: Servers, name: str, engine: EngineName) -> None:
    server = server_named(servers, name)
    with user(server, producer=True) as url, App(url, prefix=PREFIX) as app:

        @app.task(queue="work", engine=engine)
        async def good(number: int) -> None:
            """Runs elsewhere."""

        jobs = [
            good.enqueue(1),
            good.options(delay=60).enqueue(2),
            good.options(id="mine", priority=-3).enqueue(3),
        ]
        jobs += good.enqueue_many(good.call(number) for number in range(50))
        with pytest.raises(homing.errors.JobExists):
            good.options(id="mine").enqueue(4)
        app.queue("messages", engine=engine).put_many(range(3))
        with App(as_anybody(server.url), prefix=PREFIX) as admin:
            counts = admin.queue("work").counts()
            assert (counts.waiting, counts.scheduled, counts.ids) == (52, 1, 1)
            assert admin.queue("messages").counts().waiting == 3
            assert admin.queue("work").verify() == []
    # What it may not is said with the command's name; that would stand in the log of the block above.
    with server.redis() as raw:
        raw.execute_command("ACL", "SETUSER", "producer", "reset", "on", ">pw", *rules(PREFIX, producer=True))
        with App(as_anybody(server.url).replace("://", "://producer:pw@", 1), prefix=PREFIX) as app:
            app.queue("work", engine=engine).put(1)
            # An id as long as ours, at whose place in the stream it may not look, is its own all the same.
            app.queue("work", engine=engine).put(1, id="2026-11-26-invoice-17")
            for ask in (
                lambda: list(app.queue("work").consume(block=False)),
                lambda: app.queue("work").purge(),
                lambda: app.queue("work").peek(),
            ):
                with pytest.raises(ServerAuth, match="denies"):
                    ask()
        raw.execute_command("ACL", "DELUSER", "producer")
        for key in dump(raw, PREFIX):
            raw.delete(key)


def test_the_profile_names_just_the_commands_that_there_are() -> None:
    source = Path(homing.__file__).parent
    scripts = "\n".join(path.read_text() for path in source.rglob("*.lua"))
    called = {
        f"{command}|{word}".lower() if command in {"XGROUP", "XINFO"} else command.lower()
        for command, word in re.findall(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?", scripts)
    }
    of_clients = {
        "asking", "blpop", "cluster|slots", "command|info", "eval", "evalsha", "info", "ping", "sadd", "select",
        "smembers", "wait",
    }  # fmt: skip
    granted = {word[1:] for word in rules() if word.startswith("+")}
    assert granted == called | of_clients
    assert {word[1:] for word in rules(producer=True) if word.startswith("+")} < granted


def test_the_command_prints_what_a_server_takes(valkey: Server, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    said = shell.homing("acl", "--prefix", "shop", "--user", "shop-worker")
    assert (said.code, "redis://shop-worker:PASSWORD@host" in said.err) == (0, True)
    assert said.out.startswith("ACL SETUSER shop-worker reset on >PASSWORD ~shop:* resetchannels -@all +")
    with valkey.redis(decode_responses=True) as admin:
        assert admin.execute_command(*said.out.split()) == "OK"
        [shown] = [line for line in admin.acl_list() if line.startswith("user shop-worker ")]
        assert "~shop:*" in shown
        assert "+@" not in shown
        admin.acl_deluser("shop-worker")
    producer = shell.homing("acl", "--producer", "--rules")
    assert producer.out.split() == rules(producer=True)
    assert "config|get" not in said.out + producer.out
    assert "+config|get" in shell.homing("acl", "--with-config").out
    assert shell.homing("acl", "--prefix", "a*").code == 2
    assert shell.homing("acl", "--user", "a b").code == 2
