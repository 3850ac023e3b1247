"""Small tables as CSV with a header, whole or not at all."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path


def write_rows(path: Path | str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header of ``columns``; every row has exactly these keys.

    Raises:
        ValueError: a row has a key that is not a column.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path | str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a table that has at least ``columns``; every value is text.

    Raises:
        InputError: the file is missing, or a column is.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: table not found")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: expected the columns {', '.join(columns)}, missing {', '.join(missing)}")
        return list(reader)
