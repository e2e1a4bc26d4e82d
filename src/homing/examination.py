"""Asking a server what it is like."""

from homing.client import Client
from homing.errors import ServerAuth, ServerTooOld
from homing.fitness import CONFIG_NAMES, Facts
from homing.settings import Settings


def examine(client: Client, settings: Settings) -> Facts:
    """What the server tells of itself, as far as this user may ask, and what is asked of it."""
    try:
        info = client.info()
    except (ServerAuth, ServerTooOld):  # denied, or renamed
        info = {}
    return Facts(
        info=info,
        config=client.config(*CONFIG_NAMES),
        db=client.target.db,
        durability=settings.durability,
        replicas=settings.durability_replicas,
        allow_eviction=settings.allow_eviction,
    )
