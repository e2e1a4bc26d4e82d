"""What the command prints: nothing from a server may obey the terminal, and columns line up."""

import json

import pytest

from homing.cli import output


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain Zoë 山田", "plain Zoë 山田"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("evil\u202etxt.exe", "evil\\u202etxt.exe"),
        ("\udc80", "\\udc80"),
        (None, ""),
        (12, "12"),
    ],
)
def test_values_change_nothing_on_a_terminal_but_what_they_show(value: output.Cell, shown: str) -> None:
    assert output.escape(value) == shown


def test_a_json_document_is_escaped_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"body": "\x1b[2J\x9b\u202e\x7f Zoë\n", "half": "\udc80"}
    output.print_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert not any(character in printed for character in "\x1b\x9b\u202e\x7f\udc80")
    assert "Zoë" in printed


def test_columns_line_up_whatever_alphabet_is_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("name", "jobs", "at"), [("山田", 7, "x"), ("Zoe\u0308", 1_200, "y")])
    assert capsys.readouterr().out.splitlines() == [
        "name  jobs  at",
        "山田     7  x",
        "Zoe\u0308   1200  y",
    ]


def test_a_table_without_rows_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("a",), [], empty="There is nothing.")
    assert capsys.readouterr().out == "There is nothing.\n"


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("山田太郎", 5, "山田…"),
        ("x" * 1_000_000, 3, "xx…"),
        ("", 3, ""),
    ],
)
def test_a_long_value_is_cut_to_its_columns(text: str, columns: int, shown: str) -> None:
    assert output.cut(text, columns) == shown


def test_lines_of_a_value_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_record({"id": "a1", "traceback": "one\n  two\x1b"})
    assert capsys.readouterr().out.splitlines() == [
        "id         a1",
        "traceback  one",
        "             two\\x1b",
    ]


def test_stored_bytes_that_are_no_json_are_shown_as_text() -> None:
    assert [output.json_of(raw) for raw in (b"", None, b'{"a":1}', b"\xff{")] == [
        None,
        None,
        {"a": 1},
        "\\xff{",
    ]
