"""Files of simulated pairs (clean slice, metal-corrupted slice), written once, read at random in training.

Layout, format version 1 (lengths of the first axis: slices or pairs; `size` is the side of the working grid):

* per slice: ``/image``, ``/poly_CT`` float32 (n_slices, size, size) in 1/cm; ``/patient``, ``/slice_id``
  UTF-8; ``/pixel_mm`` float64; with sinograms ``/poly_sinogram`` float32 (n_slices, n_views, n_bins);
* per pair: ``/ma_CT``, ``/LI_CT`` and, where it was computed, ``/NMAR_CT`` float32 (n_pairs, size, size) in 1/cm;
  ``/mask`` uint8 (n_pairs, size, size); ``/slice_index``, ``/mask_index``, ``/metal_pixels`` int64 and ``/metal``
  UTF-8, the material (n_pairs); with sinograms ``/ma_sinogram``, ``/LI_sinogram`` float32 and ``/metal_trace`` uint8
  (n_pairs, n_views, n_bins);
* root attributes ``format`` = "ctmar-pairs", ``format_version`` = 1, ``subset``, ``provenance`` (JSON), ``shard`` and
  ``n_shards`` (0 and 1 unless the file is one of several), and ``parts`` in a file joined from shards
  (:mod:`ctmar.store.join`), where datasets of more than one dimension are virtual.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.hdf5 import (
    attribute,
    check_format,
    damage_told,
    json_attribute,
    open_hdf5,
    opened_hdf5,
    read,
    read_texts,
)
from ctmar.store.layout import Field, check_layout
from ctmar.store.parts import allow_open_parts, read_parts, whole_datasets

FORMAT = "ctmar-pairs"
FORMAT_VERSION = 1
_SLICE_ARRAYS = ("image", "poly_CT", "poly_sinogram")
OF_SLICE = ("patient", "slice_id", "pixel_mm")
OF_PAIR = ("slice_index", "mask_index", "metal_pixels", "metal")
TEXT = ("patient", "slice_id", "metal")
_IMAGE, _SINOGRAM = ("side", "side"), ("views", "bins")
LAYOUT = {
    **{name: Field("text", ("slices",)) for name in ("patient", "slice_id")},
    "pixel_mm": Field("f8", ("slices",)),
    **{name: Field("i8", ("pairs",)) for name in ("slice_index", "mask_index", "metal_pixels")},
    "metal": Field("text", ("pairs",)),
    **{name: Field("f4", ("slices", *_IMAGE)) for name in ("image", "poly_CT")},
    **{name: Field("f4", ("pairs", *_IMAGE)) for name in ("ma_CT", "LI_CT")},
    "NMAR_CT": Field("f4", ("pairs", *_IMAGE), optional=True),
    "mask": Field("u1", ("pairs", *_IMAGE)),
    "poly_sinogram": Field("f4", ("slices", *_SINOGRAM), optional=True),
    **{name: Field("f4", ("pairs", *_SINOGRAM), optional=True) for name in ("ma_sinogram", "LI_sinogram")},
    "metal_trace": Field("u1", ("pairs", *_SINOGRAM), optional=True),
}


@dataclass(frozen=True)
class SliceRecord:
    """A clean slice as it is written: images (size, size) in 1/cm, sinogram (n_views, n_bins) or None."""

    image: NDArray[np.float32]
    poly_CT: NDArray[np.float32]  # noqa: N815 (name in the file)
    patient: str
    slice_id: str
    pixel_mm: float
    poly_sinogram: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class PairRecord:
    """A corrupted copy of slice ``slice_index`` as it is written; metal is where ``mask`` is 1."""

    ma_CT: NDArray[np.float32]  # noqa: N815 (name in the file)
    LI_CT: NDArray[np.float32]
    mask: NDArray[np.uint8]
    slice_index: int
    mask_index: int
    metal: str
    NMAR_CT: NDArray[np.float32] | None = None
    ma_sinogram: NDArray[np.float32] | None = None
    LI_sinogram: NDArray[np.float32] | None = None
    metal_trace: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Pair:
    """A pair as it is read: images in 1/cm (whole slices or patches), metal is where ``mask`` is 1.

    ``NMAR_CT`` is None unless it was asked for.
    """

    image: NDArray[np.float32]
    ma_CT: NDArray[np.float32]  # noqa: N815 (name in the file)
    LI_CT: NDArray[np.float32]
    mask: NDArray[np.uint8]
    patient: str
    slice_id: str
    slice_index: int
    mask_index: int
    metal_pixels: int
    pixel_mm: float
    metal: str
    NMAR_CT: NDArray[np.float32] | None = None


def bytes_per_entry(path: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes on disk of the mean slice and of the mean pair of a file, by the name of the dataset."""
    with opened_hdf5(path) as file:
        sizes = {name: dataset.id.get_storage_size() // len(dataset) for name, dataset in file.items() if len(dataset)}
    of_slice = {name: sizes.pop(name) for name in _SLICE_ARRAYS if name in sizes}
    return of_slice, {name: size for name, size in sizes.items() if name not in (*OF_SLICE, *OF_PAIR)}


class PairFile:
    """Read pairs, or patches of pairs, at random from a pair file.

    The small columns are read at once: ``patient`` and ``slice_id`` (lists, per slice), ``pixel_mm`` (per
    slice), ``slice_index``, ``mask_index``, ``metal_pixels`` and ``metal`` (per pair), ``subset``, ``provenance``,
    ``shard``, ``n_shards``, ``image_size`` (0 in a shard without a slice) and ``has_nmar``. Images are read on demand.
    Each process opens its own handle, so an object made before a fork, or sent to a spawned process, reads safely
    there.

    Raises:
        InputError: the file is missing, is no HDF5 file, is not a pair file of this version, does not have its layout,
            leads to another file, or lacks one of its parts.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._datasets: dict[str, h5py.Dataset] = {}
        self._process: int | None = None
        file = self._handle()
        with damage_told(self.path):
            self._read_columns(file)

    def _read_columns(self, file: h5py.File) -> None:
        self.subset = str(attribute(file, "subset"))
        self.provenance: dict[str, Any] = json_attribute(file, self.path, "provenance")
        self.patient, self.slice_id, self.metal = (read_texts(file[name], self.path) for name in TEXT)
        self.pixel_mm: NDArray[np.float64] = read(file["pixel_mm"], self.path)
        self.slice_index: NDArray[np.int64] = read(file["slice_index"], self.path)
        self.mask_index: NDArray[np.int64] = read(file["mask_index"], self.path)
        self.metal_pixels: NDArray[np.int64] = read(file["metal_pixels"], self.path)
        self.shard, self.n_shards = (int(attribute(file, name) or 0) for name in ("shard", "n_shards"))
        self.image_size: int = file["image"].shape[-1] if "image" in file else 0
        self.has_nmar: bool = "NMAR_CT" in file
        if not ((self.slice_index >= 0) & (self.slice_index < self.n_slices)).all():
            raise InputError(f"{self.path}: slice_index: expected numbers from 0 to {self.n_slices - 1}, found others")

    @property
    def n_slices(self) -> int:
        """Number of clean slices."""
        return len(self.patient)

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.slice_index)

    def read_pair(self, index: int, nmar: bool = False) -> Pair:
        """Read pair ``index`` with whole images of shape (size, size), ``NMAR_CT`` too if ``nmar``."""
        return self.read_patch(index, 0, 0, self.image_size, nmar)

    def read_patch(self, index: int, row: int, column: int, size: int, nmar: bool = False) -> Pair:
        """Read the patch of pair ``index`` that starts at (``row``, ``column``), decoding its chunks only.

        Raises:
            InputError: there is no such pair, the patch leaves the image, or ``nmar`` is asked of a file without it.
        """
        if nmar and not self.has_nmar:
            raise InputError(f"{self.path}: expected NMAR_CT, found none: simulation.nmar leaves '{self.subset}' out")
        if not 0 <= index < self.n_pairs:
            raise InputError(f"{self.path}: pair {index}: expected an index from 0 to {self.n_pairs - 1}")
        if size < 1 or min(row, column) < 0 or max(row, column) + size > self.image_size:
            raise InputError(
                f"{self.path}: a patch of {size} pixels at row {row}, column {column} leaves the image"
                f" of {self.image_size} × {self.image_size} pixels"
            )
        window = (slice(row, row + size), slice(column, column + size))
        k = int(self.slice_index[index])
        return Pair(
            image=self._read("image", k, window),
            ma_CT=self._read("ma_CT", index, window),
            LI_CT=self._read("LI_CT", index, window),
            mask=self._read("mask", index, window),
            patient=self.patient[k],
            slice_id=self.slice_id[k],
            slice_index=k,
            mask_index=int(self.mask_index[index]),
            metal_pixels=int(self.metal_pixels[index]),
            pixel_mm=float(self.pixel_mm[k]),
            metal=self.metal[index],
            NMAR_CT=self._read("NMAR_CT", index, window) if nmar else None,
        )

    def close(self) -> None:
        """Close this process's handle; the next read opens it again."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file, self._datasets = None, {}

    def __enter__(self) -> "PairFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_process": None, "_datasets": {}}

    def _read(self, name: str, entry: int, window: tuple[slice, slice]) -> NDArray[Any]:
        file = self._handle()
        if name not in self._datasets:
            # kept open: HDF5 would otherwise open the parts of a virtual dataset anew for every patch
            with damage_told(self.path):
                self._datasets[name] = file[name]
        return read(self._datasets[name], self.path, (entry, *window))

    def _handle(self) -> h5py.File:
        # a handle inherited through fork shares its file position and cache with the parent: leave it alone
        if self._file is None or self._process != os.getpid():
            self._file, self._process, self._datasets = _open_pair_file(self.path), os.getpid(), {}
        return self._file


def _open_pair_file(path: Path) -> h5py.File:
    file = open_hdf5(path, "pair file")
    try:
        with damage_told(path):
            check_format(file, path, FORMAT, FORMAT_VERSION, "make it again with `ctmar simulate-subset`")
            parts = read_parts(file, path)
            check_layout(whole_datasets(file, path, parts), LAYOUT, path)
            allow_open_parts(len(parts), path)
    except InputError:
        file.close()
        raise
    return file
