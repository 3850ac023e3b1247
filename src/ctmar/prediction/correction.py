"""From a slice with metal to the change that takes the artefacts away.

An exported image has no raw data, so the sinogram is made from the image itself: it is projected with the scan of the
training data, its metal trace is replaced by linear interpolation, and the result is reconstructed as the LI images of
the training data are. The network sees the slice, this image and the mask. What it changes, and no more than that, is
brought to the pixels of the slice, which so keep their own resolution.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctmar.datasets.grid import interpolation_matrix, resample_to_grid
from ctmar.errors import InputError
from ctmar.prediction.network import Correction, WorkingGrid
from ctmar.simulation.interpolation import interpolate_linearly
from ctmar.simulation.presets import preset_named
from ctmar.simulation.projector import project
from ctmar.simulation.reconstruction import filtered_back_projection
from ctmar.store.quarantine import Refused
from ctmar.units import AIR_HU, WATER_PER_CM, hu_to_attenuation

# Share of metal from which a pixel of the working grid is metal. Simulated masks have a half; that would lose pins
# that are as thick as a pixel.
_LEAST_COVERAGE = 0.25
# Pixels of the working grid per pixel of the image: beyond this the network has never seen what it is to correct.
_LARGEST_COARSENING = 2.5
TOO_SMALL = "its metal covers less than a quarter of every pixel of the working grid, or lies outside it"


class Unchanged(Exception):  # noqa: N818 (an outcome)
    """A slice that stays as it is, with the reason."""


def change_of_slice(
    image_hu: NDArray[np.float32],
    metal: NDArray[np.bool_],
    row_mm: float,
    column_mm: float,
    grid: WorkingGrid,
    correct: Correction,
    any_coarseness: bool = False,
) -> NDArray[np.float32]:
    """What to add to a slice so that the metal artefacts go; zero on metal, and beyond the working grid.

    Args:
        image_hu: displayed slice (n_rows, n_columns) [HU].
        metal: where its metal is, same shape.
        row_mm: distance of neighbouring rows [mm].
        column_mm: distance of neighbouring columns [mm].
        grid: working grid and scan of the training data.
        correct: the network.
        any_coarseness: correct also where the grid is far coarser than the slice.

    Returns:
        Change of the same shape as the slice [HU].

    Raises:
        Unchanged: the metal is too small, or lies outside the grid.
        Refused: the grid is too coarse, the metal hides a whole view, or the network's output is not finite.
    """
    image, mask, pixel_mm = to_working_grid(image_hu, metal, row_mm, column_mm, grid)
    coarsening = pixel_mm / min(row_mm, column_mm)
    if coarsening > _LARGEST_COARSENING and not any_coarseness:
        raise Refused(
            f"the network was trained on pixels {_LARGEST_COARSENING:g} times as large or more than the image's",
            "train on a finer grid (ingest.image_size, ingest.pixel_mm), or say --any-coarseness",
        )
    if not mask.any():
        raise Unchanged(TOO_SMALL)
    try:
        interpolated = interpolate_trace(image, mask, pixel_mm, grid.preset)
    except InputError:
        raise Refused("the metal hides all tissue in a view", "check the metal threshold or the mask") from None
    change = correct(image, interpolated, mask)
    if not np.isfinite(change).all():
        raise Refused("the network's output is not finite", "check the weights and the working grid")
    # on metal the change means nothing: the nearest one beside it keeps it out of the interpolation
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    back = _resample(change[tuple(nearest)], image_hu.shape, (row_mm / pixel_mm, column_mm / pixel_mm))
    return np.where(metal, 0, back * (1000 / WATER_PER_CM)).astype(np.float32)


def to_working_grid(
    image_hu: NDArray[np.float32], metal: NDArray[np.bool_], row_mm: float, column_mm: float, grid: WorkingGrid
) -> tuple[NDArray[np.float32], NDArray[np.uint8], float]:
    """Bring a slice and its metal to the working grid.

    Outside the mask only what is not metal is averaged. The slice would otherwise show a rim of metal around the mask,
    as wide as a pixel of the grid, and the network would take it away from pixels of the slice that never had it.

    Returns:
        The slice [1/cm] and the mask, both (size, size), and the pixel of the grid [mm].
    """
    on_grid_hu, pixel_mm = resample_to_grid(image_hu, row_mm, column_mm, grid.size, grid.pixel_mm)
    steps = pixel_mm / row_mm, pixel_mm / column_mm
    coverage = _resample(metal, on_grid_hu.shape, steps)
    metal_part = _resample(np.where(metal, image_hu - AIR_HU, 0), on_grid_hu.shape, steps)
    mask = coverage >= _LEAST_COVERAGE
    tissue_hu = AIR_HU + (on_grid_hu - AIR_HU - metal_part) / np.where(mask, 1, 1 - coverage)
    return hu_to_attenuation(np.where(mask, on_grid_hu, tissue_hu)), mask.astype(np.uint8), pixel_mm


def interpolate_trace(
    image: NDArray[np.float32], mask: NDArray[np.uint8], pixel_mm: float, preset: str
) -> NDArray[np.float32]:
    """Linear interpolation over the metal trace, for a slice without raw data: FBP(LI(Px)).

    Args:
        image: slice x of linear attenuation (size, size) [1/cm].
        mask: 1 where there is metal, same shape.
        pixel_mm: pixel of the grid [mm].
        preset: scan P that is projected with.

    Returns:
        Corrected slice of the same shape [1/cm].

    Raises:
        InputError: a view is metal from end to end.
    """
    scan = preset_named(preset)
    geometry = scan.geometry(len(image), pixel_mm)
    sinogram = project(geometry, image)
    interpolated = interpolate_linearly(sinogram, project(geometry, mask) > 0)
    (corrected,) = filtered_back_projection(geometry, interpolated, form=scan.form)
    return corrected


def _resample(array: NDArray[np.generic], shape: tuple[int, ...], steps: tuple[float, float]) -> NDArray[np.float64]:
    """Resample about the centre to ``shape``, steps in pixels of the array; zero beyond its borders."""
    down = interpolation_matrix(array.shape[0], shape[0], steps[0])
    across = interpolation_matrix(array.shape[1], shape[1], steps[1])
    return down @ array.astype(np.float64) @ across.T
