"""JSON and back: what is carried, what is refused with which path, and error records."""

import datetime as dt
import enum
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal

import pytest

from homing import codec
from homing.errors import DecodeError, EncodeError, PayloadTooLarge

NAN, INF = float("nan"), float("inf")


class Colour(enum.Enum):
    RED = "red"


class Word(enum.StrEnum):
    HI = "hi"


@dataclass
class Mail:
    recipient: str
    score: float = 0.0


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Quitter(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def cycle() -> list[object]:
    value: list[object] = [1]
    value.append({"inside": value})
    return value


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 2**63, 2**70, 1.5, 1e308, "", "Zoë 🐦", "a\0b", "\u2028</script>", [], {}, [[], {}],
        {"recipient": "a@b.c", "tags": ["x", None, 1.25]}, {"": {"a b": 1}}, ["[" * 500], nested(100),
        pytest.param(10**4299, id="4300 digits"), [{"n": i} for i in range(300)],
    ],
)  # fmt: skip
def test_plain_values_come_back_equal(value: object) -> None:
    assert codec.decode(codec.encode(value)) == value


def test_a_tuple_arrives_as_a_list_and_an_enum_of_texts_as_its_text() -> None:
    assert codec.decode(codec.encode((1, (2, Word.HI)))) == [1, [2, "hi"]]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"recipient": {1, 2}}, "value.recipient: a set would arrive as a list"),
        ([{"to": [b"x"]}], "value[0].to[0]: a bytes would arrive as a str"),
        ([NAN], "value[0]: JSON has no nan"),
        ({"a": [1, {"b": -INF}]}, "value.a[1].b: JSON has no -inf"),
        ({1: "x"}, "value: the key 1 would arrive as a str"),
        ({"a b": {True: 1}}, "value['a b']: the key True is not a str"),
        ({(1, 2): 3}, "value: the key (1, 2) is not a str"),
        ({None: 3}, "value: the key None is not a str"),
        ({"\ud800": 1}, r"value: the key '\ud800' is not UTF-8"),
        (["\ud800"], "value[0]: a str with a lone surrogate"),
        ([10**5000], "value[0]: an int of more than 4,300 digits"),
        (Decimal("1.5"), "value: a Decimal would arrive as a str"),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "value: a datetime would arrive as a str"),
        (uuid.UUID(int=1), "value: a UUID would arrive as a str"),
        (Colour.RED, "value: a Colour would arrive as a str"),
        ([Mail("x")], "value[0]: a Mail would arrive as a dict"),
        ([{"x": object()}], "value[0].x: an object has no form in JSON"),
        (Mail("\ud800"), "value.recipient: a str with a lone surrogate"),
        (test_plain_values_come_back_equal, "value: a function has no form in JSON"),
        (cycle(), "value[1].inside: a list contains itself"),
        (nested(101), "nested deeper than 100 levels"),
        (nested(100_000), "nested deeper than 100 levels"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_value_that_would_not_come_back_is_refused_with_its_path(value: object, sentence: str) -> None:
    with pytest.raises(EncodeError) as refused:
        codec.encode(value)
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 500


def test_a_value_that_cannot_be_compared_or_shown_is_refused_all_the_same() -> None:
    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(EncodeError, match=r"^value\.x: a .*Hostile has no form in JSON$"):
        codec.encode({"x": Hostile()})


def test_a_payload_over_the_limit_is_refused_with_both_sizes() -> None:
    assert len(codec.encode("x" * 98, 100)) == 100
    with pytest.raises(PayloadTooLarge, match=r"^value is 101 bytes as JSON, the limit is 100: "):
        codec.encode("x" * 99, 100)


def test_the_limit_is_one_mebibyte() -> None:
    with pytest.raises(PayloadTooLarge, match=r"1,048,577 bytes as JSON, the limit is 1,048,576"):
        codec.encode("x" * (2**20 - 1))


@pytest.mark.parametrize(
    "stored",
    [
        b"", b"{", b"[1,", b"1 2", b"NaN", b"Infinity", b"1e999", b"\xff\xfe", b'"\xff"', b'"\\ud800"', b"[" * 100_000,
        b"9" * 5_000, b"{'a': 1}", b"{1: 2}", b"\x80\x04\x95", b"tru", b'"\n"',
    ],
)  # fmt: skip
def test_bytes_that_are_no_json_are_a_decode_error(stored: bytes) -> None:
    with pytest.raises(DecodeError) as refused:
        codec.decode(stored)
    assert 0 < len(str(refused.value)) < 300


def test_decoding_takes_a_type() -> None:
    assert codec.decode(b'{"recipient":"x"}', Mail) == Mail("x")
    with pytest.raises(DecodeError, match=r"Expected `str`, got `int` - at `\$.recipient`"):
        codec.decode(b'{"recipient":3}', Mail)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, b""), ({1}, b"[1]"), (dt.date(2026, 1, 2), b'"2026-01-02"'), ({1: 2}, b'{"1":2}'), (Colour.RED, b'"red"'),
        (Mail("x"), b'{"recipient":"x","score":0.0}'), (b"ab", b'"YWI="'), ((), b"[]"), (False, b"false"),
    ],
)  # fmt: skip
def test_a_result_is_what_has_a_form_in_json(value: object, stored: bytes) -> None:
    assert codec.encode_result(value) == stored


@pytest.mark.parametrize("value", [NAN, {"a": {INF}}, object(), "\ud800", cycle(), Mail("x", NAN)])
def test_a_result_without_a_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(EncodeError, match=r"^result"):
        codec.encode_result(value)


def test_a_result_over_the_limit_is_refused() -> None:
    with pytest.raises(PayloadTooLarge, match=r"^result is 12 bytes"):
        codec.encode_result("x" * 10, 11)


def test_an_error_record_has_all_that_people_ask_for() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        record = codec.decode(codec.encode_error(error, reason="no runs left", attempts=[{"attempt": 1}]))
    assert record["type"] == "json.decoder.JSONDecodeError"
    assert record["message"].startswith("Expecting property name")
    assert "test_codec.py" in record["traceback"]
    assert (record["reason"], record["attempts"]) == ("no runs left", [{"attempt": 1}])


@pytest.mark.parametrize("error", [Mute(), Quitter()])
def test_an_error_that_cannot_be_shown_is_recorded_all_the_same(error: Exception) -> None:
    record = codec.decode(codec.encode_error(error))
    assert record["type"].endswith(type(error).__name__)
    assert "raised" in record["message"]


def test_an_endless_error_is_cut() -> None:
    record = codec.decode(codec.encode_error(ValueError("é" * 10**6), reason="r" * 10**6))
    assert len(record["message"].encode()) <= 10 << 10
    assert len(record["traceback"].encode()) <= 32 << 10
    assert len(record["reason"].encode()) <= 10 << 10
    assert record["message"].endswith("(cut)")


def test_an_error_with_a_lone_surrogate_is_readable() -> None:
    assert codec.decode(codec.encode_error(ValueError("a\ud800")))["message"] == r"a\ud800"
