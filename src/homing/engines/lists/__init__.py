"""A List of ids per priority, a Hash per job, an active list per worker: readable with `redis-cli`."""

from homing.engines import answers
from homing.engines.batches import in_parts
from homing.engines.engine import EngineName
from homing.engines.scripted import ScriptedEngine


class Lists(ScriptedEngine):
    name: EngineName = "lists"
    package = "homing.engines.lists"
    words = in_parts
    claimed = answers.claim_of_parts

    def _place(self, ref: bytes) -> tuple[bytes, None]:
        return ref, None
