"""The App: what a program declares its tasks and queues on."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, overload

from homing.engines.engine import EngineName
from homing.errors import SettingsError
from homing.handle import Job
from homing.keys import check_id, check_queue
from homing.limits import Durability
from homing.link import Link
from homing.queue import Queue
from homing.sender import Sender
from homing.settings import Settings
from homing.signature import check_function
from homing.task import AsyncTask, Isolation, SyncTask, Task

if TYPE_CHECKING:
    from datetime import timedelta

    from homing.aclient import AsyncClient
    from homing.client import Client
    from homing.options import Retrying
    from homing.target import Target
    from homing.worker.inside import InsideWorker

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """What `@app.task(...)` gives: keeps the function's own signature for type checkers."""

    @overload  # an async function is also a plain one that returns a coroutine: the first match counts
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...


class App:
    """Tasks and queues on one server. Making it connects to nothing.

    `url` is a URL (redis://, rediss://, unix://, redis+sentinel://, redis+cluster://), or a redis-py or
    valkey-py client object, sync or async; without it HOMING_URL, REDIS_URL or `[tool.homing]` say
    where, and without those an embedded Valkey in `folder` (./.homing) is started or joined on first
    use. Any other setting of `Settings` may be given by name. Safe to share between threads, event
    loops and forked processes.
    """

    def __init__(
        self,
        url: object = None,
        *,
        prefix: str | None = None,
        folder: str | Path | None = None,
        **settings: Any,
    ) -> None:
        text = url if isinstance(url, str) else None
        self.settings = Settings.load(url=text, prefix=prefix, folder=folder, **settings)
        #: Name -> task, as registered by `@app.task`.
        self.tasks: dict[str, Task[..., Any]] = {}
        #: Name -> queue, as declared by tasks and by `app.queue`.
        self.queues: dict[str, Queue] = {}
        self._link = Link(self.settings, where=None if text is not None else url)
        self._senders: dict[str, Sender] = {}

    @overload
    def task(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...
    @overload
    def task(
        self,
        *,
        name: str | None = None,
        queue: str = "default",
        retry: "Retrying" = None,
        timeout: "float | timedelta | None" = None,
        priority: int = 0,
        isolation: Isolation | None = None,
        messages: bool = False,
        engine: EngineName | None = None,
    ) -> Decorator: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        queue: str = "default",
        retry: "Retrying" = None,
        timeout: "float | timedelta | None" = None,
        priority: int = 0,
        isolation: Isolation | None = None,
        messages: bool = False,
        engine: EngineName | None = None,
    ) -> Any:
        """Make a function a task, bare (`@app.task`) or with options (`@app.task(queue="emails")`).

        `name` is what jobs name it by, the function's own without it; a second task of one name is a
        SettingsError. `retry` is what `homing.retries.as_policy` takes: without it a failed run is not
        repeated. `timeout` is seconds of one run. `isolation="process"` runs it in a process of its own,
        which finds it by the same import that declared it here; a worker does not start where it would not.
        With `messages` it also takes the queue's messages: an object's fields become its keyword
        arguments, any other payload its one argument. `engine` is the queue's.
        """

        def register(function: Callable[..., Any]) -> Task[..., Any]:
            check_function(function)
            kind = AsyncTask if _is_async(function) else SyncTask
            task: Task[..., Any] = kind(
                function,
                self._sender,
                name=_name(function.__name__ if name is None else name),
                queue=check_queue(queue),
                retry=retry,
                timeout=timeout,
                priority=priority,
                isolation=isolation,
                messages=messages,
            )
            self._check_new(task)
            self.queue(queue, engine=engine)
            self.tasks[task.name] = task
            return task

        return register if function is None else register(function)

    def _check_new(self, task: Task[..., Any]) -> None:
        known = self.tasks.get(task.name)
        # The same place again is a module that was reloaded.
        if known is not None and known.location != task.location:
            raise SettingsError(
                f"two tasks are named {task.name!r}: {known.location} and {task.location}; "
                "give one of them another name: @app.task(name=...)"
            )
        taker = next((t for t in self.tasks.values() if t.messages and t.queue == task.queue), None)
        if task.messages and taker is not None and taker.name != task.name:
            raise SettingsError(
                f"two tasks take the messages of queue {task.queue!r}: {taker.location} and {task.location}"
            )

    def queue(
        self, name: str, engine: EngineName | None = None, durability: Durability | None = None
    ) -> Queue:
        """The queue of this name. Without `engine` it is what the queue has, else streams.

        `durability` is how sure what this program tells the queue must be before it counts as told:
        enqueues that say nothing else, and the outcomes of jobs. Without it the app's counts.
        """
        sender = self._sender(name)
        sender.want(engine)
        sender.insist(durability)
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = Queue(sender)
        return queue

    def job(self, queue: str, id: str) -> Job[Any]:
        """The job with this address; asks the server nothing yet."""
        return Job(self._sender(queue), check_id(id))

    def _sender(self, name: str) -> Sender:
        sender = self._senders.get(name) if isinstance(name, str) else None
        if sender is None:
            sender = self._senders.setdefault(name, Sender(self._link, name))  # threads may meet here
        return sender

    @property
    def client(self) -> "Client":
        """The client of this process, connected on first use."""
        return self._link.client

    @property
    def aclient(self) -> "AsyncClient":
        """The running event loop's client."""
        return self._link.aclient

    @property
    def embedded_folder(self) -> Path | None:
        """Where the embedded server keeps its data, once `target` has joined it; None with a server of yours."""
        return self._link.embedded_folder

    def target(self) -> "Target":
        """Where the server is; starts or joins the embedded one when there is no URL."""
        return self._link.target()

    def worker(
        self,
        *,
        queues: Sequence[str] | str | None = None,
        concurrency: int | None = None,
        threads: int | None = None,
        isolates: int | None = None,
        burst: bool = False,
        grace: float | None = None,
        label: str | None = None,
    ) -> "InsideWorker":
        """A worker inside this program: `async with app.worker(): ...`.

        It works on `queues`, by default on those of all tasks: `concurrency` async jobs, `threads` sync
        ones and `isolates` processes at once. With `burst` it ends when nothing is left.
        """
        from homing.worker.inside import InsideWorker

        return InsideWorker(
            self,
            queues=queues,
            concurrency=concurrency,
            threads=threads,
            isolates=isolates,
            burst=burst,
            grace=grace,
            label=label,
        )

    def close(self) -> None:
        """Close the connections and leave the embedded server; using the App again opens new ones."""
        self._link.close()

    async def aclose(self) -> None:
        """As `close`, and closes the running event loop's connections."""
        await self._link.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        from homing.settings import masked

        return f"<App {masked(self.settings.url or 'embedded')} tasks={len(self.tasks)}>"


def _name(name: object) -> str:
    """A task's name, by the same rule as a queue's."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a task must be a str, not {type(name).__name__}: {name!r:.200}")
    try:
        return check_queue(name)
    except SettingsError as error:
        raise SettingsError(str(error).replace("queue name", "task name", 1)) from None


def _is_async(function: Callable[..., Any]) -> bool:
    import inspect

    return inspect.iscoroutinefunction(function)
