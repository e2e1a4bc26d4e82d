"""Calls of a shape that went well before skip the second look: nothing gets past that the first one stopped."""

from typing import Any

import pytest

from homing.errors import EncodeError, PayloadTooLarge
from homing.signature import Signature


def one(kind: Any) -> Signature:
    """The signature of a function with one parameter of this type."""

    def task(value: object) -> None: ...

    task.__annotations__["value"] = kind
    return Signature(task)


def test_a_call_of_a_kind_that_went_well_before_is_still_looked_at() -> None:
    takes_int, takes_text, takes_any, takes_float = one(int), one(str), one(Any), one(float)
    assert [each.bind((value,), {}) for each, value in [
        (takes_int, 7), (takes_text, "ä"), (takes_any, True), (takes_float, 1.5),
    ]] == [b"[[7],{}]", '[["ä"],{}]'.encode(), b"[[true],{}]", b"[[1.5],{}]"]  # fmt: skip
    assert takes_any.bind((), {"value": "x"}) == b'[[],{"value":"x"}]'
    for _ in range(2):
        assert takes_int.bind((-(2**70),), {}) == b"[[-1180591620717411303424],{}]"
        assert takes_any.bind((None,), {}) == b"[[null],{}]"
        refused: list[tuple[Signature, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
            (takes_int, (True,), {}, TypeError, "Expected `int`, got `bool`"),
            (takes_int, (10**5_000,), {}, EncodeError, "an int of more than 4,300 digits"),
            (takes_int, (), {"values": 7}, TypeError, "missing a required argument|unexpected keyword"),
            (takes_text, ("\ud800",), {}, EncodeError, "a str with a lone surrogate"),
            (takes_text, ("a", "b"), {}, TypeError, "too many positional"),
            (takes_any, (float("nan"),), {}, EncodeError, "JSON has no nan"),
            (takes_any, ({1: 2},), {}, EncodeError, "the key 1"),
            (takes_float, (float("inf"),), {}, EncodeError, "JSON has no inf"),
        ]
        for signature, args, kwargs, kind, says in refused:
            with pytest.raises(kind, match=says):
                signature.bind(args, kwargs)
    with pytest.raises(PayloadTooLarge, match="is 20 bytes as JSON, the limit is 19"):
        takes_text.bind(("x" * 11,), {}, limit=19)
