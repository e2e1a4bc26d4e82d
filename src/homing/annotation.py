"""One annotation of a parameter: JSON in, the annotated type out."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any

import msgspec

from homing import codec
from homing.errors import DecodeError

#: A float may be no number, and what holds others is as they are.
_EXACT = (str, int, bool, type(None))


class Misfit(DecodeError):
    """JSON that is not of the annotated type; the message ends a sentence about the parameter."""


class Annotation:
    """What a parameter takes; without a type that can be checked, any JSON."""

    def __init__(self, kind: Any = Any) -> None:
        #: What it is read as.
        self.kind = kind if _checkable(kind) else Any
        self._decoder = codec.decoder_of(self.kind)

    def carries(self, kind: type) -> bool:
        """Whether each value of exactly this type arrives equal: what has a form in JSON has one that is it."""
        return kind in _EXACT and self.kind in (kind, kind | None, Any)

    def decode(self, data: bytes | msgspec.Raw) -> Any:
        """The value of this JSON, strictly of the type; Misfit otherwise."""
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Misfit(codec.why(error)) from error

    def from_text(self, text: str) -> Any:
        """The value that a text stands for: itself, else what it says ("3" an int), else as JSON."""
        said = ""
        for strict in (True, False):
            try:
                return msgspec.convert(text, self.kind, strict=strict, dec_hook=codec.decode_other)
            except msgspec.ValidationError as error:
                said = codec.why(error)
        try:
            return self.decode(text.encode(errors="replace"))
        except Misfit:
            raise Misfit(f"{said}: {text!r:.100}") from None


def annotations_of(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Annotation]:
    """The annotation of each parameter by its name; one that cannot be read checks nothing."""
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return {
        name: Annotation(_optional(_resolved(one.annotation, names), one.default))
        for name, one in signature.parameters.items()
    }


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """The annotation with the names in it looked up, Any when there is none or that fails."""
    if annotation is Parameter.empty:
        return Any
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, names, include_extras=True)["it"]
    except Exception:  # the names exist for type checkers only, or inside a function
        return Any


def _optional(kind: Any, default: Any) -> Any:
    """`x: str = None` takes None, as people mean it."""
    return typing.Optional[kind] if default is None and kind is not Any else kind  # noqa: UP045 - any form


def _checkable(kind: Any) -> bool:
    """Whether msgspec, or pydantic for its models, can tell what is of this type."""
    try:
        codec.decoder_of(kind)
        return all(codec.is_model(custom) for custom in _customs(msgspec.inspect.type_info(kind), set()))
    except Exception:  # each library has its own way to say that it cannot
        return False


def _customs(info: Any, seen: set[int]) -> Iterator[Any]:
    """The classes inside a type that msgspec itself does not know."""
    if id(info) in seen:
        return
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        yield info.cls
    elif isinstance(info, tuple):
        for one in info:
            yield from _customs(one, seen)
    elif isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
        for name in info.__struct_fields__:
            yield from _customs(getattr(info, name), seen)
