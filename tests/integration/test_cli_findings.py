"""What the doctor says, from what a server said of itself."""

import pytest

from homing.cli import findings
from homing.cli.findings import Level

GOOD = {
    "valkey_version": "9.1.2",
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory": "0",
    "maxmemory_policy": "noeviction",
    "used_memory": "1048576",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
}


def levels(**changes: str) -> dict[str, Level]:
    return {one.about: one.level for one in findings.server(GOOD | changes)}


def test_a_server_fit_for_jobs_gets_no_remedy() -> None:
    assert [one.remedy for one in findings.server(GOOD)] == [""] * 6
    assert set(levels().values()) == {Level.GOOD}


@pytest.mark.parametrize(
    ("changes", "about", "level"),
    [
        ({"valkey_version": "7.0.1"}, "version", Level.BAD),
        ({"valkey_version": "9.1.0"}, "safety", Level.WARNING),
        ({"role": "slave"}, "role", Level.BAD),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction", Level.WARNING),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": "9000000"}, "eviction", Level.BAD),
        ({"maxmemory": "1100000"}, "memory", Level.WARNING),
        ({"aof_enabled": "0"}, "persistence", Level.WARNING),
        ({"aof_last_write_status": "err"}, "persistence", Level.BAD),
    ],
)
def test_what_endangers_jobs_is_said_with_a_remedy(changes: dict[str, str], about: str, level: Level) -> None:
    [found] = [one for one in findings.server(GOOD | changes) if one.about == about]
    assert (found.level, bool(found.remedy)) == (level, True)


def test_redis_has_a_floor_of_its_own() -> None:
    assert findings.version({"redis_version": "6.2.14"}).level is Level.GOOD
    assert findings.version({"redis_version": "6.0.16"}).says == "Redis 6.0.16 is too old"


@pytest.mark.parametrize(
    ("info", "names", "remedy"),
    [
        ({"redis_version": "6.2.14"}, ["31449", "49844", "July"], "6.2.23"),
        ({"redis_version": "6.2.20"}, ["July"], "6.2.23"),
        ({"redis_version": "6.2.23"}, [], ""),
        ({"redis_version": "7.0.15"}, ["31449", "49844", "July"], "7.2.15"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.8"}, ["49844", "23479", "July"], "7.2.14"),
        ({"redis_version": "7.2.10"}, ["49844", "23479", "July"], "7.2.15"),
        ({"redis_version": "8.0.6"}, ["23479", "July"], "8.2.8"),
        ({"redis_version": "8.2.1"}, ["49844", "23479", "July"], "8.2.8"),
        ({"redis_version": "8.6.2"}, ["23479", "July"], "8.6.5"),
        ({"redis_version": "8.10.1"}, [], ""),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.3"}, ["49844", "23479", "July"], "8.1.9"),
        ({"redis_version": "7.2.4", "valkey_version": "9.0.3"}, ["23479", "July"], "9.0.5"),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, [], ""),
        ({"redis_version": "8.0.0-rc1"}, ["49844", "23479", "July"], "8.2.8"),
    ],
)
def test_a_version_with_known_holes_is_named_with_the_nearest_without(
    info: dict[str, str], names: list[str], remedy: str
) -> None:
    found = findings.safety(info)
    assert found.level is (Level.WARNING if names else Level.GOOD)
    assert [name for name in ("31449", "49844", "23479", "July") if name in found.says] == names
    assert found.remedy.startswith(f"upgrade to {remedy} or newer" if remedy else "")
    assert bool(found.remedy) == bool(remedy)


def test_slow_round_trips_are_a_warning_and_one_slow_one_is_not() -> None:
    assert findings.latency([0.2, 0.3, 900.0]).level is Level.GOOD
    assert findings.latency([25.0, 30.0]).level is Level.WARNING


def test_tasks_that_the_app_does_not_have_are_named() -> None:
    found = findings.tasks({"send_fax": 3}, 10)
    assert (found.level, "send_fax (3 jobs)" in found.says) == (Level.BAD, True)
    assert findings.tasks({}, 10).level is Level.GOOD
