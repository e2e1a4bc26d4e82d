"""A List of ids per priority, a Hash per job, an active list per worker: readable with `redis-cli`."""

from homing.engines.engine import EngineName
from homing.engines.scripted import ScriptedEngine


class Lists(ScriptedEngine):
    name: EngineName = "lists"
    package = "homing.engines.lists"

    def _place(self, ref: bytes) -> tuple[bytes, bytes]:
        return ref, b""
