"""Values as JSON and back: payloads, results and error records. What is sent must come back.

A value is refused when it would not arrive as it was sent: a set would come back as a list, NaN as
nothing, the key 1 as "1". An annotation brings more types back (`signature.py`). A tuple may arrive
as a list, and a str or int of an enum as the plain one: those three are taken as they are.
"""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar, cast, overload

import msgspec

from homing.errors import DecodeError, EncodeError, PayloadTooLarge

T = TypeVar("T")

#: 1 MiB, until `payload_max` says otherwise.
PAYLOAD_MAX_BYTES = 1 << 20
DEPTH_MAX = 100
#: Whole numbers up to this arrive equal, in any language.
_INT_SURE = 2**53
MESSAGE_MAX_BYTES = 10 << 10
TRACEBACK_MAX_BYTES = 32 << 10
_PATH_MAX_CHARS = 200

#: What JSON itself has: such a value may stand for an annotated type (a str for a datetime).
_NATIVE = (str, int, float, bool, type(None), list, tuple, dict)


def encode(value: object, limit: int = PAYLOAD_MAX_BYTES, *, name: str = "value") -> bytes:
    """JSON of a value that arrives equal without any annotation.

    Raises EncodeError with the path to what JSON cannot carry (`value.recipient: a set …`), and
    PayloadTooLarge when the JSON is over `limit` bytes.
    """
    payload = to_json(value, name)
    difference(value, _from_json(payload), name)
    return within(payload, limit, name)


def encode_result(value: object, limit: int = PAYLOAD_MAX_BYTES) -> bytes:
    """JSON of a handler's result, empty for None.

    Takes everything that has a form in JSON, a set as a list and a datetime as text: who wants more
    than JSON reads the result with its type. Raises as `encode`.
    """
    if value is None:
        return b""
    kind = type(value)
    # What arrives equal or not at all need not be read back.
    sure = kind is str or kind is bool or (kind is int and -_INT_SURE <= value <= _INT_SURE)  # type: ignore[operator]
    return within(to_json(value, "result") if sure else as_json(value, "result"), limit, "result")


@overload
def decode(payload: bytes) -> Any: ...
@overload
def decode(payload: bytes, kind: type[T]) -> T: ...
def decode(payload: bytes, kind: Any = Any) -> Any:
    """The value of JSON bytes, as the given type; DecodeError says what is wrong with them."""
    decoder = _PLAIN if kind is Any else decoder_of(kind)
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecodeError(why(error)) from error


def as_json(value: object, name: str) -> bytes:
    """JSON bytes of whatever has a form in JSON and keeps its meaning there: NaN, become null, does not."""
    payload = to_json(value, name)
    arrived = _from_json(payload)
    if not _equal(value, arrived):
        difference(msgspec.to_builtins(value, str_keys=True, enc_hook=_plain_other), arrived, name)
    return payload


def within(payload: bytes, limit: int, name: str) -> bytes:
    """The payload, or PayloadTooLarge with both sizes."""
    if len(payload) > limit:
        raise PayloadTooLarge(
            f"{name} is {len(payload):,} bytes as JSON, the limit is {limit:,}: "
            "store the bulk elsewhere and send where it is, or raise payload_max"
        )
    return payload


def small_enough(payload: bytes, fields: Mapping[str, str] | None, limit: int) -> None:
    """Raise DecodeError when a stored payload, or a foreign message's fields, are over `limit` bytes.

    Whoever can write to the server can store more than our own clients would: 8 MB of brackets become
    half a gigabyte of lists when they are decoded.
    """
    size = len(payload) if fields is None else sum(map(len, fields.values()))
    if size > limit:
        raise DecodeError(
            f"the stored payload is {size:,} bytes, the limit is {limit:,}: raise payload_max for the workers "
            "and replay the job, or send less"
        )


def to_json(value: object, name: str, *, depth_max: int = DEPTH_MAX) -> bytes:
    """JSON bytes of whatever has a form in JSON; EncodeError with the path to what has none."""
    try:
        payload = _ENCODER.encode(value)
    except Exception as error:
        raise EncodeError(_uncarriable(value, name, ()) or f"{name}: {why(error)}") from error
    if payload.count(b"[") + payload.count(b"{") > depth_max and _depth(payload) > depth_max:
        raise EncodeError(_uncarriable(value, name, ()) or f"{name}: nested deeper than {DEPTH_MAX} levels")
    return payload


def decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder for a type, pydantic models too; TypeError for what msgspec does not know."""
    return msgspec.json.Decoder(kind, dec_hook=decode_other)


def why(error: BaseException) -> str:
    """An error of msgspec as the end of a sentence."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeError):
        return "is not UTF-8"
    return safe_message(error, 500)


# What is sent must come back.


def difference(sent: object, arrived: object, path: str) -> None:
    """Raise EncodeError with the path to the first value that arrives as another one.

    A plain JSON value may arrive as an annotated type: that is how one writes a datetime in JSON.
    """
    if _equal(sent, arrived):
        return
    match sent, arrived:
        case float(), None:
            raise EncodeError(f"{path}: JSON has no {sent}; send None, or a text")
        case ((list() | tuple()), (list() | tuple())) if len(sent) == len(arrived):
            for i, (one, other) in enumerate(zip(sent, arrived, strict=True)):
                difference(one, other, _index(path, i))
        case dict(), dict():
            for key, one in sent.items():
                if key not in arrived:
                    raise EncodeError(f"{path}: the key {key!r:.100} would arrive as a str; use str keys")
                difference(one, arrived[key], _key(path, key))
        case _:
            _other_difference(sent, arrived, path)


def _other_difference(sent: object, arrived: object, path: str) -> None:
    if type(sent) is type(arrived):
        fields, others = _fields(sent), _fields(arrived)
        for key in fields:
            difference(fields[key], others.get(key), f"{path}.{key}")
    elif not isinstance(sent, _NATIVE) or isinstance(arrived, _NATIVE):
        raise EncodeError(
            f"{path}: {_a(sent)} would arrive as {_a(arrived)}; convert it, or annotate the task's parameter"
        )


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # the value's own `==`; the walk decides then
        return False


def _fields(value: object) -> dict[str, object]:
    """The fields of a dataclass, a Struct or a pydantic model; empty for anything else."""
    names = (
        getattr(value, "__struct_fields__", None)
        or getattr(value, "__dataclass_fields__", None)
        or getattr(type(value), "model_fields", None)
        or ()
    )
    return {key: getattr(value, key, None) for key in names}


# Where the value is that JSON has no form for: only walked when encoding failed.


def _uncarriable(value: object, path: str, above: tuple[int, ...]) -> str | None:
    """The sentence about the first value JSON has no form for, depth first, or None."""
    if id(value) in above:
        return f"{path}: {_a(value)} contains itself"
    if len(above) >= DEPTH_MAX and isinstance(value, dict | list | tuple | set | frozenset):
        return f"{path}: nested deeper than {DEPTH_MAX} levels"
    inside = (*above, id(value))
    for key in value if isinstance(value, dict) else ():
        if problem := _key_problem(key, path):
            return problem
    for place, part in _parts(value, path):
        if problem := _uncarriable(part, place, inside):
            return problem
    return None if above and _has_parts(value) else _scalar_problem(value, path)


def _has_parts(value: object) -> bool:
    return isinstance(value, dict | list | tuple | set | frozenset) or bool(_fields(value))


def _parts(value: object, path: str) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [(_key(path, key), part) for key, part in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [(_index(path, i), part) for i, part in enumerate(value)]
    return [(f"{path}.{key}", part) for key, part in _fields(value).items()]


def _key_problem(key: object, path: str) -> str | None:
    try:
        _ENCODER.encode({key: None})
    except Exception as error:
        detail = "is not UTF-8" if isinstance(error, UnicodeError) else "is not a str"
        return f"{path}: the key {_shown(key)} {detail}"
    return None


def _scalar_problem(value: object, path: str) -> str | None:
    try:
        _ENCODER.encode(value)
    except UnicodeError:
        return f"{path}: a str with a lone surrogate is not UTF-8; decode it with errors='replace'"
    except RecursionError:
        return f"{path}: nested deeper than {DEPTH_MAX} levels"
    except Exception as error:
        if isinstance(value, int):
            return f"{path}: an int of more than 4,300 digits; send it as text"
        if _has_parts(value):
            return f"{path}: {safe_message(error, 500)}"
        return f"{path}: {_a(value)} has no form in JSON"
    return None


def _depth(payload: bytes) -> int:
    """How deep arrays and objects nest, counted outside of strings."""
    import re  # only for payloads with many brackets

    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", payload)
    steps = (1 if byte in b"[{" else -1 for byte in bare if byte in b"[]{}")
    return max(accumulate(steps), default=0)


def _index(path: str, i: int) -> str:
    return f"{path}[{i}]"[:_PATH_MAX_CHARS]


def _key(path: str, key: object) -> str:
    step = f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{_shown(key)}]"
    return f"{path}{step}"[:_PATH_MAX_CHARS]


def _a(value: object) -> str:
    name = "None" if value is None else type(value).__qualname__
    return name if value is None else f"an {name}" if name[0] in "aeioAEIO" else f"a {name}"


def _shown(value: object) -> str:
    try:
        return ascii(value)[:100]
    except Exception:  # the value's own `repr`
        return f"<{type(value).__qualname__}>"


# Errors, as plain data.


def encode_error(error: BaseException, *, reason: str = "", attempts: Sequence[object] = ()) -> bytes:
    """What a dead job keeps of its last error: JSON {type, message, traceback, reason, attempts}.

    Never raises, whatever the exception's own methods do; the message is cut at 10 KB, the traceback
    at 32 KB. Nobody ever makes an exception of it again: it is read by people.
    """
    return _ENCODER.encode(
        {
            "type": type_name(error),
            "message": safe_message(error, MESSAGE_MAX_BYTES),
            "traceback": _traceback(error),
            "reason": _cut(reason, MESSAGE_MAX_BYTES),
            "attempts": list(attempts),
        }
    )


def type_name(error: BaseException) -> str:
    """`smtplib.SMTPDataError`; builtin exceptions stand without their module."""
    kind = type(error)
    module = str(kind.__module__)
    return _cut(kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}", 200)


def safe_message(error: BaseException, limit: int = MESSAGE_MAX_BYTES) -> str:
    """The exception's text, at most `limit` bytes, or a note when it has none to give."""
    try:
        return _cut(str(error), limit)
    except BaseException as failed:  # its own `__str__`
        return f"<its __str__ raised {type(failed).__name__}>"


def _traceback(error: BaseException) -> str:
    try:
        return _cut("".join(traceback.format_exception(error)), TRACEBACK_MAX_BYTES)
    except BaseException as failed:  # its own `__str__`, `__notes__` or `__cause__`
        return f"<formatting the traceback raised {type(failed).__name__}>"


def _cut(text: str, limit: int) -> str:
    """The text as UTF-8 can carry it, in at most `limit` bytes, marked where it was cut."""
    raw = text[: limit + 1].encode("utf-8", "backslashreplace")
    if len(raw) <= limit and len(text) <= limit:
        return raw.decode()
    mark = " … (cut)"
    return raw[: limit - len(mark.encode())].decode("utf-8", "ignore") + mark


# Pydantic models, when the program has imported pydantic: never imported here.


def _model_class() -> Any:
    return getattr(sys.modules.get("pydantic.main"), "BaseModel", None)


def is_model(kind: object) -> bool:
    """Whether a type is a pydantic model."""
    base = _model_class()
    return base is not None and isinstance(kind, type) and issubclass(kind, base)


def _encode_other(value: Any) -> Any:
    if is_model(type(value)):
        return msgspec.Raw(value.model_dump_json(by_alias=True, round_trip=True).encode())
    raise NotImplementedError(f"{_a(value)} has no form in JSON")


def _plain_other(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True)  # whatever else there is was refused by `to_json`


def decode_other(kind: Any, value: Any) -> Any:
    if is_model(kind):
        try:
            return kind.model_validate_json(_ENCODER.encode(value))
        except ValueError as error:  # its own text has many lines, and the input
            raise ValueError(_first_problem(error)) from error
    return value


def _first_problem(error: Any) -> str:
    problems = error.errors(include_url=False, include_input=False)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    place = ".".join(str(step) for step in problems[0]["loc"])
    return f"{place}: {problems[0]['msg']}{more}" if place else f"{problems[0]['msg']}{more}"


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_other)
_PLAIN: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
#: JSON bytes of what is known to hold no values inside others; raises what the encoder does.
flat_json: Callable[[object], bytes] = _ENCODER.encode


def _from_json(payload: bytes) -> Any:
    return cast("Any", _PLAIN.decode(payload))
