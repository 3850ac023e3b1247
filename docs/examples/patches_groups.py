"""Thick slices: the cube against the square prism, paired by seed, from the tables of `patches` and `patches_prism`.

Both examples see the same patches through the same slices; what differs is the group that every method is told. Writes
the comparison into its page, between two marks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import comparison
import pandas as pd
from domains import BEGIN, END, FOLDER

CUBE, PRISM = "patches", "patches_prism"
DIAL = "voxels of a slice beyond one"
ACROSS = (  # towards the group that slices of one voxel have, against strict under the one that they all leave
    ("penalty, tuned", "strict"),
    ("penalty, adaptive", "strict"),
    ("proximal", "strict"),
)


def errors(folder: Path = FOLDER) -> pd.DataFrame:
    """Test errors: a row for each position of the dial and seed, a column for each example and method.

    Raises:
        ValueError: the two tables are not of the same positions and seeds.
    """
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in (CUBE, PRISM)}
    found = {
        name: table.pivot(index=["dial", "seed"], columns="method", values="value") for name, table in tables.items()
    }
    if not found[CUBE].index.equals(found[PRISM].index):
        raise ValueError(f"expected {CUBE}.csv and {PRISM}.csv to be of the same positions and seeds, found others")
    return pd.concat(found, axis=1)


def interval(differences: pd.Series) -> str:
    """The mean with its limits, and a mark where they lie beside 0."""
    middle, low, high = comparison.paired_interval(differences.tolist())
    mark = comparison.BETTER if low > 0 else comparison.WORSE if high < 0 else ""
    return f"{middle:+.2f} [{low:+.2f}, {high:+.2f}] {mark}".strip().replace("-", "−")


def rows_of(values: pd.DataFrame, name: str, cube: str, prism: str) -> list[str]:
    """A row for each position of the dial: both means, how much smaller the error under D_4 is, and less plain's."""
    rows = []
    for dial, part in values.groupby(level="dial"):
        means = (f"{part[CUBE, cube].mean():.2f}", f"{part[PRISM, prism].mean():.2f}")
        gains = part[CUBE, cube] - part[PRISM, prism]
        starts = part[CUBE, "plain"] - part[PRISM, "plain"]
        beyond = "" if cube == prism == "plain" else interval(gains - starts)
        rows.append("| " + " | ".join((f"{dial:g}", name, *means, interval(gains), beyond)) + " |")
    return rows


def block(values: pd.DataFrame) -> str:
    """The tables: every method under both groups, and what is told the cube softly against strict under the prism."""
    head = f"| {DIAL} | method | cube | D_4 | gain of D_4 | beyond plain's |\n{'|---' * 6}|"
    same = [row for name in comparison.METHODS for row in rows_of(values, name, name, name)]
    across = [row for cube, prism in ACROSS for row in rows_of(values, f"{cube} (cube), {prism} (D_4)", cube, prism)]
    n_seeds = values.index.get_level_values("seed").nunique()
    intro = f"Test RMSE [1/1000], {n_seeds} seeds, gains paired by seed, 95 % intervals by Student's t."
    second = "What is told the cube softly, and strict under D_4:"
    return "\n".join([intro, "", head, *same, "", second, "", head, *across, ""])


def page(folder: Path = FOLDER) -> str:
    """The page, with its tables as they are now."""
    before, rest = (folder / "patches_groups.md").read_text(encoding="utf-8").split(BEGIN)
    return before + BEGIN + block(errors(folder)) + END + rest.split(END)[1]


def main(argv: list[str] | None = None) -> None:
    """Write the page."""
    argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0]).parse_args(argv)
    text, path = page(), FOLDER / "patches_groups.md"
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    main()
