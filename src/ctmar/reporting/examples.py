"""The image comparisons: which models are shown, and the panels of every example pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctmar.config import Report
from ctmar.config.labels import model_label, number
from ctmar.errors import InputError
from ctmar.reporting.choice import Identity, shown_settings
from ctmar.reporting.images import data_address, error_image, outline_path, window_image
from ctmar.reporting.study_files import RunRecord, StudyTables, read_table
from ctmar.units import attenuation_to_hu

_PAIR = ("slice_id", "mask_index")  # names a pair; the same in every file of examples and every table of slices
_PAIR_FACTS = ("metal_pixels", "pixel_mm")
FEWEST_EXAMPLES = 2
_SHRINKS = (1, 2, 4)
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Picture:
    """One picture of an example: its addresses, its metrics, and a text for those who cannot see it."""

    name: str
    picture: str
    alt: str
    error: str | None = None
    error_alt: str = ""
    psnr: str = ""
    ssim: str = ""
    rmse: str = ""


@dataclass(frozen=True)
class Example:
    """One test pair with a panel for the truth, the references and every model shown."""

    title: str
    n_metal: int
    metal_mm2: float
    size: int
    outline: str
    panels: list[Picture]

    @property
    def n_bytes(self) -> int:
        """Bytes its pictures add to the page."""
        return sum(len(panel.picture) + len(panel.error or "") for panel in self.panels)


@dataclass(frozen=True)
class Examples:
    """The examples shown, and how many were left out for the size of the page."""

    shown: list[Example]
    n_left_out: int


@dataclass(frozen=True)
class ImageSource:
    """The images (n, h, w) [1/cm] that a reference or a model made of the example pairs, and their metrics by pair."""

    name: str
    images: NDArray[np.floating]
    metrics: pd.DataFrame


def build_examples(results: StudyTables, network: str, settings: Report, max_bytes: int) -> Examples:
    """Panels of the example pairs for one network, as many pairs as fit into ``max_bytes``.

    Where not even `FEWEST_EXAMPLES` fit, pictures have half the resolution, down to a quarter.

    Raises:
        InputError: an examples file is missing or does not go with the references.
    """
    names = ("image", "ma_CT", "LI_CT", "mask", *_PAIR, *_PAIR_FACTS)
    references = _load(results.references_folder / "examples.npz", names, optional=("NMAR_CT",))
    shown = [_first_seed(results.records, identity) for identity in shown_settings(results.models, network)]
    predictions = [_load(record.folder.examples, ("prediction", *_PAIR)) for record in shown]
    for record, made in zip(shown, predictions, strict=True):
        if not set(_pairs(made)) <= set(_pairs(references)):
            raise InputError(f"{record.folder}: the example pairs are not those of the references; evaluate again")
    references = _common(references, predictions)
    sources = _reference_images(results.references_folder, references)
    sources += [_model_images(record, made, references) for record, made in zip(shown, predictions, strict=True)]
    wanted = min(FEWEST_EXAMPLES, len(references["mask"]))
    examples: list[Example] = []
    for shrink in _SHRINKS:
        examples = _fitting(references, sources, settings, max_bytes, shrink)
        if len(examples) >= wanted:
            break
    return Examples(examples, len(references["mask"]) - len(examples))


def _fitting(
    references: Arrays, sources: Sequence[ImageSource], settings: Report, max_bytes: int, shrink: int
) -> list[Example]:
    examples: list[Example] = []
    n_bytes = 0
    for index in range(len(references["mask"])):
        example = _build_example(index, references, sources, settings, shrink)
        n_bytes += example.n_bytes
        if n_bytes > max_bytes:
            break
        examples.append(example)
    return examples


def _reference_images(folder: Path, references: Arrays) -> list[ImageSource]:
    metrics = read_table(folder / "slices.csv", "reference_slices")
    return [
        ImageSource(name, references[array], _by_pair(metrics[metrics["reference"] == name]))
        for name, array in (("Input", "ma_CT"), ("LI", "LI_CT"), ("NMAR", "NMAR_CT"))
        if array in references
    ]


def _pairs(arrays: Arrays) -> list[tuple[str, int]]:
    """The names of the pairs of a file of examples."""
    return [(str(slice_id), int(mask)) for slice_id, mask in zip(*(arrays[name] for name in _PAIR), strict=True)]


def _common(references: Arrays, predictions: Sequence[Arrays]) -> Arrays:
    """The references of the pairs that every model predicted: models of one fold are tested on the same patients."""
    known = [set(_pairs(made)) for made in predictions]
    chosen = [index for index, pair in enumerate(_pairs(references)) if all(pair in pairs for pairs in known)]
    return {name: array[chosen] for name, array in references.items()}


def _model_images(record: RunRecord, predictions: Arrays, references: Arrays) -> ImageSource:
    order = {pair: index for index, pair in enumerate(_pairs(predictions))}
    chosen = [order[pair] for pair in _pairs(references)]
    metrics = _by_pair(read_table(record.folder.slices, "slices"))
    return ImageSource(model_label(record.description.run.model_dump()), predictions["prediction"][chosen], metrics)


def _build_example(
    index: int, references: Arrays, sources: Sequence[ImageSource], settings: Report, shrink: int
) -> Example:
    mask = references["mask"][index]
    truth_hu = attenuation_to_hu(references["image"][index])
    pair = tuple(references[name][index].item() for name in _PAIR)
    title = f"slice {pair[0]}, mask {pair[1]}"
    truth = data_address(window_image(truth_hu, settings.window_hu), shrink=shrink)
    panels = [Picture("Ground truth", truth, f"Ground truth: CT image without metal, {title}")]
    for source in sources:
        image_hu = attenuation_to_hu(source.images[index])
        panels.append(_panel(source.name, image_hu, truth_hu, mask, source.metrics.loc[pair], settings, shrink))
    n_metal, pixel_mm = int(references["metal_pixels"][index]), float(references["pixel_mm"][index])
    area_mm2 = n_metal * pixel_mm**2
    return Example(title, n_metal, area_mm2, truth_hu.shape[0], outline_path(mask), panels)


def _panel(
    name: str,
    image_hu: NDArray[np.floating],
    truth_hu: NDArray[np.floating],
    mask: NDArray[np.uint8],
    metrics: pd.Series,
    settings: Report,
    shrink: int = 1,
) -> Picture:
    psnr, ssim, rmse = number(metrics["psnr_db"]), number(metrics["ssim"], 3), number(metrics["rmse_hu"], 0)
    # metal does not count in any metric, so its error is not shown either
    error_hu = np.where(mask != 0, 0.0, image_hu - truth_hu)
    quality = f"PSNR {psnr} dB, SSIM {ssim}, RMSE {rmse} HU"
    return Picture(
        name=name,
        picture=data_address(window_image(image_hu, settings.window_hu), shrink=shrink),
        alt=f"{name}: CT image, {quality}",
        error=data_address(error_image(error_hu, settings.error_hu), shrink=shrink),
        error_alt=f"{name}: error against the ground truth, {quality}",
        psnr=psnr,
        ssim=ssim,
        rmse=rmse,
    )


def _first_seed(records: Sequence[RunRecord], identity: Identity) -> RunRecord:
    return min((record for record in records if record.identity == identity), key=lambda record: record.seed)


def _by_pair(metrics: pd.DataFrame) -> pd.DataFrame:
    return metrics.set_index(list(_PAIR))


def _load(path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> Arrays:
    if not path.is_file():
        raise InputError(f"{path}: example images not found; the report needs them")
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in names if name not in file]
        if missing:
            raise InputError(f"{path}: expected array(s) {', '.join(missing)}, found {', '.join(file.files)}")
        return {name: file[name] for name in (*names, *optional) if name in file}
