"""Small pictures of every series: a flipped, cropped or wrongly scaled one shows at a glance.

Layout of the `.npz` file, which needs no pickle: ``series`` text (n), the names ``patient/series`` of the catalogue;
``position`` float64 (n), along the slice normal towards the head [mm], nan where it is unknown; ``image`` uint8
(n, 128, 128), black and white at the two numbers of ``window_hu`` [HU]. Pictures of one series follow each other from
foot to head; of a series without a slice that was kept there is none.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.datasets.grid import resample_to_grid
from ctmar.store.atomic import atomic_path
from ctmar.store.slices import SliceFile, open_slices
from ctmar.units import attenuation_to_hu

_SIDE = 128
MOST_PER_SERIES = 3
WINDOW_HU = (-175.0, 275.0)  # that of the report's pictures


def write_thumbnails(path: Path | str, slices: Path | str) -> None:
    """Write pictures of at most three slices of every series, one at a time: memory does not grow with their number.

    Args:
        path: NPZ file to make.
        slices: file of slices.
    """
    with open_slices(slices) as file, atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        chosen = choose_pictures(_series_of_slices(file))
        pictures = (thumbnail(file.read_slice(index).image) for index in chosen)
        names = np.array([_series_of_slices(file)[index] for index in chosen])
        _write_array(archive, "series", names.dtype, names.shape, iter([names]))
        positions = np.array([file.position_mm[index] for index in chosen], dtype=np.float64)
        _write_array(archive, "position", positions.dtype, positions.shape, iter([positions]))
        _write_array(archive, "image", np.dtype(np.uint8), (len(chosen), _SIDE, _SIDE), pictures)
        window = np.array(WINDOW_HU)
        _write_array(archive, "window_hu", window.dtype, window.shape, iter([window]))


def _series_of_slices(file: SliceFile) -> list[str]:
    """The name ``patient/series`` of each slice."""
    return [f"{patient}/{series}" for patient, series in zip(file.patient, file.series, strict=True)]


def choose_pictures(series: list[str]) -> list[int]:
    """Slices to show: the middles of three equal parts of each series, or all slices where there are fewer.

    Examples:
        >>> choose_pictures(["a"] * 9 + ["b"])
        [1, 4, 7, 9]
    """
    indices: dict[str, list[int]] = {}
    for index, name in enumerate(series):
        indices.setdefault(name, []).append(index)
    chosen = []
    for own in indices.values():
        n_parts = min(MOST_PER_SERIES, len(own))
        chosen += [own[(2 * part + 1) * len(own) // (2 * n_parts)] for part in range(n_parts)]
    return chosen


def thumbnail(image_per_cm: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Picture (128, 128) of a slice, grey values of the window.

    Args:
        image_per_cm: attenuation (size, size) [1/cm].
    """
    small_hu, _ = resample_to_grid(attenuation_to_hu(image_per_cm), 1, 1, _SIDE, None)
    low, high = WINDOW_HU
    return np.rint(255 * np.clip((small_hu - low) / (high - low), 0, 1)).astype(np.uint8)


def _write_array(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...], parts: Iterator[NDArray]
) -> None:
    """One member of an NPZ file, written part by part; :class:`zipfile.ZipInfo` has a fixed time."""
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = zipfile.ZIP_DEFLATED
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(member, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_2_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part).tobytes())
