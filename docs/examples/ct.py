"""CT metal artefact reduction in the table over all domains: rows of a study that `make report` has run.

The study trains its methods itself (`src/ctmar`); here its table of quality against broken symmetry is read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import comparison
import pandas as pd

TITLE = "CT metal artefact reduction, C_4"
DIAL = "asymmetry of the scan ε"
METRIC = "test PSNR [dB]"
METHODS = {
    "plain": "plain",
    "augmentation": "augmentation",
    "test_time_average": "test-time average",
    "strict": "strict",
    "projection": "penalty, tuned",
    "proximal": "proximal",
}
# the study's columns, by the beginnings of ours
COLUMNS = {"over_plain": "psnr_diff_db", "over_strict": "psnr_to_strict_db"}


def rows_of(study: Path) -> pd.DataFrame:
    """The rows of `comparison.summary` that a study has, with all its slices and the penalty's Frobenius norm.

    Args:
        study: its folder below results.
    """
    table = pd.read_csv(study / "summary" / "dial.csv")
    commit = json.loads((study / "provenance.json").read_text(encoding="utf-8"))["code"]["commit"]
    table = table[(table["slices"] == 0) & table["method"].isin(list(METHODS))]
    table = table[(table["method"] != "projection") | (table["norm"] == "frobenius")]
    found = pd.DataFrame({"metric": METRIC, "dial": table["asymmetry"], "method": table["method"].map(METHODS)})
    found = found.assign(seeds=table["n_seeds"], weight=table["lam_perp"], mean=table["psnr_db_mean"])
    for ours, theirs in COLUMNS.items():
        for end, their_end in (("", "_mean"), ("_low", "_low"), ("_high", "_high")):
            found[ours + end] = table[theirs + their_end]
    return found.assign(commit=commit)


def main(argv: list[str] | None = None) -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("study", type=Path, help="folder of a finished study, such as results/config")
    parser.add_argument("--table", type=Path, default=Path("ct.csv"), help="table to write")
    chosen = parser.parse_args(argv)
    found = rows_of(chosen.study)
    comparison.write_table(found, chosen.table)
    print(found.drop(columns="commit").to_string(index=False))


if __name__ == "__main__":
    main()
