"""What every column of every table of a study means, with its unit: names come from who writes the tables."""

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

from ctmar.config import Config, Run
from ctmar.datasets import catalogue, split
from ctmar.evaluation import columns
from ctmar.reporting.paper.column_meanings import DERIVED, MEANINGS, UNITS
from ctmar.store import quarantine

_INTERVAL = {"_mean": "mean", "_low": "lower limit of the interval", "_high": "upper limit of the interval"}


@dataclass(frozen=True)
class Entry:
    """A column of a table: its unit (empty: none), its meaning, and which command writes it."""

    table: str
    column: str
    unit: str
    meaning: str
    source: str


def written_tables(config: Config) -> dict[str, tuple[str, list[str]]]:
    """For each table below ``results/STUDY`` the command that writes it, and its columns in their order."""
    metrics = (*columns.METRICS, *map(columns.own_metric, config.evaluation.metrics))
    per_slice = [*columns.PAIR_COLUMNS, *metrics]
    summary = {
        "models.csv": columns.model_columns(config.evaluation.defect_angles_deg, metrics),
        "runs.csv": columns.run_columns(metrics),
        "references.csv": columns.reference_columns(metrics),
        "sizes.csv": columns.group_columns("metal_size"),
        "materials.csv": columns.group_columns("metal"),
        "dial.csv": columns.dial_columns(),
        "norms_at_defect.csv": columns.norm_columns(),
        "curves.csv": columns.curve_columns(),
        "layers.csv": columns.layer_columns(),
        "layer_curves.csv": columns.layer_curve_columns(),
        "diverged.csv": columns.diverged_columns(),
        "not_finite.csv": columns.not_finite_columns(),
        "variances.csv": list(columns.VARIANCE_COLUMNS),
        "slices.parquet": columns.slice_columns(metrics),
    }
    return {
        **{f"summary/{name}": ("ctmar summarise", own) for name, own in summary.items()},
        "cost.csv": ("ctmar cost", list(columns.COST_COLUMNS)),
        "references/slices.csv": ("ctmar evaluate-references", ["reference", *per_slice]),
        "runs/*/slices.csv": ("ctmar evaluate", per_slice),
        "data/catalogue.csv": ("ctmar ingest", list(catalogue.COLUMNS)),
        "data/quarantine.csv": ("ctmar ingest", list(quarantine.COLUMNS)),
        "data/split.csv": ("ctmar split", list(split.COLUMNS)),
    }


def dictionary(config: Config) -> Iterator[Entry]:
    """An entry for every column of every table of a study.

    Raises:
        KeyError: a column has no meaning yet; a test finds it first.
    """
    for table, (source, names) in written_tables(config).items():
        for name in names:
            yield Entry(table, name, unit_of(name), meaning_of(name), source)


def meaning_of(column: str) -> str:
    """What a column means, from the part of its name that has a meaning of its own and what is done to it.

    Examples:
        >>> meaning_of("ssim_diff_low")
        'structural similarity, protocol fixed; paired difference to the plain model; lower limit of the interval'
    """
    base, words = key_of(column)
    known = Run.model_fields[base].description if base in Run.model_fields else MEANINGS[base]
    return "; ".join([str(known).rstrip("."), *words])


def key_of(column: str) -> tuple[str, list[str]]:
    """The part of a name that has a meaning of its own, and what is done to it, in words."""
    words: list[str] = []
    if column not in MEANINGS:
        ending = next((ending for ending in _INTERVAL if column.endswith(ending)), "")
        words, column = [_INTERVAL[ending]] if ending else [], column.removesuffix(ending)
    for pattern, replacement, said in DERIVED:
        if column not in MEANINGS and (found := pattern.fullmatch(column)):
            words.insert(0, said.format(*found.groups()))
            column = found.expand(replacement)
    return column, words


def unit_of(column: str) -> str:
    """The unit that the end of a name tells, before what marks an interval.

    Examples:
        >>> unit_of("psnr_diff_db_low"), unit_of("rmse_hu"), unit_of("ssim")
        ('dB', 'HU', '')
    """
    base = next((column.removesuffix(end) for end in _INTERVAL if column.endswith(end)), column)
    if base in UNITS:
        return UNITS[base]
    return next((unit for ending, unit in UNITS.items() if ending[0] == "_" and base.endswith(ending)), "")


def dictionary_csv(config: Config) -> str:
    """The dictionary as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(Entry))
    writer.writerows(map(astuple, dictionary(config)))
    return file.getvalue()


def dictionary_markdown(config: Config) -> str:
    """The dictionary as Markdown, a table for each table."""
    lines = ["# Data dictionary", "", "Tables below `results/STUDY`; an empty field is a missing value.", ""]
    table = ""
    for entry in dictionary(config):
        if entry.table != table:
            table = entry.table
            lines += [
                "",
                f"## {table}",
                "",
                f"Written by `{entry.source}`.",
                "",
                "| Column | Unit | Meaning |",
                "|---|---|---|",
            ]
        meaning = entry.meaning.replace("|", "\\|")
        lines.append(f"| `{entry.column}` | {entry.unit} | {meaning} |")
    return "\n".join(lines) + "\n"
