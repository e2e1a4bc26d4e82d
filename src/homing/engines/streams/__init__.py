"""A Stream per priority whose entries carry the jobs, one consumer group: fast, half the memory."""

from homing.engines import answers
from homing.engines.batches import behind_its_id
from homing.engines.engine import EngineName
from homing.engines.scripted import ScriptedEngine


class Streams(ScriptedEngine):
    name: EngineName = "streams"
    package = "homing.engines.streams"
    words = behind_its_id
    claimed = answers.claim_of_entries

    def _place(self, ref: bytes) -> tuple[bytes, bytes]:
        priority, _, entry = ref.rpartition(b"/")
        return priority or b"0", entry
