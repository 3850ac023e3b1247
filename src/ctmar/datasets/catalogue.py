"""One row for each series: what was found, what was kept, and its geometry."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctmar.datasets.quality import Tally
from ctmar.datasets.sources import Stack
from ctmar.store.ct_source import Geometry
from ctmar.store.tables import write_rows

COLUMNS = (
    "patient",
    "series",
    "kind",
    "n_slices_found",
    "n_slices_read",
    "n_slices_kept",
    "n_missing",
    "n_duplicates",
    "rows",
    "columns",
    "pixel_mm",
    "row_mm",
    "slice_spacing_mm",
    "tilt_degrees",
    "minimum_hu",
    "maximum_hu",
    "mean_hu",
    "body_fraction",
    "lossy",
    "manufacturer",
    "source",
    "licence",
)


def write_catalogue(path: Path, stacks: Sequence[Stack], tallies: Mapping[str, Tally]) -> None:
    """Write the catalogue as CSV.

    Of all slices found, a patient's share is read; ``minimum_hu`` to ``body_fraction`` are of these, in their own
    pixels, those that fail quality control included. They are empty where no slice could be decoded.

    Args:
        path: CSV file.
        stacks: all series that were found.
        tallies: what became of their slices, by ``Stack.slice_prefix``.
    """
    write_rows(path, COLUMNS, [_row(stack, tallies.get(stack.slice_prefix, Tally())) for stack in stacks])


def _row(stack: Stack, tally: Tally) -> dict[str, Any]:
    return {
        "patient": stack.patient,
        "series": stack.series,
        "n_slices_found": stack.content.n_slices,
        "n_slices_read": tally.n_read,
        "n_slices_kept": tally.n_kept,
        "source": stack.origin.source,
        "licence": stack.origin.licence,
        **_quality(tally),
        **_geometry(stack.content.geometry()),
    }


def _quality(tally: Tally) -> dict[str, Any]:
    if tally.n_finite == 0:
        return dict.fromkeys(("minimum_hu", "maximum_hu", "mean_hu", "body_fraction"), "")
    return {
        "minimum_hu": round(tally.minimum_hu),
        "maximum_hu": round(tally.maximum_hu),
        "mean_hu": round(tally.sum_of_means_hu / tally.n_finite, 1),
        "body_fraction": round(tally.sum_of_body_fractions / tally.n_finite, 3),
    }


def _geometry(geometry: Geometry) -> dict[str, Any]:
    return {
        **asdict(geometry),
        "pixel_mm": _millimetres(geometry.pixel_mm),
        "row_mm": _millimetres(geometry.row_mm),
        "slice_spacing_mm": _millimetres(geometry.slice_spacing_mm),
        "tilt_degrees": round(geometry.tilt_degrees, 1),
    }


def _millimetres(value: float) -> str:
    """Text of a length; empty where there is none (the spacing of a single slice)."""
    return "" if math.isnan(value) else f"{value:g}"
