"""What `homing doctor` says about a server, decided from what the server said. No I/O."""

from collections.abc import Mapping, Sequence

from homing.cli import holes
from homing.fitness import Facts, Finding, Level, weaknesses

OLDEST_REDIS, OLDEST_VALKEY = (6, 2), (7, 2)
#: A round trip above this makes every call of a worker felt.
SLOW_MS = 20.0
#: Share of maxmemory above which it is time to act.
NEARLY_FULL = 0.9

Info = Mapping[str, str]


def server(facts: Facts) -> list[Finding]:
    """All findings about a server."""
    info = facts.info
    if not info:
        return [
            Finding("info", Level.WARNING, "INFO may not be read", "ACL SETUSER <user> +info"),
            *weaknesses(facts),
        ]
    return [version(info), safety(info), role(info), memory(info), *weaknesses(facts)]


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


def memory(info: Info) -> Finding:
    used, most = int(info.get("used_memory", "0")), int(info.get("maxmemory", "0"))
    if most == 0:
        return Finding("memory", Level.GOOD, f"{used / 2**20:,.1f} MiB used, no limit set")
    says = f"{used / 2**20:,.1f} of {most / 2**20:,.1f} MiB used"
    if used > NEARLY_FULL * most:
        return Finding("memory", Level.WARNING, says, "raise maxmemory, or add workers")
    return Finding("memory", Level.GOOD, says)


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
