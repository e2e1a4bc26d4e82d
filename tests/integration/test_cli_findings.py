"""What the doctor says, from what a server said of itself."""

import pytest

from homing.cli import findings
from homing.fitness import Facts, Finding, Level

GOOD = {
    "valkey_version": "9.1.2",
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory": "0",
    "used_memory": "1048576",
}
CONFIG = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "always"}


def server(**changes: str) -> list[Finding]:
    return findings.server(Facts(info=GOOD | changes, config=CONFIG))


def test_a_server_fit_for_jobs_gets_no_remedy() -> None:
    assert [(one.level, one.remedy) for one in server()] == [(Level.GOOD, "")] * 6


def test_a_server_that_says_nothing_is_no_good_one() -> None:
    found = {one.about: one.level for one in findings.server(Facts(info={}, config=None))}
    assert found == dict.fromkeys(["info", "eviction", "persistence", "settings"], Level.WARNING)


@pytest.mark.parametrize(
    ("changes", "about", "level"),
    [
        ({"valkey_version": "7.0.1"}, "version", Level.BAD),
        ({"valkey_version": "9.1.0"}, "safety", Level.WARNING),
        ({"role": "slave"}, "role", Level.BAD),
        ({"maxmemory": "1100000"}, "memory", Level.WARNING),
    ],
)
def test_what_endangers_jobs_is_said_with_a_remedy(changes: dict[str, str], about: str, level: Level) -> None:
    [found] = [one for one in server(**changes) if one.about == about]
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
