"""A task's signature: which calls it takes, how they travel, and what it says about the others."""

import datetime as dt
import enum
import functools
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypedDict

import msgspec
import pytest

from homing import codec
from homing.errors import DecodeError, EncodeError, PayloadTooLarge, SettingsError
from homing.signature import Signature

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class User:
    name: str
    born: dt.date | None = None
    score: float = 0.0


class Mail(msgspec.Struct):
    to: str
    users: list[User] = []


class Point(NamedTuple):
    x: int
    y: int


class Size(TypedDict):
    width: int


class Own:
    pass


class Sender(Protocol):
    def send(self) -> None: ...


@dataclass(eq=False)
class Nameless:
    name: str


async def send_email(recipient: str, subject: str, body: str) -> str:
    return recipient + subject + body


def resize(path: str, /, width: int, *more: int, fast: bool = False, **labels: str) -> list[uuid.UUID]:
    return []


def anything(x, y=None):  # type: ignore[no-untyped-def]
    return x, y


def one(kind: Any) -> Signature:
    """The signature of a function with one parameter of this type."""

    def task(value: object) -> None: ...

    task.__annotations__["value"] = kind
    return Signature(task)


def test_a_payload_is_json_args_and_kwargs() -> None:
    signature = Signature(send_email)
    payload = signature.bind(("a@b.c", "Hi"), {"body": "Zoë"})
    assert payload == '[["a@b.c","Hi"],{"body":"Zoë"}]'.encode()
    assert signature.decode(payload) == (["a@b.c", "Hi"], {"body": "Zoë"})


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((), {}, "missing a required argument: 'recipient'"),
        (("a", "b"), {}, "missing a required argument: 'body'"),
        (("a", "b"), {"bdy": "c"}, "missing a required argument: 'body'"),
        (("a", "b", "c"), {"cc": "d"}, "got an unexpected keyword argument 'cc'"),
        (("a", "b", "c", "d"), {}, "too many positional arguments"),
        (("a", "b", "c"), {"body": "d"}, "multiple values for argument 'body'"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_as_python_says_it(
    args: tuple[object, ...], kwargs: dict[str, object], sentence: str
) -> None:
    with pytest.raises(TypeError) as refused:
        Signature(send_email, "mails.send").bind(args, kwargs)
    assert str(refused.value).startswith(f"mails.send() {sentence} (it is mails.send(recipient: str, ")


@pytest.mark.parametrize(
    ("args", "kwargs", "fits"),
    [
        (("p", 1), {}, True),
        (("p", 1, 2, 3), {"fast": True, "a": "b"}, True),
        (("p",), {"width": 1, "path": "x"}, True),
        ((), {"path": "p", "width": 1}, False),
        (("p",), {}, False),
        (("p", 1, "2"), {}, False),
        (("p", 1), {"a": 1}, False),
        (("p", 1), {"fast": "yes"}, False),
        (("p", 1), {"width": 1}, False),
    ],
)
def test_every_kind_of_parameter_is_checked(
    args: tuple[Any, ...], kwargs: dict[str, Any], fits: bool
) -> None:
    signature = Signature(resize)
    if fits:
        assert signature.decode(signature.bind(args, kwargs)) == (list(args), kwargs)
    else:
        with pytest.raises(TypeError):
            signature.bind(args, kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((1, "b", "c"), {}, "parameter recipient: Expected `str`, got `int`"),
        (("a", "b", None), {}, "parameter body: Expected `str`, got `null`"),
        (("a", "b"), {"body": ["c"]}, "parameter body: Expected `str`, got `array`"),
        (("a", b"b", "c"), {}, "parameter subject: args[1]: a bytes would arrive as a str"),
        ((uuid.UUID(int=1), "b", "c"), {}, "parameter recipient: args[0]: a UUID would arrive as a str"),
        (("a", "b"), {"body": "\ud800"}, "parameter body: kwargs.body: a str with a lone surrogate"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_parameter(
    args: tuple[Any, ...], kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TypeError) as refused:
        Signature(send_email).bind(args, kwargs)
    assert str(refused.value).startswith(f"send_email(), {sentence}")


def test_a_wrong_value_inside_is_refused_with_its_path() -> None:
    with pytest.raises(
        TypeError, match=r"^task\(\), parameter value: Expected `str`, got `int`, at `value\[0\]\.name`$"
    ):
        one(list[User]).bind(([{"name": 3}],), {})
    with pytest.raises(EncodeError, match=r"^task\(\), parameter value: args\[0\]\.recipient: a set would"):
        one(Any).bind(({"recipient": {1}},), {})
    with pytest.raises(EncodeError, match=r"args\[0\]\.score: JSON has no nan"):
        one(User).bind((User("x", score=float("nan")),), {})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (dt.datetime, NOON), (dt.datetime, dt.datetime(2026, 1, 1)), (dt.date, NOON.date()), (dt.timedelta, dt.timedelta(3)),  # noqa: DTZ001
        (uuid.UUID, uuid.UUID(int=7)), (Decimal, Decimal("1.10")), (Colour, Colour.RED), (bytes, b"\x00\xff"),
        (set[int], {1, 2}), (frozenset[str], frozenset("a")), (tuple[int, str], (1, "a")), (dict[int, str], {1: "a"}),
        (User, User("Zoë", NOON.date())), (Mail, Mail("x", [User("y")])), (Point, Point(1, 2)), (Size, {"width": 3}),
        (User | None, None), (list[User], [User("x")]), (Mapping[str, Decimal], {"a": Decimal(1)}), (float, 3),
        (Literal["a", 1], "a"), (int | str, "3"), (object, {"a": [1]}), (None, None), (Any, [None, {"a": 1.5}]),
        ("User", User("x")), ("list[User]", [User("x")]),
    ],
)  # fmt: skip
def test_an_argument_arrives_as_its_annotated_type(kind: Any, value: object) -> None:
    signature = one(kind)
    assert signature.decode(signature.bind((value,), {})) == ([value], {})
    assert signature.decode(signature.bind((), {"value": value})) == ([], {"value": value})


@pytest.mark.parametrize(
    ("kind", "value", "arrives"),
    [
        (dt.datetime, "2026-01-01T12:00:00Z", NOON),
        (User, {"name": "x"}, User("x")),
        (set[int], [1, 2, 2], {1, 2}),
        (Colour, "red", Colour.RED),
        (list[int], (1, 2), [1, 2]),
        (Any, (1, [(2,)]), [1, [[2]]]),
    ],
)
def test_plain_json_may_stand_for_an_annotated_type(kind: Any, value: object, arrives: object) -> None:
    signature = one(kind)
    assert signature.decode(signature.bind((value,), {})) == ([arrives], {})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, True), (int, "3"), (int, 3.5), (str, 3), (bool, 1), (float, "1"), (list[int], ["1"]), (User, {"name": 1}),
        (User, {}), (User, Mail("x")), (Colour, "blue"), (Literal["a"], "b"), (dict[str, int], {"a": "1"}),
        (dt.datetime, "yesterday"), (uuid.UUID, "x"), (str, Colour.RED), (str, NOON), (list[int], {1}),
        (dict[str, int], {1: 1}), (Any, NOON), (Any, {1: 1}), (Any, User("x")), (Own, Own()), (float, float("inf")),
        (str | None, 3), (None, 3),
    ],
)  # fmt: skip
def test_what_is_not_of_the_annotated_type_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(TypeError, match=r"^task\(\), parameter value: "):
        one(kind).bind((value,), {})


@pytest.mark.parametrize(
    "kind", [Own, Sender, list[Own], dt.datetime | uuid.UUID, "Missing", "not a type", type[int]]
)
def test_an_annotation_that_nobody_can_check_takes_plain_json(kind: Any) -> None:
    signature = one(kind)
    assert signature.decode(signature.bind(({"a": [1]},), {})) == ([{"a": [1]}], {})
    with pytest.raises(EncodeError):
        signature.bind((NOON,), {})


def test_one_annotation_that_cannot_be_resolved_leaves_the_others() -> None:
    def task(first: "Missing", second: "int") -> None: ...

    with pytest.raises(TypeError, match="parameter second: Expected `int`"):
        Signature(task).bind((1, "2"), {})


def test_a_default_of_none_makes_none_a_value() -> None:
    def task(cc: str = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert Signature(task).decode(Signature(task).bind((None,), {})) == ([None], {})
    with pytest.raises(TypeError, match="parameter cc: Expected `str"):
        Signature(task).bind((3,), {})


def test_a_value_without_an_equality_of_its_own_is_compared_by_its_fields() -> None:
    signature = one(Nameless)
    [[arrived], _] = signature.decode(signature.bind((Nameless("x"),), {}))
    assert arrived.name == "x"


def test_annotations_may_name_what_is_defined_later() -> None:
    signature = Signature(sign_later)
    assert signature.decode(signature.bind(({"size": 3},), {})) == ([Later(3)], {})


def test_a_subclass_that_would_lose_its_kind_is_refused() -> None:
    @dataclass
    class Admin(User):
        rank: int = 1

    with pytest.raises(EncodeError, match="would arrive as a User"):
        one(User).bind((Admin("x"),), {})


def test_a_payload_over_the_limit_is_refused_with_both_sizes() -> None:
    with pytest.raises(
        PayloadTooLarge, match=r"^the payload of task\(\) is 107 bytes as JSON, the limit is 106: "
    ):
        one(str).bind(("x" * 98,), {}, limit=106)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{}", b"[]", b"[[]]", b"[[],{},1]", b"[1,{}]", b"[[],[]]", b"\xff", b"[" * 100_000, b"null", b"[[1",
        b'[["a","b"],{}]', b'[["a","b",3],{}]', b'[["a","b","c","d"],{}]', b'[["a","b","c"],{"x":1}]', b'[["\xff","b","c"],{}]',
    ],
)  # fmt: skip
def test_a_stored_call_that_does_not_fit_is_a_decode_error_that_names_the_task(payload: bytes) -> None:
    with pytest.raises(DecodeError, match=r"send_email\(\)"):
        Signature(send_email).decode(payload)


def test_a_stored_call_of_the_wrong_type_names_the_parameter() -> None:
    with pytest.raises(DecodeError, match=r"^send_email\(\), parameter body: Expected `str`, got `int`$"):
        Signature(send_email).decode(b'[["a","b"],{"body":3}]')
    with pytest.raises(DecodeError, match=r"^resize\(\), parameter \*more: Expected `int`, got `str`$"):
        Signature(resize).decode(b'[["a",1,2,"b"],{}]')


def test_a_messages_members_are_arguments_by_name() -> None:
    assert Signature(send_email).message(b' {"recipient":"a","subject":"b","body":"c"}') == (
        [], {"recipient": "a", "subject": "b", "body": "c"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "value"), [(b"3", 3), (b'"x"', "x"), (b"[1,2]", [1, 2]), (b"null", None)]
)
def test_any_other_message_is_the_only_argument(payload: bytes, value: object) -> None:
    assert Signature(anything).message(payload) == ([value], {})


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"to":1}', b"3", b'{"recipient":1,"subject":"b","body":"c"}']
)
def test_a_message_that_does_not_fit_is_a_decode_error(payload: bytes) -> None:
    with pytest.raises(DecodeError, match=r"send_email\(\)"):
        Signature(send_email).message(payload)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "3", "3"), (str | None, "null", "null"), (Any, "3", "3"), (int, "3", 3), (float, "1.5", 1.5),
        (bool, "true", True), (int | None, "null", None), (list[int], "[1,2]", [1, 2]), (User, '{"name":"x"}', User("x")),
        (dt.datetime, "2026-01-01T12:00:00Z", NOON), (uuid.UUID, str(uuid.UUID(int=7)), uuid.UUID(int=7)),
        (Colour, "red", Colour.RED), (Decimal, "1.10", Decimal("1.10")), (dict[str, int], '{"a":1}', {"a": 1}),
    ],
)  # fmt: skip
def test_a_plain_field_becomes_what_its_text_says(kind: Any, text: str, value: object) -> None:
    assert one(kind).message(b"", {"value": text}) == ([], {"value": value})


@pytest.mark.parametrize(
    ("kind", "text"), [(int, "x"), (bool, "maybe"), (User, "x"), (list[int], "[a]"), (Colour, "blue")]
)
def test_a_plain_field_that_says_nothing_fitting_is_a_decode_error(kind: Any, text: str) -> None:
    with pytest.raises(
        DecodeError, match=r"^task\(\), parameter value: .*" + f": '{text}'$".replace("[", r"\[")
    ):
        one(kind).message(b"", {"value": text})


def generator():  # type: ignore[no-untyped-def]
    yield 1


async def async_generator():  # type: ignore[no-untyped-def]
    yield 1


class Sends:
    def method(self) -> None: ...
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda: 1, "it is a lambda: give it a name"),
        (generator, "generator cannot be a task, it has a yield"),
        (async_generator, "async_generator cannot be a task, it has a yield"),
        (functools.partial(anything, 1), "it is a partial"),
        (Sends, "Sends cannot be a task, it is a class"),
        (Sends(), "it is no function but Sends"),
        (Sends().method, "Sends.method cannot be a task, it is a method"),
        (staticmethod(anything), "it is a method"),
        (print, "it is no function but print"),
        (None, "it is no function but NoneType"),
        ("send_email", "it is no function but str"),
    ],
)
def test_what_cannot_be_a_task_is_refused_with_a_remedy(function: Any, sentence: str) -> None:
    with pytest.raises(TypeError) as refused:
        Signature(function)
    assert isinstance(refused.value, SettingsError)
    assert sentence in str(refused.value)


def test_a_decorated_function_has_the_signature_of_the_one_inside() -> None:
    @functools.wraps(send_email)
    async def wrapper(*args: Any, **kwargs: Any) -> str:
        return await send_email(*args, **kwargs)

    with pytest.raises(TypeError, match="parameter recipient: Expected `str`"):
        Signature(wrapper).bind((1, "b", "c"), {})


def test_pydantic_models_validate_themselves() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Letter", to=(str, ...), at=(dt.datetime | None, None), __module__=__name__)
    signature = one(list[model])  # type: ignore[valid-type]
    letters = [model(to="x", at=NOON)]
    assert signature.decode(signature.bind((letters,), {})) == ([letters], {})
    with pytest.raises(
        TypeError, match=r"parameter value: to: Input should be a valid string, at `value\[0\]`$"
    ):
        signature.bind(([{"to": 3}],), {})
    with pytest.raises(EncodeError, match="a Letter would arrive as a dict"):
        one(Any).bind((letters[0],), {})


def test_pydantic_is_not_imported_by_homing() -> None:
    if "pydantic" not in sys.modules:
        assert not codec.is_model(User)


def sign_later(value: "Later") -> None: ...


@dataclass
class Later:
    size: int
