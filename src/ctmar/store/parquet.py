"""Large tables as Parquet, whole or not at all; apart from the small ones, which need not wait for pyarrow."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ctmar.store.atomic import atomic_path


def write_parquet(path: Path | str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as Parquet; types are those of the values, None is missing, every row has exactly these keys.

    Raises:
        ValueError: a row has other keys than ``columns``.
    """
    values: dict[str, list[Any]] = {column: [] for column in columns}
    for row in rows:
        if row.keys() != values.keys():
            raise ValueError(f"expected the columns {', '.join(columns)}, found {', '.join(row)}")
        for column, value in row.items():
            values[column].append(value)
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(values), temporary, compression="zstd")
