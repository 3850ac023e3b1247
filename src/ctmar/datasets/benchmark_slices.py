"""The SynDeepLesion benchmark in its own layout, its slices and metal masks read as they are.

The folder, or its subfolders `train` and `test`, hold `<name>_dir.txt`, a list of `<patient>_<study>_<series>/<slice>/
gt.h5` in the folder `<name>`, and `<subset>mask.npy` with the metal masks at 512 × 512 pixels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.simulation.plain_files import resize_mask
from ctmar.store.ct_source import DisplayedSlice, Geometry
from ctmar.store.quarantine import Refused
from ctmar.store.syndeeplesion import read_stored_image, read_stored_masks

PIXEL_MM = 512 / 416 * 0.3  # of the benchmark's geometry, in which every patient has the same, shrunken size
LARGEST_PER_CM = 5.0
_LIST_SUFFIX = "_dir.txt"
_MASK_SUFFIX = "mask.npy"
_LEAVES = Refused("the list names a path that leaves the folder", "none: do not trust this list")
MISSING = Refused("the list names a slice that is not there", "copy the slice, or take it from the list")


@dataclass(frozen=True)
class StoredSeries:
    """Slices of one series of the benchmark in the order of their numbers; ``patient`` is the benchmark's number."""

    patient: str
    paths: tuple[Path, ...]
    image_size: int

    @property
    def n_slices(self) -> int:
        """Slices of the series."""
        return len(self.paths)

    def identity(self, name_of: Callable[[Path], str]) -> str:
        """The benchmark's own number of the patient."""
        return f"syndeeplesion {self.patient}"

    def geometry(self) -> Geometry:
        """The geometry of the benchmark, which tells no distance of slices."""
        return Geometry("syndeeplesion", self.image_size, self.image_size, PIXEL_MM, PIXEL_MM)

    def parts(self, indices: Sequence[int]) -> list["_StoredSlice"]:
        """Each file by itself."""
        return [_StoredSlice((self.paths[index],), (index,), self.image_size) for index in indices]


@dataclass(frozen=True)
class _StoredSlice:
    """One file `gt.h5`."""

    paths: tuple[Path, ...]
    indices: tuple[int, ...]
    image_size: int
    shares_file: bool = False
    fragile: bool = False

    def read(self) -> Iterator[DisplayedSlice]:
        """The slice as it is stored, on the working grid already.

        Raises:
            Refused: damaged, of another size, or no attenuation of tissue.
        """
        image = read_slice(self.paths[0], self.image_size)
        yield DisplayedSlice(image, PIXEL_MM, PIXEL_MM, position_mm=math.nan, final=True)


def find_series(folder: Path, image_size: int) -> tuple[list[StoredSeries], list[tuple[Path, Refused]]]:
    """All series that the lists of a folder name, and the entries that name nothing.

    Raises:
        InputError: there is no list.
    """
    lists = [path for place in (folder, folder / "train", folder / "test") for path in _matching(place, _LIST_SUFFIX)]
    if not lists:
        raise InputError(f"{folder}: expected a list such as train_640geo{_LIST_SUFFIX} here or in train/, found none")
    by_series: dict[Path, set[Path]] = {}
    refused = []
    for path, refusal in (entry for listing in lists for entry in _entries(listing, folder)):
        if refusal is not None:
            refused.append((path, refusal))
        else:
            by_series.setdefault(path.parent.parent, set()).add(path)
    series = [
        StoredSeries(place.name.partition("_")[0], tuple(sorted(by_series[place])), image_size)
        for place in sorted(by_series)
    ]
    return series, refused


def _matching(place: Path, suffix: str) -> list[Path]:
    return sorted(path for path in place.glob(f"*{suffix}") if path.is_file())


def _entries(listing: Path, folder: Path) -> Iterator[tuple[Path, Refused | None]]:
    root = listing.parent / listing.name.removesuffix(_LIST_SUFFIX)
    for line in filter(None, map(str.strip, listing.read_text(encoding="utf-8", errors="replace").splitlines())):
        relative = PurePosixPath(line)
        inside = not relative.is_absolute() and ".." not in relative.parts and len(relative.parts) == 3
        path = root / relative if inside else listing
        if not inside or not path.resolve().is_relative_to(folder.resolve()):
            yield path, _LEAVES
        else:
            yield path, None if path.is_file() else MISSING


def part_of_benchmark(paths: Sequence[Path]) -> str:
    """The part of the benchmark that lists a series, named like its masks: `train` or `test`.

    Examples:
        >>> part_of_benchmark([Path("a/train_640geo/1_1_1/2/gt.h5")])
        'train'
    """
    return paths[0].parents[2].name.partition("_")[0]


def read_slice(path: Path, image_size: int) -> NDArray[np.float32]:
    """Attenuation of a slice [1/cm], unchanged.

    Raises:
        Refused: damaged, of another size, or no attenuation of tissue.
    """
    image = read_stored_image(path, image_size)
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > LARGEST_PER_CM:
        raise Refused(
            f"values that are no attenuation from 0 to {LARGEST_PER_CM:g} 1/cm", "copy the file from the benchmark"
        )
    return image


def read_masks(folder: Path, image_size: int) -> dict[str, NDArray[np.uint8]]:
    """Metal masks of the benchmark on the grid of its images, by the name of their file without `mask.npy`.

    Args:
        folder: the benchmark's folder.
        image_size: rows and columns of the images [pixels].

    Returns:
        Masks (n_masks, image_size, image_size), metal 1; the benchmark names them `train` and `test`.
    """
    files = [path for place in (folder, folder / "train", folder / "test") for path in _matching(place, _MASK_SUFFIX)]
    return {
        path.name.removesuffix(_MASK_SUFFIX): np.stack(
            [resize_mask(mask, image_size) if len(mask) != image_size else mask for mask in read_stored_masks(path)]
        )
        for path in files
    }
