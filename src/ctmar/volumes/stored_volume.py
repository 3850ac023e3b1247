"""A volume as its file stores it, whatever the format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.store.quarantine import Refused

_LARGEST_VOXELS = 2**30  # a small file can declare any shape
CHUNK_BYTES = 2**24
CONVERT_AGAIN = "convert the series again with a DICOM converter"
TOO_SHORT = Refused("fewer voxels than the header says", "copy or convert the file again")
_TOO_LONG = Refused("more voxels than the header says", "copy or convert the file again")


@dataclass(frozen=True)
class StoredVolume:
    """Header of a volume, and a way to its voxels.

    The voxel with the indices i lies at ``affine`` · (i, 1) [mm], x to the patient's right, y to the front and z to the
    head (RAS, as nibabel has it); its value is ``slope`` · stored + ``intercept``.
    """

    paths: tuple[Path, ...]  # the file that was asked for, then those it refers to
    shape: tuple[int, ...]
    dtype: np.dtype
    affine: NDArray[np.float64]
    read_voxels: Callable[[], NDArray]
    slope: float = 1.0
    intercept: float = 0.0

    def read(self) -> NDArray:
        """The voxels as they are stored, in the order of ``shape``.

        Raises:
            Refused: damaged.
        """
        try:
            return self.read_voxels()
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"voxels cannot be read ({type(error).__name__})", "copy or convert the file again") from None


def reader_of(path: Path, readers: Mapping[str, str]) -> str | None:
    """Module of this package that reads a file, by the suffix of its name; None: the file is no volume.

    Examples:
        >>> readers = {".nii": "nifti", ".nii.gz": "nifti"}
        >>> reader_of(Path("CT.NII.gz"), readers), reader_of(Path("ct.dcm"), readers)
        ('nifti', None)
    """
    return next((reader for suffix, reader in readers.items() if path.name.lower().endswith(suffix)), None)


def open_stored(path: Path, reader: str) -> StoredVolume:
    """Read the header of a volume with the function ``open_stored`` of a module of this package; no voxel is read.

    Raises:
        Refused: the file is of another format, its orientation is unknown, or it holds no real numbers or too many.
    """
    stored: StoredVolume = import_module(f"ctmar.volumes.{reader}").open_stored(path)
    if min(stored.shape, default=0) < 1 or np.prod(stored.shape, dtype=float) > _LARGEST_VOXELS:
        sizes = " × ".join(map(str, stored.shape))
        raise Refused(f"{sizes} voxels is more than {_LARGEST_VOXELS} or none", CONVERT_AGAIN)
    if stored.dtype.kind not in "biuf":
        raise Refused("voxels are not real numbers", CONVERT_AGAIN)
    if not np.isfinite(stored.affine[:3, :3]).all() or min(np.linalg.norm(stored.affine[:3, :3], axis=0)) <= 0:
        raise Refused("the affine is not a transformation", CONVERT_AGAIN)
    return stored


def read_exactly(read: Callable[[int], bytes], n_skipped: int, n_bytes: int, *, to_the_end: bool) -> bytearray:
    """Bytes after those to skip; memory grows with what is there, not with what a header claims.

    Args:
        read: a file's method that gives the next bytes, as many as it is asked for or all that are left.
        n_skipped: bytes that come before.
        n_bytes: bytes wanted.
        to_the_end: whether to read on, for 16 MiB at most: a compressed stream is checked only where it ends.

    Raises:
        Refused: there are fewer, or many more.
    """
    while n_skipped > 0:
        skipped = len(read(min(n_skipped, CHUNK_BYTES)))
        if not skipped:
            raise TOO_SHORT
        n_skipped -= skipped
    found = bytearray()
    while len(found) < n_bytes:
        chunk = read(min(n_bytes - len(found), CHUNK_BYTES))
        if not chunk:
            raise TOO_SHORT
        found += chunk
    if to_the_end and len(read(CHUNK_BYTES)) == CHUNK_BYTES:
        raise _TOO_LONG
    return found
