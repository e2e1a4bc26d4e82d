"""How a queue is laid out in Redis: one contract, two engines."""

from homing.engines.engine import Engine, EngineName
from homing.keys import Keys


def make(name: EngineName, keys: Keys) -> Engine:
    """The engine of this name for one queue."""
    if name == "lists":
        from homing.engines.lists import Lists

        return Lists(keys)
    from homing.engines.streams import Streams

    return Streams(keys)
