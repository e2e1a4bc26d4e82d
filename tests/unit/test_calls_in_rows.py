"""Stored calls of one shape come in rows and are read in one go; nobody may notice."""

import datetime as dt
import enum
from dataclasses import dataclass

import pytest

from homing.errors import DecodeError
from homing.signature import Signature


class Colour(enum.Enum):
    RED = "red"


@dataclass
class User:
    name: str


def remind(user: User, at: dt.datetime | None = None, /, *rest: int, colour: Colour = Colour.RED) -> None: ...


PAYLOADS = (
    b'[[{"name":"a"}],{}]',
    b'[[{"name":"a"},"2026-01-01T12:00:00Z"],{}]',
    b'[[{"name":"a"},null,1,2],{}]',
    b'[[{"name":"a"},null],{"colour":"red"}]',
    b'[[{"name":"a"},null],{"colour":"blue"}]',
    b'[[{"name":"a"},null],{"other":1}]',
    b'[[{"name":1},null],{}]',
    b'[[{"name":"a"},"noon"],{}]',
    b"[[],{}]",
    b'[[{"name":"a"}]]',
    b"nothing",
    b"\xff",
)


def read(signature: Signature, payload: bytes) -> object:
    """The arguments, or what is said of them."""
    try:
        args, kwargs = signature.decode(payload)
    except DecodeError as error:
        return str(error)
    return list(args), kwargs


@pytest.mark.parametrize("before", PAYLOADS)
def test_a_stored_call_is_read_the_same_whatever_came_before(before: bytes) -> None:
    signature = Signature(remind)
    for payload in PAYLOADS:
        for _ in range(3):
            read(signature, before)
        assert read(signature, payload) == read(Signature(remind), payload)
