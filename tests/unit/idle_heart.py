"""A heart that keeps every lease for ever."""

from homing.delivery.heart import boot_s

AN_HOUR_S = 3_600.0


class IdleHeart:
    def join(self, queue: str, engine: str, worker: str, lease_ms: int) -> None: ...

    def leave(self, queue: str, worker: str) -> None: ...

    def lease_end_s(self, queue: str, worker: str) -> float:
        return boot_s() + AN_HOUR_S

    def waiting(self, queue: str) -> int:
        return 0

    def alone(self, queue: str) -> int:
        return 0

    def started(self, slot: int, queue: str, worker: str, job_id: str) -> None: ...

    def ended(self, slot: int) -> None: ...

    def pulse(self, limit_s: float) -> None: ...
