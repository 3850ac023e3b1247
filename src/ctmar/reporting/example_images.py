"""The images of the example pairs: what references and models made of them, and which models are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctmar.config.labels import model_label, number
from ctmar.errors import InputError
from ctmar.reporting.checked_files import Arrays, read_arrays
from ctmar.reporting.choice import Identity, shown_settings
from ctmar.reporting.images import outline_path
from ctmar.reporting.study_files import RunRecord, StudyTables, read_table, rows_of
from ctmar.units import attenuation_to_hu

_PAIR = ("slice_id", "mask_index")  # names a pair; the same in every file of examples and every table of slices
_PAIR_FACTS = ("metal_pixels", "pixel_mm")


@dataclass(frozen=True)
class Quality:
    """The metrics of one image in words."""

    psnr: str
    ssim: str
    rmse: str

    @classmethod
    def of(cls, metrics: Mapping[str, float]) -> "Quality":
        """The metrics of a row of a table of slices."""
        return cls(number(metrics["psnr_db"]), number(metrics["ssim"], 3), number(metrics["rmse_hu"], 0))

    def __str__(self) -> str:
        return f"PSNR {self.psnr} dB, SSIM {self.ssim}, RMSE {self.rmse} HU"


@dataclass(frozen=True)
class ExampleImage:
    """What a reference or a model made of one pair, shape (h, w) [HU], and how good it is.

    ``method`` is that of the model; None: a reference. ``turned_back`` is what a model makes of the input turned by
    one, two and three quarters, turned back, shape (3, h, w) [HU], where it was kept.
    """

    name: str
    image_hu: NDArray[np.float32]
    quality: Quality
    method: str | None
    turned_back: NDArray[np.float32] | None


@dataclass(frozen=True)
class ExamplePair:
    """One test pair: its truth (h, w) [HU], its metal, and the images made of it."""

    title: str
    n_metal: int
    metal_mm2: float
    mask: NDArray[np.uint8]
    truth_hu: NDArray[np.float32]
    images: list[ExampleImage]

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.mask.shape[0]

    @property
    def outline(self) -> str:
        """The border of the metal as SVG path data."""
        return outline_path(self.mask)


@dataclass(frozen=True)
class _Source:
    """The images (n, h, w) [1/cm] that a reference or a model made of the example pairs, and their metrics by pair."""

    name: str
    images: NDArray[np.floating]
    metrics: Mapping[tuple[str, int], Quality]
    method: str | None = None
    turned_back: Mapping[tuple[str, int], NDArray[np.floating]] = field(default_factory=dict)


def read_example_pairs(results: StudyTables, network: str) -> list[ExamplePair]:
    """The example pairs that every shown model of a network was tested on, from small to large metal.

    Raises:
        InputError: the images of the references, or their metrics, are missing or damaged. A model whose images are is
            left out and named.
    """
    names = ("image", "ma_CT", "LI_CT", "mask", *_PAIR, *_PAIR_FACTS)
    references = read_arrays(results.references_folder / "examples.npz", names, optional=("NMAR_CT",))
    known = {record.identity for record in results.records}
    identities = [identity for identity in shown_settings(results.models, network) if identity in known]
    records = [_first_seed(results.records, identity) for identity in identities]
    made = [
        results.lacks.unless(f"Images of {_name(record)}", partial(_made_by, record, references), None)
        for record in records
    ]
    shown = [one for one in made if one is not None]
    references = _common(references, [one.predictions for one in shown])
    sources = _reference_images(results.references_folder, references)
    sources += [_model_images(one, references) for one in shown]
    return [_example_pair(index, pair, references, sources) for index, pair in enumerate(_pairs(references))]


def _example_pair(index: int, pair: tuple[str, int], references: Arrays, sources: Sequence[_Source]) -> ExamplePair:
    n_metal, pixel_mm = int(references["metal_pixels"][index]), float(references["pixel_mm"][index])
    return ExamplePair(
        title=f"slice {pair[0]}, mask {pair[1]}",
        n_metal=n_metal,
        metal_mm2=n_metal * pixel_mm**2,
        mask=references["mask"][index],
        truth_hu=attenuation_to_hu(references["image"][index]),
        images=[
            ExampleImage(
                source.name,
                attenuation_to_hu(source.images[index]),
                source.metrics[pair],
                source.method,
                attenuation_to_hu(source.turned_back[pair]) if pair in source.turned_back else None,
            )
            for source in sources
        ],
    )


def _reference_images(folder: Path, references: Arrays) -> list[_Source]:
    metrics = read_table(folder / "slices.csv", "reference_slices")
    measured = set(_by_pair(metrics))
    missing = [pair for pair in _pairs(references) if pair not in measured]
    if missing:
        raise InputError(f"{folder / 'slices.csv'}: expected the example pairs, found none of slice {missing[0][0]}")
    _check_finite(folder / "examples.npz", references)
    return [
        _Source(name, references[array], _by_pair(metrics[metrics["reference"] == name]))
        for name, array in (("Input", "ma_CT"), ("LI", "LI_CT"), ("NMAR", "NMAR_CT"))
        if array in references
    ]


def _check_finite(path: Path, arrays: Arrays) -> None:
    """An image of no numbers would be drawn as a black one."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{path}: expected finite values in {name}, found NaN or infinity")


def _pairs(arrays: Arrays) -> list[tuple[str, int]]:
    """The names of the pairs of a file of examples."""
    return [(str(slice_id), int(mask)) for slice_id, mask in zip(*(arrays[name] for name in _PAIR), strict=True)]


def _common(references: Arrays, predictions: Sequence[Arrays]) -> Arrays:
    """The references of the pairs that every model predicted: models of one fold are tested on the same patients."""
    known = [set(_pairs(made)) for made in predictions]
    chosen = [index for index, pair in enumerate(_pairs(references)) if all(pair in pairs for pairs in known)]
    return {name: array[chosen] for name, array in references.items()}


@dataclass(frozen=True)
class _MadeBy:
    """What a model made of its example pairs, and the metrics of all its pairs."""

    record: RunRecord
    predictions: Arrays
    metrics: Mapping[tuple[str, int], Quality]


def _made_by(record: RunRecord, references: Arrays) -> _MadeBy:
    """Read what a model made.

    Raises:
        InputError: a file is missing or damaged, or the pairs are not those of the references.
    """
    predictions = read_arrays(record.folder.examples, ("prediction", *_PAIR), optional=("turned_back",))
    metrics = _by_pair(read_table(record.folder.slices, "slices"))
    if not set(_pairs(predictions)) <= set(_pairs(references)) & set(metrics):
        raise InputError(f"{record.folder}: the example pairs are not those of the references; evaluate again")
    _check_finite(record.folder.examples, predictions)
    return _MadeBy(record, predictions, metrics)


def _model_images(made: _MadeBy, references: Arrays) -> _Source:
    order = {pair: index for index, pair in enumerate(_pairs(made.predictions))}
    chosen = [order[pair] for pair in _pairs(references)]
    images = made.predictions["prediction"][chosen]
    kept = made.predictions.get("turned_back", ())  # of the last pairs
    turned_back = dict(zip(_pairs(made.predictions)[-len(kept) :], kept, strict=False))
    return _Source(_name(made.record), images, made.metrics, made.record.description.run.method, turned_back)


def _name(record: RunRecord) -> str:
    return model_label(record.description.run.model_dump())


def _first_seed(records: Sequence[RunRecord], identity: Identity) -> RunRecord:
    return min((record for record in records if record.identity == identity), key=lambda record: record.seed)


def _by_pair(metrics: pd.DataFrame) -> dict[tuple[str, int], Quality]:
    return {(row["slice_id"], row["mask_index"]): Quality.of(row) for row in rows_of(metrics)}
