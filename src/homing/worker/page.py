"""The page a child shares with its supervisor: numbers in shared memory, so that no death tears a message.

One writer per number: the child writes its pulse and what runs in which slot, the supervisor writes
the leases' ends and what the ticks saw. Each number is an aligned 8-byte store.
"""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass

from homing.delivery.heart import boot_s
from homing.errors import SettingsError

#: Members (registrations alive at once: one per queue, some more while old ones leave).
MEMBERS_MAX = 4096
#: Jobs running at once: more than any setting allows (10,000 async, 1,000 threads, isolates).
SLOTS_MAX = 12_288
ID_BYTES = 64

_HEAD = 8  # numbers: pulse, longest limit, the rest is spare
_MEMBER = 4  # lease end (s), lost, waiting, alone
_SLOT = 2 + ID_BYTES // 8  # the id, its length, member index + 1
_MEMBER_AT = ID_BYTES // 8 + 1

_MEMBERS_AT = _HEAD
_SLOTS_AT = _MEMBERS_AT + MEMBERS_MAX * _MEMBER
PAGE_BYTES = 8 * (_SLOTS_AT + SLOTS_MAX * _SLOT)
#: Writes its fields in their order: the member, which says that the rest holds, is the last.
_pack_slot = struct.Struct(f"{ID_BYTES}sqq").pack_into


class _Memory:
    """The same bytes as floats, whole numbers and bytes."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, PAGE_BYTES)
        self.raw = memoryview(self._map)
        self.reals = self.raw.cast("d")
        self.whole = self.raw.cast("q")

    def close(self) -> None:
        for view in (self.reals, self.whole, self.raw):
            view.release()
        self._map.close()


@dataclass(frozen=True, slots=True)
class Joined:
    """A member as the child announces it; `lease_ms` is 0 until it is registered."""

    index: int
    queue: str
    engine: str
    worker: str
    lease_ms: int


class Page:
    """The child's side: a Heart whose leases the supervisor keeps.

    `announce` tells the supervisor that a member joins (Joined) or leaves (its index).
    """

    def __init__(self, fd: int, announce: Callable[[Joined | int], None]) -> None:
        self._memory = _Memory(fd)
        self._raw, self._whole = self._memory.raw, self._memory.whole
        self._announce = announce
        self._index: dict[tuple[str, str], int] = {}
        self._slot_member: dict[str, int] = {}  # worker -> what its slots bear
        self._joined_s: dict[int, float] = {}
        self._of_queue: dict[str, int] = {}
        self._free = list(range(MEMBERS_MAX - 1, -1, -1))

    def join(self, queue: str, engine: str, worker: str, lease_ms: int) -> None:
        index = self._index.get((queue, worker))
        if index is None:
            if not self._free:
                raise SettingsError(f"one worker process can work on at most {MEMBERS_MAX} queues")
            index = self._index[queue, worker] = self._free.pop()
            self._slot_member[worker] = index + 1
            self._joined_s[index] = boot_s()
            for offset in range(1, _MEMBER):
                self._memory.whole[_MEMBERS_AT + index * _MEMBER + offset] = 0
        end_s = self._joined_s[index] + lease_ms / 1_000 if lease_ms else 0.0
        self._memory.reals[_MEMBERS_AT + index * _MEMBER] = end_s
        self._of_queue[queue] = index
        self._announce(Joined(index, queue, engine, worker, lease_ms))

    def leave(self, queue: str, worker: str) -> None:
        index = self._index.pop((queue, worker), None)
        if index is None:
            return
        self._slot_member.pop(worker, None)
        self._memory.reals[_MEMBERS_AT + index * _MEMBER] = 0.0
        self._free.insert(0, index)  # the longest unused is taken first
        if self._of_queue.get(queue) == index:
            del self._of_queue[queue]
        self._announce(index)

    def lease_end_s(self, queue: str, worker: str) -> float:
        index = self._index.get((queue, worker))
        if index is None or self._memory.whole[_MEMBERS_AT + index * _MEMBER + 1]:
            return 0.0
        return self._memory.reals[_MEMBERS_AT + index * _MEMBER]

    def waiting(self, queue: str) -> int:
        return self._seen(queue, 2)

    def alone(self, queue: str) -> int:
        return self._seen(queue, 3)

    def _seen(self, queue: str, offset: int) -> int:
        index = self._of_queue.get(queue)
        return 0 if index is None else self._memory.whole[_MEMBERS_AT + index * _MEMBER + offset]

    def started(self, slot: int, queue: str, worker: str, job_id: str) -> None:
        name = job_id.encode()
        member = self._slot_member.get(worker, 0)
        _pack_slot(self._raw, 8 * (_SLOTS_AT + slot * _SLOT), name, min(len(name), ID_BYTES), member)

    def ended(self, slot: int) -> None:
        self._whole[_SLOTS_AT + slot * _SLOT + _MEMBER_AT] = 0

    def pulse(self, limit_s: float) -> None:
        self._memory.reals[1] = limit_s
        self._memory.reals[0] = boot_s()

    def close(self) -> None:
        self._memory.close()


class PageView:
    """The supervisor's side of one child's page."""

    def __init__(self, fd: int) -> None:
        self._memory = _Memory(fd)

    def pulse(self) -> tuple[float, float]:
        """When the child's loop last said that it is alive (`boot_s()`, 0.0: not yet), and its longest limit."""
        return self._memory.reals[0], self._memory.reals[1]

    def kept(self, index: int, end_s: float, waiting: int, alone: int) -> None:
        """A good tick: the lease lasts until `end_s`."""
        at = _MEMBERS_AT + index * _MEMBER
        self._memory.whole[at + 2] = waiting
        self._memory.whole[at + 3] = alone
        self._memory.reals[at] = max(self._memory.reals[at], end_s)

    def lost(self, index: int) -> None:
        """A tick found it no member any more."""
        self._memory.whole[_MEMBERS_AT + index * _MEMBER + 1] = 1

    def running(self) -> dict[int, list[str]]:
        """Member index -> the ids of its jobs that have started and not ended."""
        found: dict[int, list[str]] = {}
        for slot in range(SLOTS_MAX):
            at = _SLOTS_AT + slot * _SLOT
            index = self._memory.whole[at + _MEMBER_AT] - 1
            if index >= 0:
                length = min(self._memory.whole[at + _MEMBER_AT - 1], ID_BYTES)
                name = bytes(self._memory.raw[8 * at : 8 * at + length])
                found.setdefault(index, []).append(name.decode("ascii", "replace"))
        return found

    def close(self) -> None:
        self._memory.close()
