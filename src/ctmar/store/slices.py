"""Files of clean CT slices on the working grid.

Layout, format version 1:

* ``/image`` float32 (n_slices, size, size): linear attenuation in 1/cm (attribute ``units``); rows run from
  anterior to posterior, columns from the patient's right to left; chunks of one slice, gzip with shuffle;
* ``/masks/<name>`` uint8 (n_masks, size, size), only where the source brings metal masks: metal is 1;
* ``/patient``, ``/series``, ``/slice_id`` UTF-8 (n_slices); ``/position_mm`` (along the slice normal, towards the
  head) and ``/pixel_mm`` float64 (n_slices);
* root attributes ``format`` = "ctmar-slices", ``format_version`` = 1, ``provenance`` (JSON).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path
from ctmar.store.chunks import GZIP_LEVEL, PackedImage, pack_image

FORMAT = "ctmar-slices"
FORMAT_VERSION = 1
TEXT = ("patient", "series", "slice_id")
NUMBERS = ("position_mm", "pixel_mm")


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

    def __init__(self, file: h5py.File, image_size: int) -> None:
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

    def write_labels(self) -> None:
        """Write the columns that wait in memory, because HDF5 takes long for one number; called once at the end."""
        for name, values in self._labels.items():
            kind: Any = h5py.string_dtype() if name in TEXT else np.float64
            column = self._file.create_dataset(name, shape=(len(values),), dtype=kind, data=values or None)
            if name in NUMBERS:
                column.attrs["units"] = "mm"

    def write_masks(self, name: str, masks: NDArray[np.uint8]) -> None:
        """Write metal masks (n_masks, size, size) that belong to the slices.

        Raises:
            ValueError: the masks have another shape than the images.
        """
        if masks.ndim != 3 or masks.shape[1:] != self._shape:
            raise ValueError(f"expected masks of shape {self._shape}, found {masks.shape[1:]}")
        chunks = (1, *self._shape)
        self._file.create_dataset(f"masks/{name}", data=masks, dtype=np.uint8, chunks=chunks, compression="gzip")


@contextmanager
def open_slice_writer(path: Path | str, image_size: int) -> Iterator[SliceWriter]:
    """Yield a writer; the file appears at ``path`` when the block ends without an error.

    Set ``writer.provenance`` to the text of :func:`ctmar.store.provenance.provenance_json` before the block ends.

    Args:
        path: HDF5 file to make.
        image_size: rows and columns of every image [pixels].
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update({"format": FORMAT, "format_version": FORMAT_VERSION})
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
        image.attrs["units"] = "1/cm"
        writer = SliceWriter(file, image_size)
        yield writer
        writer.write_labels()
        file.attrs["provenance"] = writer.provenance


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

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self.n_slices, self.image_size, _ = file["image"].shape
        self.provenance: dict[str, Any] = json.loads(file.attrs["provenance"])
        self.patient: list[str] = file["patient"].asstr()[:].tolist()
        self.series: list[str] = file["series"].asstr()[:].tolist()
        self.slice_id: list[str] = file["slice_id"].asstr()[:].tolist()
        self.position_mm: list[float] = file["position_mm"][:].tolist()
        self.pixel_mm: list[float] = file["pixel_mm"][:].tolist()

    def read_slice(self, index: int) -> Slice:
        """Slice number ``index`` (from 0).

        Raises:
            IndexError: there are fewer slices.
        """
        if not 0 <= index < self.n_slices:
            raise IndexError(f"expected a slice from 0 to {self.n_slices - 1}, found {index}")
        metadata = {name: getattr(self, name)[index] for name in (*TEXT, *NUMBERS)}
        return Slice(image=self._file["image"][index], **metadata)

    def read_masks(self) -> dict[str, NDArray[np.uint8]]:
        """Metal masks (n_masks, size, size) that the source brought along, by name; mostly none."""
        return {name: field[()] for name, field in self._file.get("masks", {}).items()}

    def __iter__(self) -> Iterator[Slice]:
        return (self.read_slice(index) for index in range(self.n_slices))


@contextmanager
def open_slices(path: Path | str) -> Iterator[SliceFile]:
    """Open a file of slices for reading.

    Raises:
        InputError: the file is missing, is not HDF5, or is not a file of slices of this version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: file of slices not found; make it with 'ctmar ingest'")
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise InputError(f"{path}: expected an HDF5 file of slices, found something else") from None
    with file:
        found = (file.attrs.get("format"), file.attrs.get("format_version"))
        if found != (FORMAT, FORMAT_VERSION):
            raise InputError(
                f"{path}: expected format '{FORMAT}' version {FORMAT_VERSION}, "
                f"found '{found[0]}' version {found[1]}; make it again with 'ctmar ingest'"
            )
        yield SliceFile(file)


def read_slices(path: Path | str) -> list[Slice]:
    """All slices of a file, in memory."""
    with open_slices(path) as slices:
        return list(slices)
