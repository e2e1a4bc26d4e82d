"""Registered functions: called here they run here, enqueued they run in a worker."""

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar

from homing import limits, retries
from homing.errors import SettingsError, WrongKind
from homing.handle import Job, Returns
from homing.job import NewJob
from homing.link import Link
from homing.options import Options
from homing.sender import Sender
from homing.signature import Signature
from homing.steps import Steps

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from homing.options import Retrying

P = ParamSpec("P")
R = TypeVar("R")

Kind = Literal["async", "thread", "process"]
Isolation = Literal["process"]


class Task(Generic[P, R]):
    """A function that workers can run. Call it and it runs here; `enqueue` it and a worker runs it."""

    def __init__(
        self,
        function: Callable[P, Any],
        senders: Callable[[str], Sender],
        *,
        name: str,
        queue: str = "default",
        retry: "Retrying" = None,
        timeout: "float | timedelta | None" = None,
        priority: int = 0,
        isolation: Isolation | None = None,
        messages: bool = False,
    ) -> None:
        self.signature = Signature(function, name)
        functools.update_wrapper(self, function)
        self.function: Callable[..., Any] = function
        self.name = name
        self.queue = queue
        self.retry = retries.as_policy(retry)
        self.timeout_s = None if timeout is None else limits.seconds(timeout, "timeout", positive=True)
        self.priority = limits.priority(priority)
        self.kind = _kind(function, isolation)
        #: The module whose import declares it, for the process that must do so again; empty without isolation.
        self.declared_in = _importing() if self.kind == "process" else ""
        if not isinstance(messages, bool):
            raise WrongKind(f"messages must be True or False, not {messages!r:.200}")
        self.messages = messages
        self.returns = Returns(function)
        self._senders = senders
        self._plain: Bound[P, R] = Bound(self, Options(queue=queue, priority=self.priority))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run it here and now, with no queue."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.name} queue={self.queue}>"

    @property
    def location(self) -> str:
        """`file:line` of the function, for messages."""
        return location(self.function)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Hand the call over to a worker. Once this returned, the job runs to an end.

        Raises TypeError naming the parameter, EncodeError with the path to a value JSON cannot carry,
        PayloadTooLarge, QueueFull or a ServerError; then nothing was stored. Where durability is asked
        for, EnqueueUncertain says that it was stored, and what was not shown.
        """
        return self._plain.enqueue(*args, **kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """As `enqueue`; concurrent calls share a round trip."""
        return await self._plain.aenqueue(*args, **kwargs)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> "Call[R]":
        """The call as a value for `enqueue_many`; raises what `enqueue` raises for its arguments."""
        return self._plain.call(*args, **kwargs)

    def options(
        self,
        *,
        delay: "float | timedelta | None" = None,
        at: "datetime | None" = None,
        priority: int | None = None,
        id: str | None = None,
        timeout: "float | timedelta | None" = None,
        retry: "Retrying" = None,
        queue: str | None = None,
        durability: limits.Durability | None = None,
    ) -> "Bound[P, R]":
        """The task with other options for one job: `task.options(delay=60).enqueue(...)`.

        `delay` is seconds; `at` needs a tzinfo, and is now when it is past; `id` is refused while a job
        has it and for `id_ttl` after (JobExists). With `durability` "replicated" or "fsynced" it returns
        only when replicas, or the disk, have the job; else it raises NotDurable, and nothing was stored,
        or EnqueueUncertain. Without it the queue's or the app's counts.
        """
        chosen = Options.of(
            queue=self.queue if queue is None else queue,
            priority=self.priority if priority is None else priority,
            delay=delay,
            at=at,
            id=id,
            timeout=timeout,
            retry=retry,
            durability=durability,
        )
        return Bound(self, chosen)

    def enqueue_many(self, calls: "Iterable[Call[R]]") -> list[Job[R]]:
        """Enqueue many calls in few round trips: `task.enqueue_many(task.call(n) for n in numbers)`.

        A call made from `task.options(...)` keeps its options. JobExists, when an id was taken, comes
        after all others were stored; after any other error those before it may be stored: its note
        says how many.
        """
        return self._link.do(self._store_many(calls))

    async def aenqueue_many(self, calls: "Iterable[Call[R]]") -> list[Job[R]]:
        return await self._link.ado(self._store_many(calls))

    @property
    def _link(self) -> Link:
        return self.sender().link

    def sender(self, queue: str | None = None) -> Sender:
        return self._senders(self.queue if queue is None else queue)

    def _store_many(self, calls: "Iterable[Call[R]]") -> Steps[list[Job[R]]]:
        limits.many(calls, "calls", "task.call(...)")
        every = [(call, call.new_job()) for call in map(_checked_call, calls)]
        by_queue: dict[str, list[tuple[NewJob, limits.Durability | None]]] = {}
        for call, job in every:
            by_queue.setdefault(call.queue, []).append((job, call.options.durability))
        for queue, jobs in by_queue.items():
            yield from self._senders(queue).store_all(jobs)
        return [call.handle(job) for call, job in every]


class AsyncTask(Task[P, R]):
    """A task made of an async function: calling it gives its coroutine."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...


class SyncTask(Task[P, R]):
    """A task made of a plain function."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


class Bound(Generic[P, R]):
    """A task with the options of one enqueue."""

    __slots__ = ("_options", "_sender", "_task")

    def __init__(self, task: Task[P, R], options: Options) -> None:
        self._task = task
        self._options = options
        self._sender: Sender | None = None

    def call(self, *args: P.args, **kwargs: P.kwargs) -> "Call[R]":
        """The call with its options, as a value for `task.enqueue_many`."""
        limit = self._task.sender(self._options.queue).link.settings.payload_max
        payload = self._task.signature.bind(args, kwargs, limit)
        return Call(self._task, payload, self._options)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        job, sender = self._new_job(args, kwargs)
        sender.put_one(job, self._options.durability)
        return Job(sender, job.id, self._task.returns)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        job, sender = self._new_job(args, kwargs)
        await sender.astore_one(job, self._options.durability)
        return Job(sender, job.id, self._task.returns)

    def _new_job(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[NewJob, Sender]:
        task, options, sender = self._task, self._options, self._sender
        if sender is None:
            sender = self._sender = task.sender(options.queue)
        payload = task.signature.bind(args, kwargs, sender.link.settings.payload_max)
        return options.new_job(task.name, payload), sender


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """A task with its arguments, checked, and not yet enqueued."""

    task: Task[..., R]
    payload: bytes
    options: Options

    @property
    def queue(self) -> str:
        return self.options.queue

    def new_job(self) -> NewJob:
        return self.options.new_job(self.task.name, self.payload)

    def handle(self, job: NewJob) -> Job[R]:
        return Job(self.task.sender(self.queue), job.id, self.task.returns)


def _checked_call(call: object) -> Call[Any]:
    if not isinstance(call, Call):
        raise WrongKind(f"enqueue_many takes calls, each made by task.call(...), not {call!r:.200}")
    return call


def location(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def _kind(function: Callable[..., Any], isolation: object) -> Kind:
    if isolation not in (None, "process"):
        raise SettingsError(f"isolation must be None or 'process', not {isolation!r:.200}")
    if isolation == "process":
        return "process"
    return "async" if inspect.iscoroutinefunction(function) else "thread"


def _importing() -> str:
    """The module whose own code is at work: the nearest on the stack, empty in a thread without one."""
    frame = sys._getframe()
    while frame.f_code.co_name != "<module>":
        if frame.f_back is None:
            return ""
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))
