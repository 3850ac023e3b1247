"""What must not depend on how and when a study was run: all tables but what measures the machine."""

import csv
import hashlib
import io
from pathlib import Path

from ctmar.config import load_config
from ctmar.evaluation.collect import collect
from ctmar.evaluation.columns import OF_THE_MACHINE


def assert_same_tables(one: Path, other: Path) -> None:
    """Weights, measured slices and every summary table are equal byte by byte, without the columns `OF_THE_MACHINE`.

    Claims and questions are also about the costs, which every study measures anew: they are judged with those of one.

    Args:
        one: results of a study.
        other: results of the same study, run in another way.
    """
    for pattern in ("runs/**/weights.pt", "runs/**/slices.csv", "references/slices.csv"):
        assert files(one, pattern) == files(other, pattern)
        assert files(one, pattern)
    names = sorted(path.name for path in (other / "summary").iterdir())
    assert sorted(path.name for path in (one / "summary").iterdir()) == names
    with_its_costs = one.parent / "with the costs of the other"
    folders = [one.parents[1] / line for line in (one / "runs.txt").read_text().splitlines()]
    judgement = load_config(one / "config.yaml").judgement
    collect(folders, one / "references" / "slices.csv", other / "cost.csv", judgement, with_its_costs)
    for name in names:
        table = (one / "summary" if name.endswith(".csv") else with_its_costs) / name
        assert of_the_networks(table) == of_the_networks(other / "summary" / name), name


def files(folder: Path, pattern: str) -> dict[str, str]:
    """SHA-256 of the files that match."""
    found = sorted(folder.glob(pattern))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def of_the_networks(file: Path) -> bytes:
    """A table without the columns that measure the machine; any other file as it is."""
    if file.suffix != ".csv":
        return file.read_bytes()
    header, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))
    kept = [number for number, name in enumerate(header) if name not in OF_THE_MACHINE]
    return "\n".join(repr([row[number] for number in kept]) for row in [header, *rows]).encode()
