"""Which settings of a server weaken what homing promises, each with the line that mends it. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homing.limits import Durability

#: The settings that are looked at; INFO tells the rest.
CONFIG_NAMES = (
    "appendonly", "appendfsync", "no-appendfsync-on-rewrite", "save", "maxmemory-policy", "timeout", "maxclients",
    "min-replicas-to-write",
)  # fmt: skip
#: Fewer connections than this are soon used up: a worker process holds about five.
CLIENTS_MIN = 128
#: Share of maxclients above which it is time to act.
NEARLY_ALL = 0.9


class Level(StrEnum):
    GOOD = "good"
    NOTE = "note"  # as it is meant to be, and what that costs
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `remedy` is what to do, empty when it is good."""

    about: str
    level: Level
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a server told of itself, and what is asked of it."""

    #: The lines of INFO; empty when it is denied.
    info: Mapping[str, str]
    #: CONFIG_NAMES and their values; None when they may not be read.
    config: Mapping[str, str] | None
    db: int = 0
    durability: "Durability" = "memory"
    replicas: int = 1  # that `replicated` asks for
    allow_eviction: bool = False

    def setting(self, name: str) -> str | None:
        """A setting as CONFIG or INFO tells it, None when neither does."""
        told = None if self.config is None else self.config.get(name)
        return self.info.get(name.replace("-", "_")) if told is None else told

    def number(self, name: str) -> int:
        told = self.setting(name) or ""
        return int(told) if told.isdigit() else 0


def weaknesses(facts: Facts) -> list[Finding]:
    """A finding about each thing that may weaken a promise; those that always stand come first."""
    found = [eviction(facts), persistence(facts)]
    optional = (fsync_on_rewrite, late_fsyncs, idle, clients, replicas, asked_for, database, told)
    return [*found, *(one for look in optional if (one := look(facts)) is not None)]


def keeps(facts: Facts) -> str:
    """The durability class: what is kept of the jobs when the server's machine loses power."""
    if facts.setting("aof_enabled") == "1" or facts.setting("appendonly") == "yes":
        return {
            "always": "all",
            "everysec": "all but about the last second",
            "no": "all but what the system had not written out, about 30 seconds",
        }.get(facts.setting("appendfsync") or "", "all but what appendfsync allows, which may not be read")
    if not facts.info and facts.config is None:
        return "not known"
    if facts.setting("save"):
        return "what the last snapshot has"
    return "nothing, unless a snapshot was taken" if facts.config is None else "nothing"


def eviction(facts: Facts) -> Finding:
    policy = facts.setting("maxmemory-policy")
    if policy is None:
        return Finding(
            "eviction",
            Level.WARNING,
            "whether a full server deletes jobs is not known: neither CONFIG nor INFO may be read",
            "ACL SETUSER <user> +config|get +info",
        )
    if policy == "noeviction":
        return Finding("eviction", Level.GOOD, "noeviction: a full server refuses jobs and loses none")
    level = Level.WARNING if facts.allow_eviction else Level.BAD
    return Finding(
        "eviction", level, f"{policy}: a full server deletes jobs", "CONFIG SET maxmemory-policy noeviction"
    )


def persistence(facts: Facts) -> Finding:
    about = "persistence"
    if facts.info.get("aof_last_write_status", "ok") != "ok":
        return Finding(
            about, Level.BAD, "the last write of the AOF failed", "make room on the server's disk: df -h"
        )
    if facts.setting("aof_enabled") == "1" or facts.setting("appendonly") == "yes":
        return _fsync(facts)
    remedy = "CONFIG SET appendonly yes"
    if not facts.info and facts.config is None:
        says = "what a restart keeps is not known: neither CONFIG nor INFO may be read"
        return Finding(about, Level.WARNING, says, "ACL SETUSER <user> +config|get +info")
    if save := facts.setting("save"):
        says = f"snapshots alone (save {save}): a crash of the server loses all jobs since the last one"
        return Finding(about, Level.WARNING, says, remedy)
    says = "no AOF: a crash of the server loses all jobs"
    if facts.config is None:
        says += " since its last snapshot"
    return Finding(about, Level.WARNING, says, remedy)


def _fsync(facts: Facts) -> Finding:
    about = "persistence"
    match facts.setting("appendfsync"):
        case "always":
            return Finding(about, Level.GOOD, "AOF, fsynced always: a power cut loses nothing")
        case "no":
            says = "AOF, never fsynced: a power cut loses about 30 seconds"
            return Finding(about, Level.WARNING, says, "CONFIG SET appendfsync everysec")
        case "everysec":
            says = "AOF, fsynced every second: a power cut loses about the last one"
            return Finding(about, Level.NOTE, says, "to lose nothing: CONFIG SET appendfsync always")
    says = "AOF; how often it is fsynced may not be read"
    return Finding(about, Level.NOTE, says, "ACL SETUSER <user> +config|get")


def fsync_on_rewrite(facts: Facts) -> Finding | None:
    if facts.setting("no-appendfsync-on-rewrite") != "yes" or facts.setting("appendonly") != "yes":
        return None
    says = "nothing is fsynced while the AOF is rewritten: a power cut then loses about 30 seconds"
    return Finding("rewrites", Level.WARNING, says, "CONFIG SET no-appendfsync-on-rewrite no")


def late_fsyncs(facts: Facts) -> Finding | None:
    late = facts.number("aof_delayed_fsync")
    if late == 0:
        return None
    says = f"{late:,} fsyncs of the AOF came late: a power cut loses more than the last second"
    return Finding(
        "disk", Level.WARNING, says, "give the AOF a quicker disk, then count anew: CONFIG RESETSTAT"
    )


def idle(facts: Facts) -> Finding | None:
    seconds = facts.number("timeout")
    if seconds == 0:
        return None
    says = f"connections idle for {seconds} s are closed, and made anew when they are needed"
    return Finding("idle", Level.WARNING, says, "CONFIG SET timeout 0")


def clients(facts: Facts) -> Finding | None:
    most, now = facts.number("maxclients"), facts.number("connected_clients")
    if most == 0 or (most >= CLIENTS_MIN and now <= NEARLY_ALL * most):
        return None
    says = f"{now:,} of {most:,} connections are used: who comes too late is turned away"
    return Finding("clients", Level.WARNING, says, f"CONFIG SET maxclients {max(10_000, 2 * most)}")


def replicas(facts: Facts) -> Finding | None:
    attached = facts.number("connected_slaves")
    least = facts.setting("min-replicas-to-write")
    if attached == 0 or least is None or least != "0":
        return None
    says = f"a primary that is cut off from its {attached} replicas goes on taking jobs, and a failover drops them"
    return Finding("replicas", Level.WARNING, says, "CONFIG SET min-replicas-to-write 1")


def asked_for(facts: Facts) -> Finding | None:
    """What the settings ask of every enqueue and this server cannot do."""
    about = "durability"
    match facts.durability:
        case "fsynced" if keeps(facts) != "all":
            says = f"durability is fsynced, and a power cut leaves {keeps(facts)}"
            return Finding(about, Level.BAD, says, "CONFIG SET appendonly yes, CONFIG SET appendfsync always")
        case "replicated" if facts.info and facts.number("connected_slaves") < facts.replicas:
            there = facts.number("connected_slaves")
            says = f"durability is replicated to {facts.replicas}, and {there} replicas are attached"
            return Finding(about, Level.BAD, says, "on a replica: REPLICAOF <host> <port>")
    return None


def database(facts: Facts) -> Finding | None:
    if facts.db == 0 or facts.info.get("cluster_enabled") != "1":
        return None
    says = f"database {facts.db} of a cluster: homing uses database 0 of one"
    return Finding("database", Level.BAD, says, "leave the number out of the URL: redis+cluster://host:port")


def told(facts: Facts) -> Finding | None:
    if facts.config is not None:
        return None
    says = "its settings may not be read: timeout, appendfsync, min-replicas-to-write and others are not looked at"
    return Finding("settings", Level.WARNING, says, "ACL SETUSER <user> +config|get")
