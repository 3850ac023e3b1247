"""Files of the SynDeepLesion benchmark as its authors store them.

`gt.h5` holds a slice, `<k>.h5` the slice with metal mask k, and one `.npy` all metal masks.
"""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.arrays import map_npy
from ctmar.store.hdf5 import check_size, opened_hdf5, own_dataset, read
from ctmar.store.quarantine import Refused

LARGEST_SIDE = 4096  # a damaged header must not ask for gigabytes
COPY_AGAIN = "copy the file again from the benchmark"


def read_stored_image(path: Path, image_size: int) -> NDArray[np.float32]:
    """The field `image` of a `gt.h5`: attenuation (image_size, image_size) [1/cm], unchanged.

    Raises:
        Refused: the file is damaged, the field is missing or leads to another file, or the size differs.
    """
    return read_stored_fields(path, ("image",), image_size)[0]


def read_stored_fields(path: Path, names: Sequence[str], image_size: int) -> list[NDArray[np.float32]]:
    """Images of a `gt.h5` or `<k>.h5` by their names: attenuation (image_size, image_size) [1/cm], unchanged.

    Raises:
        Refused: the file is damaged, a field is missing or leads to another file, or the size differs.
    """
    try:
        with opened_hdf5(path) as file:
            return [_read_field(file, path, name, image_size) for name in names]
    except InputError as error:
        # HDF5's own words, in brackets, may hold the path
        raise Refused(str(error).removeprefix(f"{path}: ").partition(" (")[0], COPY_AGAIN) from None


def _read_field(file: h5py.File, path: Path, name: str, image_size: int) -> NDArray[np.float32]:
    field = own_dataset(file, name)
    if field is None:
        raise Refused(f"no field '{name}' of its own", COPY_AGAIN)
    if field.shape != (image_size, image_size):
        size = " × ".join(map(str, field.shape)) if field.ndim == 2 else f"{field.ndim} dimensions"
        raise Refused(f"{name} of {size}, ingest.image_size is {image_size}", "set ingest.image_size to it")
    check_size(field, path)
    return np.asarray(read(field, path), dtype=np.float32)


def read_stored_masks(path: Path) -> NDArray[np.uint8]:
    """Metal masks (n_masks, side, side) of a file that stores them as (side, side, n_masks); metal is 1.

    Raises:
        InputError: the file is no array of square binary masks.
    """
    stored = map_npy(path)
    square = stored.ndim == 3 and stored.shape[0] == stored.shape[1] <= LARGEST_SIDE
    if not square or stored.dtype.kind not in "bfiu":
        raise InputError(f"{path}: expected masks of shape (side, side, n_masks)")
    return np.ascontiguousarray(np.moveaxis(stored != 0, 2, 0), dtype=np.uint8)
