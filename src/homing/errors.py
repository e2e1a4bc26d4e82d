"""Every exception homing raises on purpose.

One root; a subclass says what the caller can do next, and its message names
the queue, the job and the remedy.
"""

from collections.abc import Sequence


class HomingError(Exception):
    """The root of everything homing raises on purpose."""


class SettingsError(HomingError, ValueError):
    """A setting, name or option breaks a rule; nothing was sent. Mend the value."""


class WrongKind(SettingsError, TypeError):
    """A setting, name or option is of the wrong type; nothing was sent. Mend the value."""


class EncodeError(HomingError, TypeError):
    """A value cannot be carried as JSON; the message has the path to it. Nothing was stored."""


class DecodeError(HomingError, ValueError):
    """Stored bytes are not what they should be; the job goes to the dead letters, whole."""


class PayloadTooLarge(HomingError, ValueError):
    """The payload is over the limit; the message has both sizes. Nothing was sent."""


class ServerError(HomingError):
    """The server could not be used; the subclass says what to mend."""


class ServerUnreachable(ServerError):
    """No answer before the deadline; a write may or may not have happened unless said otherwise."""


class ServerLoading(ServerError):
    """The server is still loading its data; try again shortly."""


class ServerReadOnly(ServerError):
    """The server is a read-only replica; connect to the primary."""


class ServerAuth(ServerError):
    """The server wants a user or password, or refuses the one it got, or denies a command or key."""


class ServerTooOld(ServerError):
    """The server lacks something homing needs (the floor is Redis 6.2 and Valkey 7.2)."""


class ServerMissing(ServerError):
    """No URL is set and the embedded server is not installed."""


class ServerUnfit(ServerError):
    """The server is set up so that it would lose jobs; the message has the line that mends it."""


class NotDurable(ServerError):
    """The server cannot keep a job as safe as `durability` asks for; nothing was stored.

    The message has the lines that change it.
    """


class QueueError(HomingError):
    """Something about one queue; the subclass says what."""


class QueueFull(QueueError):
    """The server (`maxmemory`) or a bound of the queue is full; nothing was stored. Try later."""


class WrongEngine(QueueError):
    """The queue was made by the other engine; name that engine, or another queue."""


class NewerData(QueueError):
    """The queue was written by a newer release of homing; upgrade this one."""


class WrongType(QueueError):
    """A key of the queue holds another type than homing wrote; something else uses its name."""


class LeaseLost(QueueError):
    """The worker's lease was reclaimed; what it says about its jobs is not accepted any more."""


class ClaimRefused(QueueError):
    """A claim or `held` arrived after one with a higher number; it did nothing."""


class JobError(HomingError):
    """Something about one job; the subclass says what."""


class JobExists(JobError):
    """A job with the id the caller chose exists, or ended less than `id_ttl` ago. Nothing was stored."""


class EnqueueUncertain(JobError):
    """The jobs are stored on the primary, but were not shown to be as safe as `durability` asks for.

    They run, unless the primary is lost before what is missing happens. `ids` are the jobs', `replicas`
    is how many replicas have confirmed them. Under an id that the caller chose it is safe to enqueue
    again until it returns, or raises JobExists: then the job is there, and as safe as was asked for.
    """

    def __init__(self, message: str, queue: str = "", ids: Sequence[str] = (), replicas: int = 0) -> None:
        super().__init__(message)
        self.queue = queue
        self.ids = list(ids)
        self.replicas = replicas


class JobNotFound(JobError):
    """No such job: it never was, or it ended and was forgotten."""


class JobNotSettled(JobError):
    """A consumed job was left without an outcome; it was handed back to its queue."""


class JobFailed(JobError):
    """The job ended in the dead letters; `error` has the remote exception as plain data."""

    def __init__(self, message: str, error: object = None) -> None:
        super().__init__(message)
        self.error = error


class JobCancelled(JobError):
    """The job was cancelled before it completed."""


class ResultTimeout(JobError, TimeoutError):
    """The job has not ended within the timeout; it is still on its way."""


class UnknownTask(JobError):
    """The job names a task that is not registered here."""


class JobCorrupted(JobError):
    """What is stored of the job is not what was enqueued; it was buried, whole, and did not run."""


class JobNotSigned(JobError):
    """The job has no signature of a key this app knows; it was buried, whole, and did not run."""


class TimeLimitExceeded(JobError, TimeoutError):
    """The job ran longer than its `timeout`."""


class WorkerCrashed(JobError):
    """The process that ran the job died with it, more often than is allowed."""


class AppNotFound(HomingError):
    """`module:attr` names no App; the message has suggestions."""
