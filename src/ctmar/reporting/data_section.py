"""What the page says about the data: sources, patients, subsets, quality control, and what was left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctmar.config import SOURCE_KINDS, Config
from ctmar.config.labels import MINUS, number
from ctmar.reporting.checked_files import Thumbnails
from ctmar.reporting.images import data_address
from ctmar.reporting.study_files import StudyTables, text_rows

_MOST_ROWS = 200  # of a table of the page; a large study has thousands
_THUMBNAIL_QUALITY = 70
QUALITY_COLUMNS = {  # of the catalogue, where a study has them
    "slice_spacing_mm": "spacing [mm]",
    "minimum_hu": "darkest [HU]",
    "maximum_hu": "brightest [HU]",
    "mean_hu": "mean [HU]",
    "body_fraction": "body share",
}


@dataclass(frozen=True)
class SeriesPictures:
    """One series of the catalogue in words, with its pictures: their addresses and what each shows."""

    name: str
    words: str
    pictures: list[tuple[str, str]]


@dataclass(frozen=True)
class DataSection:
    """Everything the page says about the data."""

    sources: list[dict[str, str]]
    source_meaning: str
    with_licences: bool
    split: list[dict[str, Any]]
    n_folds: int
    catalogue: list[dict[str, Any]]
    catalogue_columns: dict[str, str]
    n_series: int
    series: list[SeriesPictures]
    n_series_without_pictures: int
    reasons: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]
    n_quarantined: int


def split_rows(split: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each patient: its subset in every fold, and its slices."""
    wide = split.pivot(index="patient", columns="fold", values="subset")
    n_slices = split.drop_duplicates("patient").set_index("patient")["n_slices"]
    return [
        {"patient": patient, "subsets": list(subsets), "n_slices": n_slices[patient]}
        for patient, *subsets in wide.itertuples(name=None)
    ]


def data_section(results: StudyTables, config: Config, max_bytes: int) -> DataSection:
    """Tables and pictures of the data; pictures of as many series as fit into ``max_bytes``.

    Args:
        results: the study.
        config: its configuration.
        max_bytes: what the pictures may add to the page.
    """
    catalogue, quarantine = results.catalogue, results.quarantine
    columns = {name: title for name, title in QUALITY_COLUMNS.items() if name in catalogue}
    series, n_left_out = series_pictures(catalogue, results.thumbnails, max_bytes)
    return DataSection(
        sources=results.sources[:_MOST_ROWS],
        source_meaning=SOURCE_KINDS[config.source.kind].meaning,
        with_licences=config.source.is_public and not results.sources,
        split=split_rows(results.split)[:_MOST_ROWS],
        n_folds=results.split["fold"].nunique(),
        catalogue=readable(catalogue.head(_MOST_ROWS), list(columns)),
        catalogue_columns=columns,
        n_series=len(catalogue),
        series=series,
        n_series_without_pictures=n_left_out,
        reasons=quarantine_summary(quarantine),
        quarantine=text_rows(quarantine.head(_MOST_ROWS)),
        n_quarantined=len(quarantine),
    )


def series_pictures(
    catalogue: pd.DataFrame, thumbnails: Thumbnails, max_bytes: int
) -> tuple[list[SeriesPictures], int]:
    """The series that have pictures, in the order of the catalogue, and how many had to be left out."""
    by_series: dict[str, list[int]] = {}
    for index, name in enumerate(thumbnails.series.tolist()):
        by_series.setdefault(str(name), []).append(index)
    shown: list[SeriesPictures] = []
    n_bytes, n_left_out = 0, 0
    for row in readable(catalogue, [name for name in QUALITY_COLUMNS if name in catalogue]):
        name = f"{row['patient']}/{row['series']}"
        pictures = [_picture(thumbnails, index, name) for index in by_series.get(name, [])]
        n_bytes += sum(len(address) for address, _ in pictures)
        if pictures and n_bytes <= max_bytes:
            shown.append(SeriesPictures(name, series_words(row), pictures))
        else:
            n_left_out += bool(pictures)
    return shown, n_left_out


def series_words(row: dict[str, Any]) -> str:
    """What quality control says of a series, as far as the catalogue knows it.

    Examples:
        >>> series_words({"n_slices_found": 9, "n_slices_kept": 4, "minimum_hu": "−1024", "maximum_hu": "1532"})
        '4 of 9 slices kept; −1024 to 1532 HU'
    """
    words = [f"{row['n_slices_kept']} of {row['n_slices_found']} slices kept"]
    if row.get("slice_spacing_mm"):
        words.append(f"{row['slice_spacing_mm']} mm apart")
    if row.get("minimum_hu") and row.get("maximum_hu"):
        words.append(f"{row['minimum_hu']} to {row['maximum_hu']} HU")
    if row.get("mean_hu"):
        words.append(f"mean {row['mean_hu']} HU")
    if row.get("body_fraction"):
        words.append(f"body {number(100 * float(row['body_fraction']), 0)}\N{NO-BREAK SPACE}% of the image")
    return "; ".join(words)


def quarantine_summary(quarantine: pd.DataFrame) -> list[dict[str, Any]]:
    """Number of files for each reason and remedy, most frequent first."""
    counts = Counter((row["reason"], row["remedy"]) for row in text_rows(quarantine))
    return [{"reason": reason, "remedy": remedy, "n_files": n} for (reason, remedy), n in counts.most_common()]


def _picture(thumbnails: Thumbnails, index: int, name: str) -> tuple[str, str]:
    position = float(thumbnails.position[index])
    where = f" at {number(position, 0)} mm" if np.isfinite(position) else ""
    pixels: NDArray[np.uint8] = thumbnails.image[index]
    return data_address(pixels, _THUMBNAIL_QUALITY), f"{name}: slice{where}"


def readable(catalogue: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows with true minus signs; whole numbers stay whole though another series has no value."""
    rows = text_rows(catalogue)
    for row in rows:
        for column in columns:
            row[column] = f"{row[column]:g}".replace("-", MINUS) if row[column] != "" else ""
    return rows
