"""Taking jobs: one loop for all queues that share a connection. It blocks on the bell, never on the queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from msgspec.structs import replace

from homing import events
from homing.command import Command
from homing.delivery.backoff import backoff_s, now_and_then
from homing.delivery.heart import Heart, boot_s
from homing.delivery.lease import Lease
from homing.engines.engine import BATCH_MAX, Engine
from homing.errors import HomingError, LeaseLost
from homing.ids import new_worker_id
from homing.job import Claim
from homing.keys import Keys

#: A block lasts between these; Redis 6.2 never returns from 0.001, and 0 would be for ever.
BLOCK_MIN_S, BLOCK_MAX_S = 0.01, 2.0
#: A server looks at its blocked clients some ten times a second: nearer due times are ours to keep.
NEAR_S = 0.15
#: `held` is asked this often, in leases, even when nothing went wrong.
HELD_EVERY_LEASES = 3
#: With free slots and jobs waiting, this long without one means that something is stuck.
STUCK_S = 5.0
#: Passes of the loop in which a short job starts, its end is told to the settler, and that is sent.
PASSES = 3
#: How often the loop looks up while it may not claim.
LOOK_S = 0.25


class Wire(Protocol):
    """The asyncio client, as far as the claimer uses it."""

    async def run(self, command: Command[Any], /) -> Any: ...

    async def wait(self, bells: Sequence[str], block_s: float, command: None, /) -> None: ...

    async def listen(
        self, bells: Sequence[str], block_s: float, command: Command[Any], heard: Callable[[Any], None], /
    ) -> None: ...


class Intake(Protocol):
    """Where claimed jobs go."""

    def room(self, queue: str) -> int:
        """How many more jobs of this queue may be taken now."""

    async def changed(self, timeout_s: float) -> None:
        """Wait until there may be more room."""

    def accept(self, lease: Lease, claim: Claim) -> None:
        """Take these jobs over."""

    def enlisted(self, lease: Lease) -> None:
        """A new registration: jobs will come under it."""


@dataclass(slots=True)
class Post:
    """One queue, as its claimer sees it."""

    queue: str
    keys: Keys
    resolve: Callable[[], Awaitable[Engine]]  # the queue's engine, the queue being opened for it
    info: bytes = b"{}"
    label: str = "worker"
    block_max_s: float = BLOCK_MAX_S
    lease: Lease | None = None
    eager: bool = True  # claim again without blocking
    ask: bool = False  # a claim's end is unknown: ask what is held before the next one
    asked_s: float = 0.0
    due_s: float | None = None  # when the next scheduled job is due
    gained_s: float = 0.0  # when it last gained a job, or had no reason to
    rest_until_s: float = 0.0
    failures: int = 0


class Claimer:
    """Registers on its queues, claims while there is room, and adopts what a lost answer left behind."""

    def __init__(self, posts: Sequence[Post], wire: Callable[[], Wire], heart: Heart, intake: Intake) -> None:
        self.posts = list(posts)
        self._wire = wire
        self._heart = heart
        self._intake = intake
        self._stopping = False
        self._blocking = False
        self._giving_up = False
        self._bell: asyncio.Future[Any] | None = None  # with several queues: waits for a bell of theirs
        self._loop: asyncio.Task[None] | None = None

    async def register(self) -> None:
        """Register on every queue now; raises the first HomingError."""
        for post in self.posts:
            if post.lease is None:
                await self._register(post)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Claim no more. A claim that was blocked is given up, and what it may have taken is adopted.

        Or it is left to who leaves, when nobody can say now what was taken.
        """
        if self._stopping or self._loop is None:
            self._stopping = True
            return
        self._stopping = True
        if self._blocking:
            self._loop.cancel()
        await asyncio.wait([self._loop])
        self._hang_up()
        for post in self.posts:
            if post.ask and post.lease is not None and not post.lease.lost:
                if post.lease.flight.locked():
                    continue  # by an outcome that is sent again, in an outage for as long as it lasts
                try:
                    await self._held(post, post.lease)
                except HomingError as error:
                    # Leaving gives it back as well, here and above.
                    events.emit("held_failed", level=logging.WARNING, queue=post.queue, error=error)

    def stuck(self) -> list[Post]:
        """The queues that gave nothing for some seconds although there is room and jobs wait."""
        now_s = boot_s()
        found = []
        for post in self.posts:
            idle = self._stopping or self._intake.room(post.queue) == 0 or post.rest_until_s > now_s
            if idle or self._heart.waiting(post.queue) == 0:
                post.gained_s = now_s
            elif now_s - post.gained_s > STUCK_S:
                post.gained_s = now_s
                found.append(post)
        return found

    def unblock(self) -> None:
        """Give up what the loop waits for now: the connection under it was replaced."""
        if self._loop is not None and not self._stopping:
            self._giving_up = True
            self._loop.cancel()

    def recall(self, queue: str) -> bool:
        """Give up a claim that waits for this queue's bell: it was sent when there was more room.

        Returns whether there was one.
        """
        waits = self._blocking and len(self.posts) == 1 and self.posts[0].queue == queue
        if waits and not self._giving_up:
            self.unblock()
        return waits

    async def _run(self) -> None:
        start = 0
        while not self._stopping:
            try:
                await self._round(self.posts[start:] + self.posts[:start])
            except asyncio.CancelledError:
                if self._stopping or not self._giving_up:
                    raise
                self._giving_up = False
                self._hang_up()
                task = asyncio.current_task()
                if task is not None:
                    task.uncancel()
            except Exception as error:  # a mistake of ours must not end the worker
                events.emit("claimer_failed", level=logging.ERROR, error=error)
                await asyncio.sleep(LOOK_S)
            start = (start + 1) % len(self.posts)

    async def _round(self, posts: Sequence[Post]) -> None:
        """Claim from what is due one, in turn; block when nothing is."""
        ready = [post for post in posts if await self._ready(post)]
        rooms = [self._room(post) for post in ready]
        roomy = [post for post, room in zip(ready, rooms, strict=True) if room]
        if not roomy:
            await self._intake.changed(LOOK_S)
            return
        now_s = boot_s()
        eager = [post for post in roomy if post.eager or (post.due_s is not None and post.due_s <= now_s)]
        for post in eager:
            if (room := self._room(post)) and not self._stopping:
                await self._claim(post, room, None)
        if not eager:
            await self._block(roomy, rooms[0])

    def _room(self, post: Post) -> int:
        if post.lease is None or post.lease.lost or post.lease.flight.locked():
            return 0
        return min(self._intake.room(post.queue), BATCH_MAX)

    async def _block(self, posts: Sequence[Post], room: int) -> None:
        """Wait for a bell; with one queue the claim leaves in the same flight."""
        due_in_s = min((post.due_s for post in posts if post.due_s is not None), default=1e9) - boot_s()
        if due_in_s <= NEAR_S:
            await asyncio.sleep(max(due_in_s, 0.001))
            return
        longest_s = min(post.block_max_s for post in posts)
        block_s = max(BLOCK_MIN_S, min(longest_s, due_in_s - NEAR_S * 2 / 3))
        if len(self.posts) == 1:
            await self._claim(posts[0], room, block_s)
            return
        await self._listen(posts, block_s)

    async def _listen(self, posts: Sequence[Post], block_s: float) -> None:
        """Wait until a bell rings or there may be more room: a queue without room has its bell not heard."""
        if self._bell is None:
            if len(posts) < len(self.posts):
                block_s = min(block_s, LOOK_S)
            bells = [post.keys.bell for post in posts]
            self._bell = asyncio.ensure_future(self._wire().wait(bells, block_s, None))
        changed = asyncio.ensure_future(self._intake.changed(BLOCK_MAX_S))
        self._blocking = True
        try:
            await asyncio.wait((self._bell, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._blocking = False
            changed.cancel()
        if not self._bell.done():
            return
        bell, self._bell = self._bell, None
        # A wake-up is no address: every queue gets its turn.
        for post in self.posts:
            post.eager = True
        try:
            bell.result()
        except HomingError as error:
            self._failed(posts[0], error)

    def _hang_up(self) -> None:
        """Listen for no bell any more; what rang meanwhile is made good by a look at every queue."""
        bell, self._bell = self._bell, None
        if bell is not None and not bell.cancel() and not bell.cancelled():
            bell.exception()  # whatever it was, the next call meets it too
        for post in self.posts:
            post.eager = True

    async def _claim(self, post: Post, limit: int, block_s: float | None) -> None:
        lease = post.lease
        assert lease is not None
        self._blocking = True  # until the claim is sent, or while it waits for the bell, it may be given up
        try:
            async with lease.flight:
                command = lease.engine.claim(lease.worker, limit=limit, number=lease.number())
                command = replace(command, resend=False)
                # Until the answer is there nobody knows what this claim took.
                post.ask = True
                gained = partial(self._gained, post, lease, limit)
                if block_s is None:
                    self._blocking = False
                    gained(await self._wire().run(command))
                else:
                    await self._wire().listen([post.keys.bell], block_s, command, gained)
        except LeaseLost:
            lease.lose()
        except HomingError as error:
            self._failed(post, error)
        finally:
            self._blocking = False
        if not post.eager:
            # Nothing hurries: what came may start, and its end be sent, before the next claim is made ready.
            for _ in range(PASSES):
                await asyncio.sleep(0)

    def _gained(self, post: Post, lease: Lease, limit: int, claim: Claim) -> None:
        now_s = boot_s()
        post.ask = False
        post.failures = 0
        post.eager = (claim.more or len(claim.jobs) >= limit) and not claim.paused
        due_in_ms = None if claim.paused else claim.due_in_ms
        post.due_s = None if due_in_ms is None else now_s + max(due_in_ms, 1) / 1_000
        if claim.jobs:
            post.gained_s = now_s
            self._intake.accept(lease, claim)

    async def _ready(self, post: Post) -> bool:
        """Whether this queue may be claimed from: registered, and nothing of it unaccounted for."""
        if self._stopping or post.rest_until_s > boot_s():
            return False
        try:
            if post.lease is not None and not post.lease.lost:
                post.lease.look()
            if post.lease is None or post.lease.lost:
                await self._register(post)
            lease = post.lease
            assert lease is not None
            every_s = HELD_EVERY_LEASES * lease.lease_ms / 1_000
            if post.ask or boot_s() - post.asked_s > every_s:
                if lease.flight.locked():
                    return False
                await self._held(post, lease)
        except LeaseLost:
            if post.lease is not None:
                post.lease.lose()
            return False
        except HomingError as error:
            self._failed(post, error)
            return False
        return not lease.lost

    async def _register(self, post: Post) -> None:
        worker = new_worker_id(post.label)
        engine = await post.resolve()
        self._heart.join(post.queue, engine.name, worker, 0)
        try:
            registered = await self._wire().run(engine.register(worker, info=post.info))
        except BaseException:
            # Whether it was registered nobody knows: its lease lapses by itself, the id is never used.
            self._heart.leave(post.queue, worker)
            raise
        self._heart.join(post.queue, engine.name, worker, registered.lease_ms)
        lease = Lease(post.queue, worker, engine, registered.lease_ms, self._heart)
        lease.look()
        again = post.lease is not None
        post.lease, post.ask, post.eager = lease, False, True
        post.asked_s = post.gained_s = boot_s()
        self._intake.enlisted(lease)
        if again:
            events.emit("registered_again", level=logging.WARNING, queue=post.queue, worker=worker)

    async def _held(self, post: Post, lease: Lease) -> None:
        """Adopt what the server says this worker holds and its table does not know."""
        async with lease.flight:
            more = True
            while more:
                known = list(lease.jobs)
                command = lease.engine.held(lease.worker, known=known, number=lease.number())
                claim = await self._wire().run(replace(command, resend=False))
                more = claim.more and bool(claim.jobs)
                if claim.jobs:
                    events.emit(
                        "adopted", level=logging.WARNING, queue=post.queue, ids=[job.id for job in claim.jobs]
                    )
                    self._intake.accept(lease, claim)
            post.ask, post.asked_s = False, boot_s()

    def _failed(self, post: Post, error: HomingError) -> None:
        """Rest before this queue is tried again; what its claim took is asked for then."""
        post.eager = True
        post.failures += 1
        if now_and_then(post.failures):
            events.emit("claim_failed", level=logging.WARNING, queue=post.queue, error=error)
        post.rest_until_s = boot_s() + backoff_s(post.failures)
