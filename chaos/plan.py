"""What every process of a run knows: where the server is, what jobs do, and where histories go."""

import json
import os
import random
from dataclasses import asdict, dataclass, field
from typing import Self

from homing.engines.engine import EngineName

QUEUE = "chaos"
#: A file of this name in the folder of the run tells the producers that it is enough.
ENOUGH = "enough"
PLAN, ROLE = "HOMING_CHAOS_PLAN", "HOMING_CHAOS_ROLE"
#: Runs beyond the first that a job of kind `fails` or `shaky` gets.
RETRIES, RETRY_S = 2, 0.1
#: How long a job of kind `later` waits, at least and at most.
LATER_S = (0.2, 2.0)

#: Kind of job -> its share of a thousand.
MIX: dict[str, int] = {
    "quick": 920, "nap": 30, "thread": 15, "long": 10, "later": 10, "fails": 10, "shaky": 5,
}  # fmt: skip
#: Handlers that take their process with them, that never end, and that raise what a worker might trip over.
POISON: dict[str, int] = {
    "quick": 900, "nap": 40, "exits": 4, "faults": 2, "endless": 2, "hungry": 10, "stops": 14, "leaves": 14,
    "quits": 14,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every process of a run has to know; travels as JSON in the environment."""

    url: str
    folder: str
    engine: EngineName
    seed: int
    lease_ms: int = 2_000
    long_leases: float = 1.5  # how long a job of kind `long` takes
    mix: dict[str, int] = field(default_factory=lambda: dict(MIX))
    #: Folders that workers and producers import from before all others: a broken build, a wrong clock.
    path: tuple[str, ...] = ()

    def write(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls) -> Self:
        return cls(**json.loads(os.environ[PLAN]))

    def kind(self, n: int) -> str:
        """What job number `n` does."""
        shares = self.mix
        return random.Random(self.seed << 32 | n).choices(list(shares), weights=list(shares.values()))[0]

    def delay_s(self, n: int) -> float | None:
        """How long job number `n` waits before it may run."""
        return round(random.Random(~n).uniform(*LATER_S), 3) if self.kind(n) == "later" else None
