"""HDF5 files in the field names of the SynDeepLesion benchmark: one slice, or one slice with one metal mask.

``image``, ``poly_CT``, ``ma_CT``, ``LI_CT`` float32 (size, size) in 1/cm; ``poly_sinogram``, ``ma_sinogram``,
``LI_sinogram`` float32 and ``metal_trace`` uint8 (n_views, n_bins).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.hdf5 import check_size, opened_hdf5, own_dataset, read
from ctmar.store.new_hdf5 import new_hdf5, write_text


def read_field(path: Path | str, name: str) -> NDArray[Any]:
    """Read one field whole.

    Raises:
        InputError: the file is missing or no readable HDF5 file, or the field is missing, damaged or in another file.
    """
    with opened_hdf5(path) as file:
        dataset = own_dataset(file, name)
        if dataset is None:
            raise InputError(f"{path}: expected a field '{name}' of its own, found {', '.join(file) or 'none'}")
        check_size(dataset, path)
        return read(dataset, path)


def numeric_fields(path: Path | str) -> dict[str, tuple[int, ...]]:
    """Shapes of the fields of a file that hold numbers of its own, by name; no number is read.

    Raises:
        InputError: the file is missing or no readable HDF5 file.
    """
    with opened_hdf5(path) as file:
        fields = {name: own_dataset(file, name) for name in file}
        return {name: field.shape for name, field in fields.items() if field and field.dtype.kind in "biuf"}


def write_fields(path: Path | str, fields: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any]) -> None:
    """Write fields under their names, images in 1/cm, with ``provenance`` as sorted JSON in the root attributes."""
    with new_hdf5(path) as file:
        write_text(file, "provenance", json.dumps(provenance, sort_keys=True))
        for name, array in fields.items():
            kind = np.uint8 if array.dtype.kind in "bu" else np.float32
            dataset = file.create_dataset(name, data=array, dtype=kind, compression="gzip", shuffle=True)
            if name == "image" or name.endswith("_CT"):
                write_text(dataset, "units", "1/cm")
