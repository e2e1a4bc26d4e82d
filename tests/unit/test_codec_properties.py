"""What holds for every value and every row of bytes, tried with many."""

# ruff: noqa: PT017 - a value is either refused or comes back: both ends of a `try` are the test

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homing import codec
from homing.errors import DecodeError, EncodeError
from homing.meta import Meta
from homing.signature import Signature

some = settings(max_examples=60, database=None, deadline=None)

PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ANY: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.floats()
    | st.integers()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | st.uuids(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
        | st.sets(st.integers())
    ),
    max_leaves=10,
)


def send(first: Any, second: Any = None) -> None: ...


def listed(value: object) -> object:
    """The value with its tuples as lists: the one change that is allowed on the way."""
    if isinstance(value, list | tuple):
        return [listed(one) for one in value]
    if isinstance(value, dict):
        return {key: listed(one) for key, one in value.items()}
    return value


@some
@given(PLAIN)
def test_every_plain_value_comes_back_equal(value: Any) -> None:
    assert codec.decode(codec.encode(value)) == value


@some
@given(ANY)
def test_a_value_comes_back_as_it_was_or_is_refused(value: Any) -> None:
    try:
        payload = codec.encode(value)
    except EncodeError as refused:
        assert str(refused).startswith("value")
    else:
        assert codec.decode(payload) == listed(value)


@some
@given(ANY, ANY)
def test_an_argument_arrives_as_it_was_or_is_refused(first: Any, second: Any) -> None:
    signature = Signature(send)
    try:
        payload = signature.bind((first,), {"second": second})
    except EncodeError as refused:
        assert str(refused).startswith("send(), parameter ")
    else:
        assert signature.decode(payload) == ([listed(first)], {"second": listed(second)})


@some
@given(ANY)
def test_a_result_has_a_form_in_json_or_is_refused(value: Any) -> None:
    try:
        stored = codec.encode_result(value)
    except EncodeError as refused:
        assert str(refused).startswith("result")
    else:
        assert stored == b"" or codec.decode(stored) is not None


@some
@given(st.binary(max_size=100) | st.text(alphabet='[]{}",:019.eE-nul\\', max_size=40).map(str.encode))
def test_no_bytes_make_anything_but_a_value_or_a_decode_error(stored: bytes) -> None:
    for read in (codec.decode, Signature(send).decode, Signature(send).message, Meta.read):
        try:
            read(stored)
        except DecodeError as refused:
            assert str(refused)
