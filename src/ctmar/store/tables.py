"""Small tables as CSV with a header, whole or not at all.

A spreadsheet runs a text that begins like a formula, and licences, citations and names come from elsewhere: such a text
is written behind an apostrophe, and read back without it.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path

_FORMULA = re.compile(r"'*[=+\-@\t\n]")  # behind apostrophes of its own, so that every text comes back as it was


def write_rows(path: Path | str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header of ``columns``; every row has exactly these keys.

    Raises:
        ValueError: a row has a key that is not a column.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        _write(file, columns, rows)


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""The same rows as text, under the keys that they share; empty without rows.

    Examples:
        >>> table_text([{"patient": "a", "licence": "=1+1"}])
        "patient,licence\na,'=1+1\n"
    """
    file = io.StringIO(newline="")
    if rows:
        _write(file, list(rows[0]), rows)
    return file.getvalue()


def _write(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: without_formula(value) for name, value in row.items()} for row in rows)


def read_rows(path: Path | str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a table that has at least ``columns``; every value is text.

    Raises:
        InputError: the file is missing or no such table, or a column is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: table not found")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            header, rows = list(reader.fieldnames or ()), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a table as CSV in UTF-8, found another file ({error})") from None
    missing = [column for column in columns if column not in header]
    if missing:
        raise InputError(f"{path}: expected the columns {', '.join(columns)}, missing {', '.join(missing)}")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"{path}: row {number}: expected {len(header)} fields, found another number")
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def without_formula(value: Any) -> Any:
    """A field as a spreadsheet takes it for text, and `read_rows` for what it was."""
    if not isinstance(value, str):
        return value
    value = re.sub(r"\r\n?", "\n", value)  # csv quotes no lone carriage return, which then ends the row
    return f"'{value}" if _FORMULA.match(value) and not _is_number(value) else value


def _plain(value: str) -> str:
    return value[1:] if value[:1] == "'" and _FORMULA.match(value[1:]) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
