"""From a slice with metal to the change that takes the artefacts away.

An exported image has no raw data, so the sinogram is made from the image itself: it is projected with the scan of the
training data, its metal trace is replaced by linear interpolation, and only the *difference* of the two sinograms is
reconstructed and added to the slice. The slice keeps its own resolution and calibration this way, and where no ray
meets metal the interpolated image differs from it by artefacts alone. What projection cannot undo are the effects that
are not linear: beam hardening, scatter, clipped metal, the scanner's own corrections.
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
from ctmar.units import WATER_PER_CM, hu_to_attenuation

# A pixel of the working grid counts as metal from this share on: a half would leave bright edges outside the trace.
LEAST_COVERAGE = 0.25


def change_of_slice(
    image_hu: NDArray[np.float32],
    metal: NDArray[np.bool_],
    row_mm: float,
    column_mm: float,
    grid: WorkingGrid,
    correct: Correction,
) -> NDArray[np.float32] | None:
    """What to add to a slice so that the metal artefacts go; zero on metal, and beyond the working grid.

    Args:
        image_hu: displayed slice (n_rows, n_columns) [HU].
        metal: where its metal is, same shape.
        row_mm: distance of neighbouring rows [mm].
        column_mm: distance of neighbouring columns [mm].
        grid: working grid and scan of the training data.
        correct: the network.

    Returns:
        Change of the same shape as the slice [HU]; None where the metal is too small, or lies outside the grid.

    Raises:
        Refused: the metal hides a whole view, or the network's output is not finite.
    """
    on_grid_hu, pixel_mm = resample_to_grid(image_hu, row_mm, column_mm, grid.size, grid.pixel_mm)
    steps = pixel_mm / row_mm, pixel_mm / column_mm
    mask = (_resample(metal, (grid.size, grid.size), steps) >= LEAST_COVERAGE).astype(np.uint8)
    if not mask.any():
        return None
    image = hu_to_attenuation(on_grid_hu)
    try:
        interpolated = interpolate_trace(image, mask, pixel_mm, grid.preset)
    except InputError:
        raise Refused("the metal hides all tissue in a view", "check the metal threshold or the mask") from None
    change = correct(image, interpolated, mask)
    if not np.isfinite(change).all():
        raise Refused("the network's output is not finite", "check the weights and the working grid")
    # on metal the change means nothing: the nearest one beside it keeps it out of the interpolation
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    back = _resample(change[tuple(nearest)], image_hu.shape, (1 / steps[0], 1 / steps[1]))
    return np.where(metal, 0, back * (1000 / WATER_PER_CM)).astype(np.float32)


def interpolate_trace(
    image: NDArray[np.float32], mask: NDArray[np.uint8], pixel_mm: float, preset: str
) -> NDArray[np.float32]:
    """Linear interpolation over the metal trace, for a slice without raw data: x + FBP(LI(Px) − Px).

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
    (difference,) = filtered_back_projection(geometry, interpolated - sinogram, form=scan.form)
    return image + difference


def _resample(array: NDArray[np.generic], shape: tuple[int, ...], steps: tuple[float, float]) -> NDArray[np.float64]:
    """Resample about the centre to ``shape``, steps in pixels of the array; zero beyond its borders."""
    down = interpolation_matrix(array.shape[0], shape[0], steps[0])
    across = interpolation_matrix(array.shape[1], shape[1], steps[1])
    return down @ array.astype(np.float64) @ across.T
