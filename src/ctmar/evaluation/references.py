"""The two images that every model must beat: the uncorrected input and linear interpolation."""

from pathlib import Path

from ctmar.config import Evaluation
from ctmar.evaluation.slices import METRICS, PAIR_COLUMNS, Images, measure_pairs, write_examples
from ctmar.store.pairs import Pair
from ctmar.store.tables import write_rows


def reference_images(pair: Pair) -> Images:
    """The references of a pair by the names they have in tables."""
    return {"Input": pair.ma_CT, "LI": pair.LI_CT}


def evaluate_references(pairs_test: Path, settings: Evaluation, slices_csv: Path, examples_npz: Path) -> None:
    """Measure the uncorrected input and linear interpolation on every pair.

    Args:
        pairs_test: pair file.
        settings: number of example images.
        slices_csv: one row per reference and pair.
        examples_npz: image, ma_CT, LI_CT (1/cm) and mask of the example pairs, and which pairs they are.

    Raises:
        InputError: the file holds no pairs.
    """
    tables, examples = measure_pairs(pairs_test, settings.examples, reference_images)
    rows = [{"reference": name} | row for name, table in tables.items() for row in table]
    write_rows(slices_csv, ("reference", *PAIR_COLUMNS, *METRICS), rows)
    pairs = [pair for pair, _ in examples]
    shown = {name: [getattr(pair, name) for pair in pairs] for name in ("image", "ma_CT", "LI_CT", "mask")}
    write_examples(examples_npz, pairs, shown)
