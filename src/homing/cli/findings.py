"""What `homing doctor` says about a server, decided from what the server said. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from homing.cli import holes

OLDEST_REDIS, OLDEST_VALKEY = (6, 2), (7, 2)
#: A round trip above this makes every call of a worker felt.
SLOW_MS = 20.0
#: Share of maxmemory above which it is time to act.
NEARLY_FULL = 0.9

Info = Mapping[str, str]


class Level(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `remedy` is what to do unless it is good."""

    about: str
    level: Level
    says: str
    remedy: str = ""


def server(info: Info) -> list[Finding]:
    """All findings about a server that INFO can tell."""
    return [version(info), safety(info), role(info), eviction(info), memory(info), persistence(info)]


def version(info: Info) -> Finding:
    is_valkey = "valkey_version" in info
    name, oldest = ("Valkey", OLDEST_VALKEY) if is_valkey else ("Redis", OLDEST_REDIS)
    text = info.get("valkey_version" if is_valkey else "redis_version", "0")
    parts = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if parts < oldest:
        floor = ".".join(map(str, oldest))
        return Finding("version", Level.BAD, f"{name} {text} is too old", f"upgrade it to {floor} or newer")
    return Finding("version", Level.GOOD, f"{name} {text}")


def safety(info: Info) -> Finding:
    """Whether the version has a known hole in what homing makes a server do."""
    is_valkey = "valkey_version" in info
    text = info.get("valkey_version" if is_valkey else "redis_version", "0")
    numbers = [int(part) for part in text.split(".")[:3] if part.isdigit()]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    here = (major, minor, patch)
    found = holes.known(valkey=is_valkey, version=here)
    if not found:
        return Finding("safety", Level.GOOD, "no hole of this version is known to this release of homing")
    named = "; ".join(f"{hole.what} ({hole.name})" for hole in found)
    remedy = (
        f"upgrade to {holes.mended(valkey=is_valkey, version=here)} or newer, unless your distribution has mended "
        f"{text} by itself; until then let in only whom you trust"
    )
    return Finding("safety", Level.WARNING, f"known holes: {named}", remedy)


def role(info: Info) -> Finding:
    if info.get("role") in ("slave", "replica"):
        primary = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
        return Finding(
            "role", Level.BAD, f"a replica of {primary}: it takes no jobs", "name the primary in the URL"
        )
    return Finding("role", Level.GOOD, "a primary")


def eviction(info: Info) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return Finding("eviction", Level.GOOD, "noeviction: a full server refuses jobs and loses none")
    remedy = "CONFIG SET maxmemory-policy noeviction"
    if int(info.get("maxmemory", "0")) > 0:
        return Finding("eviction", Level.BAD, f"{policy}: a full server deletes jobs", remedy)
    return Finding(
        "eviction", Level.WARNING, f"{policy}: once maxmemory is set, jobs would be deleted", remedy
    )


def memory(info: Info) -> Finding:
    used, most = int(info.get("used_memory", "0")), int(info.get("maxmemory", "0"))
    if most == 0:
        return Finding("memory", Level.GOOD, f"{used / 2**20:,.1f} MiB used, no limit set")
    says = f"{used / 2**20:,.1f} of {most / 2**20:,.1f} MiB used"
    if used > NEARLY_FULL * most:
        return Finding("memory", Level.WARNING, says, "raise maxmemory, or add workers")
    return Finding("memory", Level.GOOD, says)


def persistence(info: Info) -> Finding:
    if info.get("aof_enabled") == "1":
        if info.get("aof_last_write_status", "ok") != "ok":
            return Finding(
                "persistence", Level.BAD, "the last write of the AOF failed", "look at the server's disk"
            )
        return Finding("persistence", Level.GOOD, "AOF: a crash of the server loses about a second at most")
    says = "no AOF: a crash of the server loses all jobs since its last snapshot"
    return Finding("persistence", Level.WARNING, says, "CONFIG SET appendonly yes")


def latency(round_trips_ms: Sequence[float]) -> Finding:
    typical = sorted(round_trips_ms)[len(round_trips_ms) // 2]
    says = f"{typical:.2f} ms a round trip (slowest of {len(round_trips_ms)}: {max(round_trips_ms):.2f} ms)"
    if typical > SLOW_MS:
        return Finding("latency", Level.WARNING, says, "run workers nearer to the server")
    return Finding("latency", Level.GOOD, says)


def tasks(unknown: Mapping[str, int], looked_at: int) -> Finding:
    """`unknown` counts jobs by the task that the app does not have."""
    if not unknown:
        return Finding("tasks", Level.GOOD, f"the app knows the tasks of all {looked_at:,} jobs looked at")
    named = ", ".join(f"{name} ({count:,} jobs)" for name, count in sorted(unknown.items()))
    return Finding(
        "tasks", Level.BAD, f"not in the app: {named}", "deploy the app that has them, or mend their names"
    )
