"""Files that are left out: which, why, and what to do about it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ctmar.store.tables import write_rows

COLUMNS = ("file", "reason", "remedy")


class Refused(Exception):  # noqa: N818 (a refusal is an outcome, not a failure)
    """An image that cannot be used; both texts are our own words and hold nothing read from the file's identity."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)  # both, or it would not survive the way between processes
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True)
class Quarantined:
    """One row of the quarantine table; ``file`` is a pseudonym for the user's own data."""

    file: str
    reason: str
    remedy: str


def write_quarantine(path: Path | str, rows: Iterable[Quarantined]) -> None:
    """Write the quarantine table: CSV with the columns file, reason, remedy.

    Bytes of a file's name that are no UTF-8 are written as an escape sequence.
    """
    texts = ({name: _as_utf_8(value) for name, value in asdict(row).items()} for row in rows)
    write_rows(path, COLUMNS, texts)


def _as_utf_8(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


def summarise(rows: Iterable[Quarantined], n_reasons: int = 4) -> str:
    """The commonest reasons in one line.

    Examples:
        >>> summarise([Quarantined("a", "not CT", ""), Quarantined("b", "not CT", "")])
        '2 × not CT'
    """
    counts = Counter(row.reason for row in rows).most_common()
    parts = [f"{count} × {reason}" for reason, count in counts[:n_reasons]]
    rest = sum(count for _, count in counts[n_reasons:])
    return "; ".join(parts + ([f"{rest} × other reasons"] if rest else []))
