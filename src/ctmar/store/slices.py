"""Files of clean CT slices on the working grid.

Layout, format version 1:

* ``/image`` float32 (n_slices, size, size): linear attenuation in 1/cm (attribute ``units``); rows run from
  anterior to posterior, columns from the patient's right to left; chunks of one slice, gzip with shuffle;
* ``/masks/<name>`` uint8 (n_masks, size, size), only where the source brings metal masks: metal is 1;
* ``/patient``, ``/series``, ``/slice_id`` UTF-8 (n_slices); ``/position_mm`` (along the slice normal, towards the
  head) and ``/pixel_mm`` float64 (n_slices);
* root attributes ``format`` = "ctmar-slices", ``format_version`` = 1, ``provenance`` (JSON).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.chunks import GZIP_LEVEL, PackedImage, pack_image
from ctmar.store.hdf5 import check_format, json_attribute, opened_hdf5, own_dataset, read, read_texts
from ctmar.store.layout import Field, check_layout
from ctmar.store.new_hdf5 import NewFile, new_hdf5, write_text

FORMAT = "ctmar-slices"
FORMAT_VERSION = 1
TEXT = ("patient", "series", "slice_id")
NUMBERS = ("position_mm", "pixel_mm")
_MASKS = "masks"
LAYOUT = {
    **{name: Field("text", ("slices",)) for name in TEXT},
    **{name: Field("f8", ("slices",)) for name in NUMBERS},
    "image": Field("f4", ("slices", "side", "side")),
}


@dataclass(frozen=True)
class Slice:
    """One slice as it is written and read: image (size, size) in 1/cm, position and pixel in mm."""

    image: NDArray[np.float32]
    patient: str
    series: str
    slice_id: str
    position_mm: float
    pixel_mm: float


class SliceWriter:
    """Append slices to an open file; made by :func:`open_slice_writer`."""

    def __init__(self, file: NewFile, image_size: int) -> None:
        self._file = file
        self._shape = (image_size, image_size)
        self._labels: dict[str, list[Any]] = {name: [] for name in (*TEXT, *NUMBERS)}
        self.n_slices = 0
        self.provenance = "{}"

    def append(self, record: Slice) -> None:
        """Write one slice behind those already written.

        Raises:
            ValueError: the image has another shape than the file.
        """
        labels = {name: getattr(record, name) for name in (*TEXT, *NUMBERS)}
        self.append_packed(pack_image(record.image), **labels)

    def append_packed(self, image: PackedImage, **labels: str | float) -> None:
        """Write one slice whose image a worker process has packed; ``labels`` are the other fields of a slice.

        Raises:
            ValueError: the image has another shape than the file.
        """
        if image.shape != self._shape:
            raise ValueError(f"expected an image of shape {self._shape}, found {image.shape}")
        self._file["image"].resize(self.n_slices + 1, axis=0)
        self._file["image"].id.write_direct_chunk((self.n_slices, 0, 0), image.data)
        for name, values in self._labels.items():
            values.append(labels[name])
        self.n_slices += 1
        self._file.check()

    def write_labels(self) -> None:
        """Write the columns that wait in memory, because HDF5 takes long for one number; called once at the end."""
        for name, values in self._labels.items():
            if name in TEXT:
                self._file.write_texts(name, values)
            else:
                column = self._file.create_dataset(name, shape=(len(values),), dtype=np.float64, data=values or None)
                write_text(column, "units", "mm")

    def write_masks(self, name: str, masks: NDArray[np.uint8]) -> None:
        """Write metal masks (n_masks, size, size) that belong to the slices.

        Raises:
            ValueError: the masks have another shape than the images.
        """
        if masks.ndim != 3 or masks.shape[1:] != self._shape:
            raise ValueError(f"expected masks of shape {self._shape}, found {masks.shape[1:]}")
        chunks = (1, *self._shape)
        self._file.create_dataset(f"{_MASKS}/{name}", data=masks, dtype=np.uint8, chunks=chunks, compression="gzip")


@contextmanager
def open_slice_writer(path: Path | str, image_size: int) -> Iterator[SliceWriter]:
    """Yield a writer; the file appears at ``path`` when the block ends without an error.

    Set ``writer.provenance`` to the text of :func:`ctmar.store.provenance.provenance_json` before the block ends.

    Args:
        path: HDF5 file to make.
        image_size: rows and columns of every image [pixels].
    """
    with new_hdf5(path) as file:
        write_text(file, "format", FORMAT)
        file.attrs["format_version"] = FORMAT_VERSION
        image = file.create_dataset(
            "image",
            shape=(0, image_size, image_size),
            maxshape=(None, image_size, image_size),
            dtype="<f4",
            chunks=(1, image_size, image_size),
            compression="gzip",
            compression_opts=GZIP_LEVEL,
            shuffle=True,
        )
        write_text(image, "units", "1/cm")
        writer = SliceWriter(file, image_size)
        yield writer
        writer.write_labels()
        write_text(file, "provenance", writer.provenance)


def write_slices(path: Path | str, records: list[Slice], provenance: str = "{}") -> None:
    """Write a whole list of slices of one size.

    Raises:
        ValueError: no slices, or images of different shapes.
    """
    if not records:
        raise ValueError("expected at least one slice, found none")
    with open_slice_writer(path, records[0].image.shape[0]) as writer:
        writer.provenance = provenance
        for record in records:
            writer.append(record)


class SliceFile:
    """Slices read one at a time; made by :func:`open_slices`."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._file, self._path = file, path
        self.n_slices, self.image_size, _ = file["image"].shape
        self.provenance: dict[str, Any] = json_attribute(file, path, "provenance")
        self.patient, self.series, self.slice_id = (read_texts(file[name], path) for name in TEXT)
        self.position_mm, self.pixel_mm = (read(file[name], path).tolist() for name in NUMBERS)

    def read_slice(self, index: int) -> Slice:
        """Slice number ``index`` (from 0).

        Raises:
            IndexError: there are fewer slices.
        """
        if not 0 <= index < self.n_slices:
            raise IndexError(f"expected a slice from 0 to {self.n_slices - 1}, found {index}")
        metadata = {name: getattr(self, name)[index] for name in (*TEXT, *NUMBERS)}
        return Slice(image=read(self._file["image"], self._path, index), **metadata)

    def read_masks(self) -> dict[str, NDArray[np.uint8]]:
        """Metal masks (n_masks, size, size) that the source brought along, by name; mostly none."""
        return {name: read(self._file[f"masks/{name}"], self._path) for name in self._file.get("masks", ())}

    def __iter__(self) -> Iterator[Slice]:
        return (self.read_slice(index) for index in range(self.n_slices))


@contextmanager
def open_slices(path: Path | str) -> Iterator[SliceFile]:
    """Open a file of slices for reading.

    Raises:
        InputError: the file is missing, is not HDF5, or is not a file of slices of this version.
    """
    path = Path(path)
    with opened_hdf5(path, "file of slices, which `ctmar ingest` makes,") as file:
        check_format(file, path, FORMAT, FORMAT_VERSION, "make it again with `ctmar ingest`")
        check_layout(_datasets(file, path), LAYOUT | _layout_of_masks(file), path)
        yield SliceFile(file, path)


def _datasets(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """Everything in the file, which holds its numbers itself."""
    names = [name for name in file if name != _MASKS] + list(_layout_of_masks(file))
    datasets = {name: own_dataset(file, name) for name in names}
    for name, dataset in datasets.items():
        if dataset is None:
            raise InputError(f"{path}: expected a dataset '{name}' of its own, found a link or a group")
    return {name: dataset for name, dataset in datasets.items() if dataset is not None}


def _layout_of_masks(file: h5py.File) -> dict[str, Field]:
    if _MASKS not in file:
        return {}
    group = file[_MASKS] if isinstance(file.get(_MASKS, getlink=True), h5py.HardLink) else None
    names = group if isinstance(group, h5py.Group) else [""]  # what is no group of its own is refused as a dataset
    return {f"{_MASKS}/{name}".rstrip("/"): Field("u1", (f"masks of {name}", "side", "side")) for name in names}


def read_slices(path: Path | str) -> list[Slice]:
    """All slices of a file, in memory."""
    with open_slices(path) as slices:
        return list(slices)
