"""A task's own signature: calls are checked where they are made and arrive as the annotated types.

A payload is JSON `[args, kwargs]`. An annotation that msgspec or pydantic understands is enforced,
strictly; any other (a class of your own, a Protocol, a union of two kinds of text, a name that
cannot be resolved) is not checked, and its parameter takes plain JSON.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

import msgspec

from homing import codec
from homing.annotation import Annotation, Misfit, annotations_of
from homing.errors import DecodeError, EncodeError, WrongKind

Arguments = tuple[Sequence[Any], dict[str, Any]]

_ONLY_POSITIONAL, _BOTH, _ONLY_NAMED = (
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.KEYWORD_ONLY,
)
_KINDS = (_ONLY_POSITIONAL, _BOTH, _ONLY_NAMED, Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_NEVER = 1 << 30
#: How many shapes of calls a signature remembers as sure.
_SURE_MAX = 64
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_CALL: msgspec.json.Decoder[tuple[list[msgspec.Raw], dict[str, msgspec.Raw]]]
_CALL = msgspec.json.Decoder(tuple[list[msgspec.Raw], dict[str, msgspec.Raw]])


class Signature:
    """The parameters of one function, ready to check, encode and decode calls of it.

    Annotations are read at the first call, when the names they use exist. `str(signature)` shows it.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        check_function(function)
        self.name = name or function.__name__
        self._function = function
        self._signature = inspect.signature(function)
        parameters = self._signature.parameters.values()
        names = {kind: [one.name for one in parameters if one.kind is kind] for kind in _KINDS}
        self._positional = names[_ONLY_POSITIONAL] + names[_BOTH]
        self._by_name = {*names[_BOTH], *names[_ONLY_NAMED]}
        self._rest = next(iter(names[Parameter.VAR_POSITIONAL]), None)
        self._others = next(iter(names[Parameter.VAR_KEYWORD]), None)
        self._required = {
            one.name
            for one in parameters
            if one.default is Parameter.empty and one.name not in (self._rest, self._others)
        }
        #: Reads a call of as many arguments, none by name, as the last two had.
        self._like_the_last: Callable[[bytes], Arguments] | None = None
        self._last_shape: int | None = None
        self._decoders: dict[int, Callable[[bytes], Arguments]] = {}
        #: A call without names and with at least so many arguments lacks none.
        self._least = len(self._required) if self._required <= set(self._positional) else _NEVER
        #: Shapes of calls that fit, and arrive equal whatever their values are.
        self._sure: set[tuple[object, ...]] = set()

    def __str__(self) -> str:
        return f"{self.name}{self._signature}"

    @functools.cached_property
    def _annotations(self) -> dict[str, Annotation]:
        return annotations_of(self._function, self._signature)

    @functools.cached_property
    def _in_order(self) -> list[Annotation]:
        return [self._annotations[name] for name in self._positional]

    def bind(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], limit: int = codec.PAYLOAD_MAX_BYTES
    ) -> bytes:
        """The payload of a call with these arguments.

        Raises TypeError that names the task and the parameter for a wrong, missing or unknown
        argument, EncodeError (a TypeError too) with the path to a value that JSON cannot carry, and
        PayloadTooLarge with both sizes.
        """
        shape = _shape(args, kwargs) if kwargs else (*map(type, args),)
        try:
            # Types alone may say that it arrives equal. What has no form in JSON even so (a text that is not UTF-8, an
            # int of thousands of digits) is told by looking closer.
            payload = codec.flat_json([args, kwargs]) if shape in self._sure else None
        except Exception:
            payload = None
        if payload is None:
            payload = self._closely(args, kwargs, shape)
        return (
            codec.within(payload, limit, f"the payload of {self.name}()") if len(payload) > limit else payload
        )

    def _closely(self, args: Sequence[Any], kwargs: Mapping[str, Any], shape: tuple[object, ...]) -> bytes:
        if problem := self._misfit(args, kwargs):
            raise TypeError(f"{self.name}() {problem}")
        payload = self._quickly(args, kwargs)
        if payload is not None:
            if len(self._sure) < _SURE_MAX and self._carries(args, kwargs):
                self._sure.add(shape)
        else:
            for i, value in enumerate(args):
                self._check(self._label(i), self._at(i), f"args[{i}]", value)
            for name, value in kwargs.items():
                self._check(name, self._named(name), f"kwargs.{name}", value)
            payload = codec.to_json([args, kwargs], "arguments", depth_max=codec.DEPTH_MAX + 2)
        return payload

    def _carries(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether every call with values of these types arrives equal."""
        return all(self._at(i).carries(type(one)) for i, one in enumerate(args)) and all(
            self._named(name).carries(type(one)) for name, one in kwargs.items()
        )

    def _quickly(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes | None:
        """The payload when everything arrives equal, which is nearly always; None: look closer."""
        try:
            payload = codec.to_json([args, kwargs], "arguments")
            arrived_args, arrived_kwargs = self._read(*_CALL.decode(payload))
            return payload if arrived_args == list(args) and arrived_kwargs == kwargs else None
        except Exception:  # what exactly is wrong, and with which argument, looking closer tells
            return None

    def _check(self, label: str, annotation: Annotation, path: str, value: object) -> None:
        """Raise the error of this argument, if it has one."""
        try:
            data = codec.to_json(value, path)
            try:
                arrived = annotation.decode(data)
            except Misfit as misfit:
                codec.as_json(value, path)  # when NaN became null on the way, then that is what is wrong
                raise TypeError(self._about(label, misfit)) from None
            codec.difference(value, arrived, path)
        except EncodeError as error:
            raise EncodeError(self._about(label, error)) from None

    def decode(self, payload: bytes) -> Arguments:
        """The arguments of a stored call as annotated; DecodeError names the parameter that does not fit."""
        read_like_the_last = self._like_the_last  # threads share a signature
        if read_like_the_last is not None:
            try:
                call = read_like_the_last(payload)
            except _UNREADABLE:
                self._last_shape = None  # of another shape, or wrong: looking closer tells
            else:
                if not call[1]:
                    return call
        try:
            args, kwargs = _CALL.decode(payload)
        except _UNREADABLE as error:
            problem = codec.why(error)
            raise DecodeError(
                f"the payload of {self.name}() is not JSON [args, kwargs]: {problem}"
            ) from error
        read = self._read(args, kwargs)
        self._expect(-1 if kwargs or len(args) > len(self._positional) else len(args))
        return read

    def _expect(self, shape: int) -> None:
        """Calls of one shape come in rows: from the third on each is read in one go."""
        alike = shape >= 0 and shape == self._last_shape
        self._last_shape, self._like_the_last = shape, self._decoder_of(shape) if alike else None

    def _decoder_of(self, count: int) -> Callable[[bytes], Arguments]:
        """Decodes a call of so many arguments, none by name, each as it is annotated."""
        if count not in self._decoders:
            kinds = tuple(one.kind for one in self._in_order[:count])
            call: Any = tuple[tuple[kinds], dict[str, msgspec.Raw]]  # type: ignore[valid-type]
            self._decoders[count] = codec.decoder_of(call).decode
        return self._decoders[count]

    def message(self, payload: bytes, fields: Mapping[str, str] | None = None) -> Arguments:
        """The arguments for a message: an object's members by name, any other value as the only one.

        The plain `fields` of a foreign message are texts: each becomes what its parameter is
        annotated with where it says it ("3" an int, "[1]" a list). Raises DecodeError as `decode`.
        """
        if fields is not None:
            return self._read((), fields, Annotation.from_text)
        args: list[msgspec.Raw] = []
        kwargs: dict[str, msgspec.Raw] = {}
        try:
            if payload.lstrip()[:1] == b"{":
                kwargs = codec.decode(payload, dict[str, msgspec.Raw])
            else:
                args = [codec.decode(payload, msgspec.Raw)]
        except DecodeError as error:
            raise DecodeError(f"the message for {self.name}() is not JSON: {error}") from error
        return self._read(args, kwargs)

    def _read(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        read: Callable[[Annotation, Any], Any] = Annotation.decode,
    ) -> Arguments:
        """The arguments, each through its annotation; DecodeError names the parameter that does not fit."""
        if problem := self._misfit(args, kwargs):
            raise DecodeError(f"{self.name}() {problem}")
        values: list[Any] = []
        named: dict[str, Any] = {}
        try:
            for one in args:
                values.append(read(self._at(len(values)), one))
            for name, one in kwargs.items():
                named[name] = read(self._named(name), one)
        except Misfit as misfit:
            positional = len(values) < len(args)
            label = (
                self._label(len(values)) if positional else next(key for key in kwargs if key not in named)
            )
            raise DecodeError(self._about(label, misfit)) from misfit.__cause__
        return values, named

    def _misfit(self, args: Sequence[object], kwargs: Mapping[str, object]) -> str | None:
        """What is wrong with the number and names of the arguments, as Python says it."""
        count = len(args)
        fits = count <= len(self._positional) or self._rest is not None
        if fits and not kwargs and count >= self._least:
            return None
        taken = self._positional[:count]
        if fits and kwargs:
            known = self._others is not None or kwargs.keys() <= self._by_name
            missing = self._required - set(taken) - (kwargs.keys() & self._by_name)
            if known and not missing and kwargs.keys().isdisjoint(taken):
                return None
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            return f"{error} (it is {self})"
        # Python 3.13.0 takes the name of a positional-only parameter for one of **kwargs and misses nothing.
        if absent := sorted(self._required - bound.arguments.keys()):
            return f"missing a required argument: {absent[0]!r} (it is {self})"
        return None

    def _about(self, label: str, problem: Exception) -> str:
        """The sentence about one parameter, with msgspec's `$` as its name."""
        name = label.removeprefix("*")
        return f"{self.name}(), parameter {label}: {problem}".replace(" - at `$", f", at `{name}")

    def _at(self, i: int) -> Annotation:
        return self._in_order[i] if i < len(self._in_order) else self._annotations[self._rest or ""]

    def _named(self, name: str) -> Annotation:
        return self._annotations[name if name in self._by_name else self._others or ""]

    def _label(self, i: int) -> str:
        return self._positional[i] if i < len(self._positional) else f"*{self._rest}"


def _shape(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[object, ...]:
    """The types of a call's arguments, with the names of those that have one."""
    return (*map(type, args), *kwargs, *map(type, kwargs.values()))


def check_function(function: object) -> None:
    """Raise WrongKind unless this can be a task: a plain or async function.

    A function made inside another one is taken, for tests and notebooks; a worker only knows those
    that importing their module makes.
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    inner = inspect.unwrap(function) if callable(function) else function
    if isinstance(function, type):
        problem = "is a class: decorate a function that makes one"
    elif isinstance(function, functools.partial):
        problem = "is a partial: write a function that passes the arguments it fixes"
    elif isinstance(function, staticmethod | classmethod) or inspect.ismethod(function):
        problem = "is a method: decorate a function of the module"
    elif not inspect.isfunction(inner):
        problem = f"is no function but {name}: decorate a function"
    elif inner.__name__ == "<lambda>":
        problem = "is a lambda: give it a name with def"
    elif any(
        inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in (function, inner)
    ):
        problem = "has a yield, so calling it would run nothing: return a list, or enqueue a job for each"
    else:
        return
    raise WrongKind(f"{name} cannot be a task, it {problem}")
