"""Servers that would weaken a promise, as the doctor and a worker that starts see them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from homing import App, events
from homing.errors import ServerUnfit
from tests.integration.cli_session import Shell
from tests.servers import Server, as_anybody, running

WEAK = {
    "maxmemory-policy": "allkeys-lru",
    "timeout": "300",
    "maxclients": "64",
    "appendonly": "no",
    "no-appendfsync-on-rewrite": "yes",
}
TASKS = "from homing import App\napp = App()\n\n@app.task\ndef tidy() -> None: ...\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of this file's own, whose settings its tests change."""
    with running("valkey-9.1") as one:
        yield one


@pytest.fixture
def weak(server: Server) -> Iterator[Server]:
    with server.redis() as client:
        before = {name: client.config_get(name)[name] for name in WEAK}
        for name, value in WEAK.items():
            client.config_set(name, value)
        yield server
        for name, value in before.items():
            client.config_set(name, value)


@pytest.fixture
def told() -> Iterator[list[tuple[str, Mapping[str, object]]]]:
    seen: list[tuple[str, Mapping[str, object]]] = []
    unsubscribe = events.subscribe(lambda name, fields: seen.append((name, fields)))
    yield seen
    unsubscribe()


def test_each_line_the_doctor_gives_mends_what_it_found(weak: Server, tmp_path: Path) -> None:
    shell = Shell(tmp_path, weak.url)
    said = shell.homing("doctor", "--json")
    assert said.code == 1
    with weak.redis() as client:
        for _ in range(2):  # what is fsynced how often shows when there is an AOF
            for one in shell.homing("doctor", "--json").json:
                if one["remedy"]:
                    line = one["remedy"].rpartition("CONFIG SET ")[2]
                    client.config_set(*line.split())
    said = shell.homing("doctor", "--json")
    assert ({one["level"] for one in said.json}, said.code) == ({"good"}, 0)


def test_a_worker_does_not_start_where_a_full_server_deletes_jobs(weak: Server, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    shell = Shell(tmp_path, weak.url)
    said = shell.homing("worker", "tasks:app", "--burst")
    assert said.code == 78
    assert "maxmemory-policy allkeys-lru, so when it is full it deletes jobs: say CONFIG SET" in said.err
    said = shell.homing("worker", "tasks:app", "--burst", more={"HOMING_ALLOW_EVICTION": "yes"})
    assert said.code == 0
    for about in ("eviction", "persistence", "idle", "clients"):
        assert said.err.count(f"server_weak about={about}") == 1
    assert said.err.count("server_keeps after_a_power_cut=nothing") == 1


async def test_nor_does_a_worker_inside_a_program(
    weak: Server, told: list[tuple[str, Mapping[str, object]]]
) -> None:
    async with App(weak.url) as app:
        with pytest.raises(ServerUnfit, match="or set allow_eviction"):
            await app.worker(queues="q", burst=True).run()
    async with App(weak.url, allow_eviction=True) as app:
        await app.worker(queues="q", burst=True).run()
    assert [name for name, _ in told].count("server_keeps") == 1


async def test_where_nothing_may_be_asked_a_worker_warns_and_works(
    server: Server, told: list[tuple[str, Mapping[str, object]]]
) -> None:
    with server.redis() as client:
        client.execute_command("ACL", "SETUSER", "shy", "on", ">pw", "~*", "&*", "+@all", "-config", "-info")
    path = as_anybody(server.url).removeprefix("unix://")
    async with App(f"unix://shy:pw@{path}", prefix="shy") as app:
        await app.worker(queues="q", burst=True).run()
    weak = [fields["about"] for name, fields in told if name == "server_weak"]
    assert weak == ["eviction", "persistence", "settings"]


def test_the_embedded_server_passes_its_own_doctor(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    shell = Shell(tmp_path)
    assert shell.homing("enqueue", "tidy", "--app", "tasks:app").code == 0
    said = shell.homing("doctor", "--json")
    found = {one["about"]: one["level"] for one in said.json}
    assert (said.code, {"warning", "bad"} & set(found.values())) == (0, set())
    worked = shell.homing("worker", "tasks:app", "--burst")
    assert (worked.code, "server_weak" in worked.err) == (0, False)
    assert 'server_keeps after_a_power_cut="all but about the last second"' in worked.err
