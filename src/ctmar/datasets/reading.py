"""From one stack's file to finished slices: the work that processes share out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Ingest
from ctmar.datasets.grid import resample_to_grid
from ctmar.datasets.quality import check_hounsfield, check_on_grid, check_slice
from ctmar.datasets.sources import Stack
from ctmar.dicom import pixels
from ctmar.dicom.headers import Image
from ctmar.nifti import volumes
from ctmar.nifti.volumes import Volume
from ctmar.store.provenance import sha256_of
from ctmar.store.quarantine import Refused
from ctmar.units import hu_to_attenuation

SLICES_PER_TASK = 8  # few enough to bound memory, enough to hide the cost of passing them between processes


@dataclass(frozen=True)
class Task:
    """Slices to read from one stack: numbers in the stack, and their images or the volume that holds them."""

    prefix: str
    indices: tuple[int, ...]
    content: tuple[Image, ...] | Volume


@dataclass(frozen=True)
class Finished:
    """A slice on the working grid [1/cm], or why it was refused."""

    path: Path
    index: int
    position_mm: float
    pixel_mm: float
    sha256: str
    outcome: NDArray[np.float32] | Refused


def make_tasks(stack: Stack, indices: list[int]) -> Iterator[Task]:
    """Cut the chosen slices of a stack into tasks; a volume is read once."""
    if isinstance(stack.content, Volume):
        yield Task(stack.slice_prefix, tuple(indices), stack.content)
        return
    for start in range(0, len(indices), SLICES_PER_TASK):
        chosen = tuple(indices[start : start + SLICES_PER_TASK])
        yield Task(stack.slice_prefix, chosen, tuple(stack.content.images[index] for index in chosen))


def read_task(task: Task, settings: Ingest) -> list[Finished]:
    """Decode, check, resample and convert the slices of a task."""
    if isinstance(task.content, Volume):
        return _read_volume(task.content, task.indices, settings)
    return [_read_image(image, index, settings) for index, image in zip(task.indices, task.content, strict=True)]


def _read_image(image: Image, index: int, settings: Ingest) -> Finished:
    checksum = ""
    try:
        checksum = _checksum(image.path)
        outcome, pixel_mm = finish(*pixels.read_display(image), settings)
    except Refused as refusal:
        return Finished(image.path, index, image.position_mm, 0, checksum, refusal)
    return Finished(image.path, index, image.position_mm, pixel_mm, checksum, outcome)


def _read_volume(volume: Volume, indices: tuple[int, ...], settings: Ingest) -> list[Finished]:
    checksum, finished = "", []
    try:
        checksum = _checksum(volume.path)
        for index, image_hu in zip(indices, volumes.read_display(volume, indices), strict=True):
            outcome, pixel_mm = _finish_or_refuse(image_hu, volume, settings)
            position_mm = volume.first_mm + index * volume.spacing_mm
            finished.append(Finished(volume.path, index, position_mm, pixel_mm, checksum, outcome))
    except Refused as refusal:
        finished.append(Finished(volume.path, -1, 0, 0, checksum, refusal))
    return finished


def _finish_or_refuse(
    image_hu: NDArray[np.float32], volume: Volume, settings: Ingest
) -> tuple[NDArray[np.float32] | Refused, float]:
    try:
        return finish(image_hu, volume.row_mm, volume.column_mm, settings)
    except Refused as refusal:
        return refusal, 0.0


def _checksum(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        raise Refused("the file cannot be read", "check the file's permissions and the disk") from None


def finish(
    image_hu: NDArray[np.float32], row_mm: float, column_mm: float, settings: Ingest
) -> tuple[NDArray[np.float32], float]:
    """Check a displayed slice, bring it to the working grid and to attenuation.

    Returns:
        The image (size, size) [1/cm] and its pixel [mm].

    Raises:
        Refused: the slice fails quality control.
    """
    check_hounsfield(image_hu)
    check_slice(image_hu, settings)
    on_grid_hu, pixel_mm = resample_to_grid(image_hu, row_mm, column_mm, settings.image_size, settings.pixel_mm)
    check_on_grid(on_grid_hu, settings)
    return hu_to_attenuation(on_grid_hu), pixel_mm
