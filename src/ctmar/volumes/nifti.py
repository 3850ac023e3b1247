"""NIfTI, read with nibabel."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from ctmar.store.quarantine import Refused
from ctmar.volumes.stored_volume import CONVERT_AGAIN, StoredVolume, read_exactly

_GZIP_SIGNATURE = b"\x1f\x8b"

_NO_NIFTI = Refused("not a NIfTI file", "none needed if it is no image; else convert the series again")


def open_stored(path: Path) -> StoredVolume:
    """Read the header of a NIfTI file.

    Raises:
        Refused: not NIfTI, without an orientation, or not in millimetres.
    """
    image = _load(path)
    header = image.header
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        raise Refused("no orientation: qform and sform codes are 0", CONVERT_AGAIN)
    if header.get_xyzt_units()[0] not in ("mm", "unknown"):
        raise Refused("the unit of length is not mm", CONVERT_AGAIN)
    return StoredVolume(
        paths=(path,),
        shape=tuple(int(n) for n in image.shape),
        dtype=header.get_data_dtype(),
        affine=image.affine,
        read_voxels=lambda: _read_voxels(path, image.dataobj),
        slope=float(image.dataobj.slope),
        intercept=float(image.dataobj.inter),
    )


def _read_voxels(path: Path, stored: Any) -> NDArray:
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP_SIGNATURE
    if not compressed:
        return np.asanyarray(stored.get_unscaled())  # mapped into memory
    # nibabel stops at the last voxel, before the checksum that follows it
    n_bytes = int(np.prod(stored.shape, dtype=object)) * stored.dtype.itemsize
    with gzip.open(path) as file:
        voxels = read_exactly(file.read, stored.offset, n_bytes, to_the_end=True)
    return np.frombuffer(voxels, stored.dtype).reshape(stored.shape, order="F")


def _load(path: Path) -> Any:
    try:
        image = nibabel.load(path)
    except Exception:
        raise _NO_NIFTI from None
    if not isinstance(image, nibabel.Nifti1Pair):
        raise _NO_NIFTI
    return image
