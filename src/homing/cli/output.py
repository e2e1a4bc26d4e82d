"""What commands print: tables and records for people, one JSON document for programs.

Whatever comes from a server is escaped, so that a job's payload can neither move
the cursor nor turn the text around. rich draws when it is installed and stdout is a terminal.
"""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

# Control characters (C0, DEL, C1), zero-width and direction marks, line separators, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", ""))
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
#: Columns of a value in a table, above which it is cut.
CELL_WIDTH = 60

Cell = str | int | float | None


def escape(value: Cell) -> str:
    """The value as text that changes nothing on a terminal but what it shows."""
    text = "" if value is None else str(value)
    return _UNSAFE.sub(lambda found: _SHORT.get(found[0]) or _escaped(found[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def print_json(value: Any) -> None:
    """One JSON document on stdout; what a terminal would obey is written as JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(_UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_table(
    headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, empty: str = "", columns: int = CELL_WIDTH
) -> None:
    """Aligned columns, numbers to the right; the sentence `empty` when there are no rows.

    A value that needs more than `columns` columns of the terminal is cut.
    """
    if not rows:
        click.echo(empty)
        return
    numeric = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(headers))]
    cells = [[cut(escape(value), columns) for value in row] for row in rows]
    if is_rich():
        _draw(headers, cells, numeric)
        return
    widths = [max(map(width, column)) for column in zip(headers, *cells, strict=True)]
    for row in [list(headers), *cells]:
        aligned = (_align(*cell) for cell in zip(row, widths, numeric, strict=True))
        click.echo("  ".join(aligned).rstrip())


def print_record(fields: Mapping[str, Cell]) -> None:
    """One name and value a line, values in full; lines of a value stand below each other."""
    margin = max(map(len, fields)) + 2
    for name, value in fields.items():
        lines = str("" if value is None else value).split("\n")
        text = ("\n" + " " * margin).join(escape(line) for line in lines)
        click.echo(f"{name:<{margin}}{text}".rstrip())


def cut(text: str, columns: int = CELL_WIDTH) -> str:
    """The text in at most so many columns, with … where it was cut."""
    used, end = 0, 0
    for index, character in enumerate(text):
        used += width(character)
        if used > columns:
            return text[:end] + "…"
        if used < columns:
            end = index + 1
    return text


def width(text: str) -> int:
    """Columns that a terminal needs for the text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def when(ms: int | None) -> str:
    """A time of the server as people read it, in UTC."""
    if not ms:
        return ""
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def json_of(raw: bytes | None) -> Any:
    """Stored JSON as its value; bytes that are none as text; None when there is nothing."""
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return text_of(raw)


def is_rich() -> bool:
    """Whether tables are drawn: rich is installed and stdout is a terminal that may be coloured."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True


def _align(text: str, columns: int, to_the_right: bool) -> str:
    space = " " * (columns - width(text))
    return space + text if to_the_right else text + space


def _draw(headers: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for header, right in zip(headers, numeric, strict=True):
        table.add_column(header, justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)
