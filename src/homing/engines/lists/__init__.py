"""A List of ids per priority, a Hash per job, an active list per worker: readable with `redis-cli`."""

from homing.engines import answers
from homing.engines.batches import beside_its_id
from homing.engines.engine import EngineName
from homing.engines.scripted import ScriptedEngine


class Lists(ScriptedEngine):
    name: EngineName = "lists"
    package = "homing.engines.lists"
    words = beside_its_id
    claimed = answers.claim_of_hashes

    def _place(self, ref: bytes) -> tuple[bytes, None]:
        return ref, None
