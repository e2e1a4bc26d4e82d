"""The workers of a queue: their leases on the counted clock, their numbers, what they hold."""

from collections.abc import Mapping, Sequence

from homing.job import WorkerRecord
from tests.model.rooms import Job


class Members:
    """Who may act. A worker leaves only by being reclaimed."""

    def __init__(self, settings: Mapping[str, int]) -> None:
        self._settings = settings
        self._seen_ms: int | None = None
        self.clock_ms = 0
        self.expiry: dict[str, int] = {}
        self.number: dict[str, int] = {}  # of the last claim or `held`
        self.settled: dict[str, int] = {}  # of the last numbered settle
        self.alone: dict[str, str] = {}  # worker -> the suspect it was given
        self.held: dict[str, list[Job]] = {}  # in the order of their claims

    def advance(self, now_ms: int) -> None:
        """The clock goes on, by a quarter of a lease at most."""
        if self._seen_ms is not None:
            passed_ms = max(now_ms - self._seen_ms, 0)
            self.clock_ms += min(passed_ms, self._settings["lease_ms"] // 4)
        self._seen_ms = now_ms

    def add(self, worker: str) -> None:
        self.expiry[worker] = self.clock_ms + self._settings["lease_ms"]
        self.number[worker] = 0
        self.held[worker] = []

    def is_one(self, worker: str) -> bool:
        return worker in self.expiry

    def keep(self, workers: Sequence[str]) -> tuple[list[str], list[str]]:
        """Renew leases; which of these are no members, and which members have lapsed."""
        lost = [worker for worker in workers if not self.is_one(worker)]
        for worker in workers:
            if self.is_one(worker):
                self.expiry[worker] = self.clock_ms + self._settings["lease_ms"]
        in_order = sorted(self.expiry, key=lambda worker: (self.expiry[worker], worker))
        return lost, [worker for worker in in_order if self.expiry[worker] < self.clock_ms]

    def remove(self, worker: str) -> None:
        for kept in (self.expiry, self.number, self.settled, self.alone, self.held):
            kept.pop(worker, None)

    def records(self) -> list[WorkerRecord]:
        in_order = sorted(self.expiry, key=lambda worker: (self.expiry[worker], worker))
        return [
            WorkerRecord(worker, b"{}", self.expiry[worker] - self.clock_ms, len(self.held[worker]))
            for worker in in_order
        ]
