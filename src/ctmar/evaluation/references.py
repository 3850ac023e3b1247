"""The images that every model must beat: the uncorrected input, linear interpolation, and NMAR where there is one."""

from collections.abc import Collection, Sequence
from pathlib import Path

from ctmar.config import Evaluation
from ctmar.evaluation.pair_metrics import (
    Images,
    PreparedPair,
    PreparedPairs,
    measure_pairs,
    write_examples,
    write_slices,
)


def _reference_images(prepared: PreparedPair) -> Images:
    """The references of a pair by the names they have in tables."""
    pair = prepared.pair
    images = {"Input": pair.ma_CT, "LI": pair.LI_CT}
    return images if pair.NMAR_CT is None else images | {"NMAR": pair.NMAR_CT}


def evaluate_references(
    pairs_test: Path, settings: Evaluation, folder: Path, folds: Sequence[Collection[str] | None] = (None,)
) -> None:
    """Measure the references on every pair.

    Args:
        pairs_test: pair file.
        settings: number of example images, and metrics of the study's own.
        folder: gets ``slices.csv``, one row per reference and pair, and ``examples.npz``: image, ma_CT, LI_CT, where
            the file has it NMAR_CT (1/cm), and mask of the example pairs of every fold, and which pairs they are.
        folds: patients that the runs of each fold are tested on; None: all of the file.

    Raises:
        InputError: the file holds no pairs, or a patient has none.
    """
    with PreparedPairs(pairs_test, nmar=True) as prepared:
        every = sorted({index for patients in folds for index in prepared.of_patients(patients)})
        by_fold = [prepared.examples(prepared.of_patients(patients), settings.examples) for patients in folds]
        shown = list(dict.fromkeys(index for examples in by_fold for index in examples))
        tables, examples = measure_pairs(prepared, every, settings.metrics, _reference_images, examples=shown)
    rows = [{"reference": name} | row for name, table in tables.items() for row in table]
    write_slices(folder / "slices.csv", rows, ("reference",))
    pairs = [pair for pair, _ in examples]
    names = ["image", "ma_CT", "LI_CT", *(["NMAR_CT"] if "NMAR" in tables else []), "mask"]
    write_examples(folder / "examples.npz", pairs, {name: [getattr(pair, name) for pair in pairs] for name in names})
