"""From files to headers and to finished slices: the work that processes share out.

Every process imports what is imported here, so that is little: no configuration, no HDF5, no torch.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.datasets.grid import resample_to_grid
from ctmar.datasets.quality import Limits, Statistics, check_hounsfield, check_on_grid, check_slice, measure
from ctmar.dicom import pixels
from ctmar.dicom.headers import Image
from ctmar.dicom.scan import read_images
from ctmar.nifti import volumes
from ctmar.nifti.volumes import Volume
from ctmar.store.chunks import PackedImage, pack_image
from ctmar.store.provenance import sha256_of
from ctmar.store.quarantine import Refused
from ctmar.units import attenuation_to_hu, hu_to_attenuation

Headers = list[Image] | Volume | Refused
OUTSIDE = Refused("a link that leaves the folder", "copy the file into the folder")
NO_REGULAR_FILE = Refused(
    "no regular file: a link to a folder, a locked folder, a pipe or a device",
    "give the file or folder itself, with the permission to read it",
)
KILLS = Refused(
    "reading it kills the process: damaged so that a decoder crashes, or larger than the memory",
    "export the series again from the scanner or archive; use fewer threads if memory is short",
)


@dataclass(frozen=True)
class Recipe:
    """What becomes of every slice: the working grid and the limits of quality control."""

    image_size: int
    pixel_mm: float | None
    limits: Limits


@dataclass(frozen=True)
class Task:
    """Slices to read from one stack: numbers in the stack, and their images, their files or the volume of them all."""

    prefix: str
    indices: tuple[int, ...]
    content: tuple[Image | Path, ...] | Volume


@dataclass(frozen=True)
class Finished:
    """A slice on the working grid [1/cm], packed for the file, or why it was refused; statistics if it was decoded."""

    path: Path
    index: int
    position_mm: float
    pixel_mm: float
    sha256: str
    outcome: PackedImage | Refused
    statistics: Statistics | None = None


def read_headers(paths: list[Path], root: Path, minimum_rows: int) -> list[Headers]:
    """What each file holds, or why it is refused; links that leave ``root`` are not followed."""
    return [_read_header(path, root, minimum_rows) for path in paths]


def split_paths(paths: list[Path]) -> list[list[Path]]:
    """The files one by one."""
    return [[path] for path in paths]


def lost_paths(paths: list[Path]) -> list[Headers]:
    """What stands for files whose headers kill the process."""
    return [KILLS for _ in paths]


def _read_header(path: Path, root: Path, minimum_rows: int) -> Headers:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return OUTSIDE
    if not path.is_file():  # reading a pipe would wait for ever
        return NO_REGULAR_FILE
    try:
        return volumes.open_volume(path, minimum_rows) if volumes.is_nifti(path) else read_images(path, minimum_rows)
    except Refused as refusal:
        return refusal


def read_task(task: Task, recipe: Recipe) -> list[Finished]:
    """Decode, check, resample and convert the slices of a task."""
    if isinstance(task.content, Volume):
        return _read_volume(task.content, task.indices, recipe)
    return [
        _read_stored(part, index, recipe) if isinstance(part, Path) else _read_image(part, index, recipe)
        for index, part in zip(task.indices, task.content, strict=True)
    ]


def split_task(task: Task) -> list[Task]:
    """Tasks of a single image each; a volume is one file and stays whole."""
    if isinstance(task.content, Volume):
        return [task]
    return [Task(task.prefix, (index,), (part,)) for index, part in zip(task.indices, task.content, strict=True)]


def lost_task(task: Task) -> list[Finished]:
    """What stands for a task that kills the process."""
    if isinstance(task.content, Volume):
        return [Finished(task.content.path, -1, 0, 0, "", KILLS)]
    paths = [part if isinstance(part, Path) else part.path for part in task.content]
    return [Finished(path, index, 0, 0, "", KILLS) for index, path in zip(task.indices, paths, strict=True)]


def _read_image(image: Image, index: int, recipe: Recipe) -> Finished:
    checksum, statistics = "", None
    try:
        checksum = _checksum(image.path)
        image_hu, row_mm, column_mm = pixels.read_display(image)
        statistics = measure(image_hu)
        outcome, pixel_mm = finish(image_hu, row_mm, column_mm, recipe)
    except Refused as refusal:
        return Finished(image.path, index, image.position_mm, 0, checksum, refusal, statistics)
    return Finished(image.path, index, image.position_mm, pixel_mm, checksum, outcome, statistics)


def _read_stored(path: Path, index: int, recipe: Recipe) -> Finished:
    # imported here: no other source needs HDF5 for reading
    from ctmar.datasets.syndeeplesion import PIXEL_MM, read_slice

    checksum = ""
    try:
        checksum = _checksum(path)
        image = read_slice(path, recipe.image_size)
        statistics = measure(attenuation_to_hu(image))
        return Finished(path, index, math.nan, PIXEL_MM, checksum, pack_image(image), statistics)
    except Refused as refusal:
        return Finished(path, index, math.nan, 0, checksum, refusal)


def _read_volume(volume: Volume, indices: tuple[int, ...], recipe: Recipe) -> list[Finished]:
    checksum, finished = "", []
    try:
        checksum = _checksum(volume.path)
        for index, image_hu in zip(indices, volumes.read_display(volume, indices), strict=True):
            outcome, pixel_mm = _finish_or_refuse(image_hu, volume, recipe)
            position_mm = volume.first_mm + index * volume.spacing_mm
            statistics = measure(image_hu)
            finished.append(Finished(volume.path, index, position_mm, pixel_mm, checksum, outcome, statistics))
    except Refused as refusal:
        finished.append(Finished(volume.path, -1, 0, 0, checksum, refusal))
    return finished


def _finish_or_refuse(
    image_hu: NDArray[np.float32], volume: Volume, recipe: Recipe
) -> tuple[PackedImage | Refused, float]:
    try:
        return finish(image_hu, volume.row_mm, volume.column_mm, recipe)
    except Refused as refusal:
        return refusal, 0.0


def _checksum(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        raise Refused("the file cannot be read", "check the file's permissions and the disk") from None


def finish(image_hu: NDArray[np.float32], row_mm: float, column_mm: float, recipe: Recipe) -> tuple[PackedImage, float]:
    """Check a displayed slice, bring it to the working grid and to attenuation.

    Returns:
        The image (size, size) [1/cm], packed, and its pixel [mm].

    Raises:
        Refused: the slice fails quality control.
    """
    check_hounsfield(image_hu)
    check_slice(image_hu, recipe.limits)
    on_grid_hu, pixel_mm = resample_to_grid(image_hu, row_mm, column_mm, recipe.image_size, recipe.pixel_mm)
    check_on_grid(on_grid_hu, recipe.limits)
    return pack_image(hu_to_attenuation(on_grid_hu)), pixel_mm
