"""What a worker says of its server before it begins, and when it does not begin at all."""

import logging

from homing import events
from homing.client import Client
from homing.errors import ServerLoading, ServerReadOnly, ServerUnfit, ServerUnreachable
from homing.examination import examine
from homing.fitness import Level, eviction, keeps, weaknesses
from homing.settings import Settings


def check(client: Client, settings: Settings) -> None:
    """Tell what the server keeps, and each of its settings that weakens a promise.

    Raises ServerUnfit when a full server would delete jobs, unless `allow_eviction` is set. A server
    that is away is not waited for: the next worker that starts will look at it.
    """
    try:
        facts = examine(client, settings)
    except (ServerUnreachable, ServerLoading, ServerReadOnly) as error:
        events.emit("server_not_examined", level=logging.WARNING, error=error)
        return
    policy = eviction(facts)
    if policy.level is Level.BAD:
        raise ServerUnfit(
            f"{client.describe()} has maxmemory-policy {facts.setting('maxmemory-policy')}, so when it is full it "
            f"deletes jobs: say {policy.remedy}, or set allow_eviction to work all the same"
        )
    events.emit("server_keeps", after_a_power_cut=keeps(facts), replicas=facts.number("connected_slaves"))
    for one in weaknesses(facts):
        if one.level in (Level.WARNING, Level.BAD):
            level = logging.WARNING if one.level is Level.WARNING else logging.ERROR
            events.emit("server_weak", level=level, about=one.about, says=one.says, remedy=one.remedy)
