"""What weakens a promise, from what a server told of itself: a row for every finding."""

from typing import Any

import pytest

from homing.fitness import Facts, Level, keeps, weaknesses

INFO = {"aof_enabled": "1", "aof_last_write_status": "ok", "connected_clients": "10", "connected_slaves": "0"}
CONFIG = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "save": "",
    "maxmemory-policy": "noeviction",
    "timeout": "0",
    "maxclients": "10000",
    "min-replicas-to-write": "0",
}
NO_AOF = {"info": {"aof_enabled": "0"}, "config": {"appendonly": "no"}}


def facts(info: dict[str, str] | None = None, config: dict[str, str] | None = None, **more: Any) -> Facts:
    return Facts(info=INFO | (info or {}), config=CONFIG | (config or {}), **more)


def test_a_server_that_keeps_every_promise_has_two_good_findings() -> None:
    assert [(one.about, one.level, one.remedy) for one in weaknesses(facts())] == [
        ("eviction", Level.GOOD, ""),
        ("persistence", Level.GOOD, ""),
    ]


@pytest.mark.parametrize(
    ("said", "about", "level", "remedy"),
    [
        *(
            (
                {"config": {"maxmemory-policy": policy}},
                "eviction",
                Level.BAD,
                "CONFIG SET maxmemory-policy noeviction",
            )
            for policy in ("allkeys-lru", "volatile-ttl", "allkeys-random", "volatile-lfu")
        ),
        (
            {"config": {"maxmemory-policy": "allkeys-lru"}, "allow_eviction": True},
            "eviction",
            Level.WARNING,
            "CONFIG SET maxmemory-policy noeviction",
        ),
        (NO_AOF, "persistence", Level.WARNING, "CONFIG SET appendonly yes"),
        (
            {**NO_AOF, "config": {"appendonly": "no", "save": "3600 1"}},
            "persistence",
            Level.WARNING,
            "CONFIG SET appendonly yes",
        ),
        (
            {"info": {"aof_last_write_status": "err"}},
            "persistence",
            Level.BAD,
            "make room on the server's disk: df -h",
        ),
        (
            {"config": {"appendfsync": "everysec"}},
            "persistence",
            Level.NOTE,
            "to lose nothing: CONFIG SET appendfsync always",
        ),
        ({"config": {"appendfsync": "no"}}, "persistence", Level.WARNING, "CONFIG SET appendfsync everysec"),
        (
            {"config": {"no-appendfsync-on-rewrite": "yes"}},
            "rewrites",
            Level.WARNING,
            "CONFIG SET no-appendfsync-on-rewrite no",
        ),
        (
            {"info": {"aof_delayed_fsync": "3"}},
            "disk",
            Level.WARNING,
            "give the AOF a quicker disk, then count anew: CONFIG RESETSTAT",
        ),
        ({"config": {"timeout": "300"}}, "idle", Level.WARNING, "CONFIG SET timeout 0"),
        ({"config": {"maxclients": "64"}}, "clients", Level.WARNING, "CONFIG SET maxclients 10000"),
        (
            {"config": {"maxclients": "9000"}, "info": {"connected_clients": "8500"}},
            "clients",
            Level.WARNING,
            "CONFIG SET maxclients 18000",
        ),
        (
            {"info": {"connected_slaves": "1"}},
            "replicas",
            Level.WARNING,
            "CONFIG SET min-replicas-to-write 1",
        ),
        (
            {"config": {"appendfsync": "everysec"}, "durability": "fsynced"},
            "durability",
            Level.BAD,
            "CONFIG SET appendonly yes, CONFIG SET appendfsync always",
        ),
        (
            {"durability": "replicated", "replicas": 2},
            "durability",
            Level.BAD,
            "on a replica: REPLICAOF <host> <port>",
        ),
        (
            {"info": {"cluster_enabled": "1"}, "db": 2},
            "database",
            Level.BAD,
            "leave the number out of the URL: redis+cluster://host:port",
        ),
    ],
)
def test_what_weakens_a_promise_is_named_with_the_line_that_mends_it(
    said: dict[str, Any], about: str, level: Level, remedy: str
) -> None:
    found = {one.about: (one.level, one.remedy) for one in weaknesses(facts(**said))}
    assert found[about] == (level, remedy)


def test_what_config_does_not_tell_info_may() -> None:
    told = Facts(info=INFO | {"maxmemory_policy": "allkeys-lru", "maxclients": "64"}, config=None)
    found = {one.about: one.level for one in weaknesses(told)}
    assert found == {
        "eviction": Level.BAD,
        "persistence": Level.NOTE,
        "clients": Level.WARNING,
        "settings": Level.WARNING,
    }


def test_what_nobody_tells_is_a_warning() -> None:
    found = weaknesses(Facts(info={}, config=None))
    assert {one.about: one.level for one in found} == dict.fromkeys(
        ["eviction", "persistence", "settings"], Level.WARNING
    )
    assert all("ACL SETUSER <user> +config|get" in one.remedy for one in found)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (facts(), "all"),
        (facts(config={"appendfsync": "everysec"}), "all but about the last second"),
        (
            facts(config={"appendfsync": "no"}),
            "all but what the system had not written out, about 30 seconds",
        ),
        (facts(**{**NO_AOF, "config": {"appendonly": "no", "save": "3600 1"}}), "what the last snapshot has"),
        (facts(**NO_AOF), "nothing"),
        (Facts(info=INFO, config=None), "all but what appendfsync allows, which may not be read"),
        (Facts(info={"aof_enabled": "0"}, config=None), "nothing, unless a snapshot was taken"),
        (Facts(info={}, config=None), "not known"),
    ],
)
def test_the_durability_class_says_what_a_power_cut_leaves(said: Facts, kept: str) -> None:
    assert keeps(said) == kept
