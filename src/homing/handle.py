"""A job as its producer sees it: where it stands, and what became of it."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from homing import limits
from homing.errors import DecodeError, JobCancelled, JobFailed, JobNotFound, ResultTimeout
from homing.job import JobRecord, State
from homing.sender import Sender
from homing.steps import Steps, run

if TYPE_CHECKING:
    from datetime import timedelta

    import msgspec

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class RemoteError:
    """What a handler raised, as plain data: nothing of it is ever rebuilt as a class or run."""

    type: str = ""
    message: str = ""
    traceback: str = ""
    reason: str = ""


#: What stands before the reason, in place of a result that could not be stored.
NOT_KEPT = b"!"


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended; `body` is its result or error as JSON, or why it was cancelled, None when it was
    not kept; `returned`: there was a result, kept or not.
    """

    state: State
    body: bytes | None
    ended_ms: int | None = None
    returned: bool = False


def end_of(record: JobRecord) -> End | None:
    """The end in a job's record, None while it has not ended."""
    match record.state:
        case State.COMPLETED:
            return End(record.state, record.result, record.ended_ms, record.returned)
        case State.DEAD:
            return End(record.state, record.error, record.ended_ms)
        case State.CANCELLED:
            return End(record.state, record.result or b"", record.ended_ms)
        case _:
            return None


class Returns:
    """What a function's annotation says of its result; read when first asked, since names must exist."""

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self._function = function

    @cached_property
    def _hint(self) -> Any:
        try:
            hint = get_type_hints(self._function, include_extras=True).get("return", Any)
        except Exception:  # any code may stand in an annotation; what does not resolve says nothing
            return Any
        # A plain function may return a coroutine: the worker awaits it, so its own result is what is stored.
        return get_args(hint)[-1] if get_origin(hint) in (Coroutine, Awaitable) and get_args(hint) else hint

    @cached_property
    def _decoder(self) -> "msgspec.json.Decoder[Any] | None":
        from homing import codec

        try:
            return None if self._hint is Any else codec.decoder_of(self._hint)
        except TypeError:
            return None

    def decode(self, body: bytes) -> Any:
        """The result as its annotated type, where JSON can be read as one. Raises DecodeError."""
        from homing import codec

        if self._decoder is None:
            return codec.decode(body)
        try:
            return self._decoder.decode(body)
        except (ValueError, RecursionError) as error:
            raise DecodeError(
                f"the stored result is not what its task is annotated to return: {error}"
            ) from error


#: Of a job nobody here knows the task of.
ANYTHING = Returns()


class Job(Generic[R_co]):
    """One enqueued job. Making one asks nothing of the server; each question is a round trip."""

    __slots__ = ("_returns", "_sender", "id")

    def __init__(self, sender: Sender, job_id: str, returns: Returns = ANYTHING) -> None:
        self._sender = sender
        self._returns = returns
        self.id = job_id

    @property
    def queue(self) -> str:
        return self._sender.name

    @property
    def address(self) -> str:
        """`queue/id`: where everybody finds this job."""
        return f"{self.queue}/{self.id}"

    def __repr__(self) -> str:
        return f"<Job {self.address}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    @property
    def state(self) -> State:
        """Where it is now; JobNotFound when nothing is known of it."""
        return self.record().state

    async def astate(self) -> State:
        return (await self.arecord()).state

    def record(self) -> JobRecord:
        """The job as it is stored, whole; JobNotFound when nothing is known of it."""
        return self._sender.link.do(self._record())

    async def arecord(self) -> JobRecord:
        return await self._sender.link.ado(self._record())

    def cancel(self) -> bool:
        """End it as cancelled if it has not started; says whether that worked."""
        return self._sender.link.do(self._cancel())

    async def acancel(self) -> bool:
        return await self._sender.link.ado(self._cancel())

    def result(self, timeout: "float | timedelta | None" = None) -> R_co:
        """Wait for the job's end and return what its task returned.

        Raises JobFailed, JobCancelled, JobNotFound, or ResultTimeout after `timeout` seconds.
        """
        from homing.follower import follower

        return self._value(follower(self._sender).end(self.id, _limit(timeout)), timeout)

    async def aresult(self, timeout: "float | timedelta | None" = None) -> R_co:  # noqa: ASYNC109
        from homing.follower import async_follower

        return self._value(await async_follower(self._sender).end(self.id, _limit(timeout)), timeout)

    def _record(self) -> Steps[JobRecord]:
        engine = yield from self._sender.looked()
        record = yield from run(engine.job(self.id))
        if record is None:
            raise not_found(self.address)
        return record

    def _cancel(self) -> Steps[bool]:
        engine = yield from self._sender.looked()
        state = yield from run(engine.cancel(self.id))
        if state is None:
            raise not_found(self.address)
        return state in (State.WAITING, State.SCHEDULED)

    def _value(self, end: End | None, timeout: object) -> R_co:
        if end is None:
            raise ResultTimeout(
                f"job {self.address} has not ended within {timeout} s; it is still on its way: "
                "ask again, or wait longer"
            )
        value: R_co = read_end(self.address, end, self._returns)
        return value


def not_found(address: str) -> JobNotFound:
    return JobNotFound(
        f"job {address} is not known: either it never was (look at the queue and the id), "
        "or it ended and was forgotten (results are kept for the queue's result_ttl)"
    )


def read_end(address: str, end: End, returns: Returns) -> Any:
    """The value of a completed job; raises what any other end calls for."""
    if end.state is State.CANCELLED:
        reason = (end.body or b"").decode("utf-8", "replace")
        raise JobCancelled(f"job {address} was cancelled{': ' if reason else ''}{reason}")
    if end.state is State.DEAD:
        error = remote_error(end.body or b"")
        told = f"{error.type}: {error.message}" if error.type else error.reason or "no reason was kept"
        raise JobFailed(f"job {address} is in the dead letters: {told}", error)
    if end.body and end.body.startswith(NOT_KEPT):
        why = end.body[len(NOT_KEPT) :].decode("utf-8", "replace")
        raise JobNotFound(f"job {address} completed, and its result could not be kept: {why}")
    if end.body:
        return returns.decode(end.body)
    if end.body is None and end.returned:
        raise JobNotFound(
            f"job {address} completed, and its result was forgotten: "
            "they are kept for the queue's result_ttl, at most result_max of them"
        )
    return None


def remote_error(body: bytes) -> RemoteError:
    """The stored error; one that cannot be read becomes the reason, whole."""
    from homing import codec
    from homing.errors import DecodeError

    try:
        fields = codec.decode(body)
        return RemoteError(**{name: str(fields.get(name, "")) for name in RemoteError.__slots__})
    except (DecodeError, AttributeError):
        return RemoteError(reason=body.decode(errors="replace"))


def _limit(timeout: "float | timedelta | None") -> float | None:
    return None if timeout is None else limits.seconds(timeout, "timeout")
