"""The field `meta` of a job: what travels with it beside its payload. Scripts never read it."""

from typing import Any

import msgspec

from homing import codec
from homing.errors import DecodeError

#: How many past errors a job carries along.
ERRORS_MAX = 10
_ERROR_MESSAGE_MAX_BYTES = 500


class PastError(msgspec.Struct, frozen=True):
    """One failed run."""

    attempt: int
    type: str
    message: str


class Meta(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What homing knows in `meta`; what it does not know survives in `rest`."""

    retry: dict[str, Any] | None = None  # a policy of this job alone, as `policy.dump` writes it
    timeout_s: float | None = None  # of this job alone; 0: no limit, None: as its task says
    errors: tuple[PastError, ...] = ()  # of the newest failed runs, oldest first
    unknown_since_ms: int | None = None  # server time when a worker first did not know its task
    rest: dict[str, Any] = {}

    @classmethod
    def read(cls, stored: bytes) -> "Meta":
        """From the JSON of a job; DecodeError when it is not what it should be."""
        if not stored:
            return cls()
        fields = codec.decode(stored)
        if not isinstance(fields, dict):
            raise DecodeError(f"meta is not an object but {type(fields).__name__}")
        known = {key: fields.pop(key) for key in _KNOWN if key in fields}
        try:
            return msgspec.convert({**known, "rest": fields}, cls)
        except msgspec.ValidationError as error:
            raise DecodeError(f"meta: {error}") from error

    def write(self) -> bytes:
        """As JSON; empty when there is nothing to say."""
        fields = msgspec.to_builtins(self)
        fields = {**fields.pop("rest", {}), **fields}
        return msgspec.json.encode(fields) if fields else b""

    def after(self, attempt: int, error: BaseException) -> "Meta":
        """The meta after one more failed run of a task that is known."""
        past = PastError(attempt, codec.type_name(error), codec.safe_message(error, _ERROR_MESSAGE_MAX_BYTES))
        errors = (*self.errors, past)[-ERRORS_MAX:]
        return msgspec.structs.replace(self, errors=errors, unknown_since_ms=None)


_KNOWN = tuple(name for name in Meta.__struct_fields__ if name != "rest")
