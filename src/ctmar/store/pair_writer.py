"""Write files of simulated pairs; :mod:`ctmar.store.pairs` documents their layout and reads them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.new_hdf5 import NewFile, new_hdf5, write_text
from ctmar.store.pairs import FORMAT, FORMAT_VERSION, OF_PAIR, OF_SLICE, TEXT, PairRecord, SliceRecord

_LARGEST_CHUNK = 128  # a 64 × 64 training patch then touches at most four chunks of a 416 × 416 image


class PairWriter:
    """Append slices and then their pairs to an open file; made by :func:`open_pair_writer`."""

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self._metadata: dict[str, list[Any]] = {name: [] for name in (*OF_SLICE, *OF_PAIR)}

    def write_slice(self, record: SliceRecord) -> int:
        """Append a slice and return its index, the ``slice_index`` of its pairs."""
        for name in OF_SLICE:
            self._metadata[name].append(getattr(record, name))
        index = len(self._metadata["patient"]) - 1
        self._append_arrays(record, index)
        return index

    def write_pair(self, record: PairRecord) -> int:
        """Append a pair and return its index.

        Raises:
            InputError: the slice of the pair has not been written.
        """
        n_slices = len(self._metadata["patient"])
        if not 0 <= record.slice_index < n_slices:
            raise InputError(f"pair of slice {record.slice_index}: expected a slice index below {n_slices}")
        for name in ("slice_index", "mask_index", "metal"):
            self._metadata[name].append(getattr(record, name))
        self._metadata["metal_pixels"].append(int(record.mask.sum()))
        index = len(self._metadata["slice_index"]) - 1
        self._append_arrays(record, index)
        return index

    def write_metadata(self) -> None:
        """Write the columns that are small enough to wait in memory; called once at the end."""
        for name, values in self._metadata.items():
            if name in TEXT:
                self._file.write_texts(name, values)
            else:
                self._file.create_dataset(name, data=values, dtype=np.float64 if name == "pixel_mm" else np.int64)

    def _append_arrays(self, record: SliceRecord | PairRecord, index: int) -> None:
        for field in fields(record):
            array = getattr(record, field.name)
            if isinstance(array, np.ndarray):
                dataset = self._dataset(field.name, array)
                if array.shape != dataset.shape[1:] or index != len(dataset):
                    raise InputError(
                        f"{self._file.path}: {field.name} of entry {index}: expected shape"
                        f" {dataset.shape[1:]} as in every entry before, found {array.shape}"
                    )
                dataset.resize(index + 1, axis=0)
                dataset[index] = array
        self._file.check()

    def _dataset(self, name: str, array: NDArray[Any]) -> h5py.Dataset:
        if name in self._file:
            return self._file[name]
        dataset = self._file.create_dataset(
            name,
            shape=(0, *array.shape),
            maxshape=(None, *array.shape),
            dtype=np.uint8 if name in ("mask", "metal_trace") else np.float32,
            chunks=(1, *(_chunk_length(length) for length in array.shape)),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        if name.endswith("_CT") or name == "image":
            write_text(dataset, "units", "1/cm")
        return dataset


def _chunk_length(length: int) -> int:
    """Split ``length`` evenly into pieces of at most ``_LARGEST_CHUNK``."""
    return -(-length // -(-length // _LARGEST_CHUNK))


def write_header(
    file: h5py.File, subset: str, provenance: Mapping[str, Any], shard: int = 0, n_shards: int = 1
) -> None:
    """Write the root attributes; ``provenance`` as sorted JSON, so that equal contents give equal bytes."""
    file.attrs.update(format_version=FORMAT_VERSION, shard=shard, n_shards=n_shards)
    texts = {"format": FORMAT, "subset": subset, "provenance": json.dumps(provenance, sort_keys=True)}
    for name, text in texts.items():
        write_text(file, name, text)


@contextmanager
def open_pair_writer(
    path: Path | str, subset: str, provenance: Mapping[str, Any], shard: int = 0, n_shards: int = 1
) -> Iterator[PairWriter]:
    """Open a pair file for writing; it appears under ``path`` whole when the block ends without an error."""
    with new_hdf5(path) as file:
        write_header(file, subset, provenance, shard, n_shards)
        writer = PairWriter(file)
        yield writer
        writer.write_metadata()


def write_pairs(
    path: Path | str,
    slices: Iterable[SliceRecord],
    pairs: Iterable[PairRecord],
    subset: str,
    provenance: Mapping[str, Any],
) -> None:
    """Write a whole pair file from records in memory (small files; a study streams through a writer)."""
    with open_pair_writer(path, subset, provenance) as writer:
        for record in slices:
            writer.write_slice(record)
        for pair in pairs:
            writer.write_pair(pair)
