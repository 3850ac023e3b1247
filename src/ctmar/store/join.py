"""Join the shards of a pair file into one file that refers to them: nothing large is copied."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from ctmar.errors import InputError
from ctmar.store.atomic import check_target
from ctmar.store.hdf5 import attribute, open_hdf5
from ctmar.store.new_hdf5 import NewFile, new_hdf5, write_text
from ctmar.store.pair_writer import write_header
from ctmar.store.pairs import OF_PAIR, OF_SLICE, TEXT, PairFile
from ctmar.store.parts import allow_open_parts, describe_part, write_parts


def join_pair_files(shards: Sequence[Path], output: Path | str) -> None:
    """Write a pair file of virtual datasets over all shards of a subset; the small columns are copied.

    Entries stand in the order of the shards' numbers, which is that of a file made in one piece.

    Args:
        shards: all shards of one subset, in any order, in the folder of ``output`` or below it.
        output: pair file to write; the shards stay where they are, and move only together with it.

    Raises:
        InputError: a shard is missing, twice there, no pair file, made with other settings, or it is the output.
    """
    output = Path(output)
    if not shards:
        raise InputError(f"{output}: expected at least one shard to join, found none")
    check_target(output, *shards)
    files = _in_order([PairFile(path) for path in shards])
    parts = [describe_part(file.path, output.parent) for file in files]
    with new_hdf5(output) as joined:
        write_header(joined, files[0].subset, files[0].provenance)
        write_parts(joined, parts)
        _join_arrays(joined, files, [part.file for part in parts])
        _join_columns(joined, files)


def _in_order(files: list[PairFile]) -> list[PairFile]:
    files = sorted(files, key=lambda file: file.shard)
    first = files[0]
    for file in files:
        if (file.subset, file.provenance, file.n_shards) != (first.subset, first.provenance, first.n_shards):
            raise InputError(f"{file.path}: expected a shard made like {first.path}, found another subset or settings")
    if [file.shard for file in files] != list(range(first.n_shards)):
        found = ", ".join(str(file.shard) for file in files)
        raise InputError(f"{first.path}: expected shards 0 to {first.n_shards - 1}, each once, found {found}")
    if not any(file.n_slices for file in files):
        raise InputError(f"{first.path}: expected at least one slice in {len(files)} shards, found none")
    return files


def _join_arrays(joined: h5py.File, files: list[PairFile], names: list[str]) -> None:
    """Virtual datasets; HDF5 looks for a relative name in the folder of the joined file."""
    layouts: dict[str, list[tuple[str, h5py.Dataset]]] = {}
    allow_open_parts(2 * len(files), files[0].path)  # `files` are open as well
    opened = [open_hdf5(file.path) for file in files]
    try:
        for name, file in zip(names, opened, strict=True):
            for field, dataset in file.items():
                if dataset.ndim > 1:
                    layouts.setdefault(field, []).append((name, dataset))
        for field, sources in sorted(layouts.items()):
            _join_field(joined, field, sources, [file for file in opened if field not in file and len(file["patient"])])
    finally:
        for file in opened:
            file.close()


def _join_field(
    joined: h5py.File, field: str, sources: list[tuple[str, h5py.Dataset]], without: list[h5py.File]
) -> None:
    shape, kind = sources[0][1].shape[1:], sources[0][1].dtype
    for name, dataset in sources:
        if (dataset.shape[1:], dataset.dtype) != (shape, kind):
            raise InputError(f"{name}: {field}: expected {kind} of shape {shape}, found {dataset.shape[1:]}")
    if without:
        raise InputError(f"{without[0].filename}: expected the dataset '{field}' as in the other shards, found none")
    layout = h5py.VirtualLayout((sum(len(dataset) for _, dataset in sources), *shape), kind)
    layout.dcpl.set_obj_track_times(False)  # h5py leaves the time in here, and equal contents shall be equal bytes
    start = 0
    for name, dataset in sources:
        layout[start : start + len(dataset)] = h5py.VirtualSource(name, field, dataset.shape, dataset.dtype)
        start += len(dataset)
    virtual = joined.create_virtual_dataset(field, layout)
    units = attribute(sources[0][1], "units")
    if isinstance(units, str):
        write_text(virtual, "units", units)


def _join_columns(joined: NewFile, files: list[PairFile]) -> None:
    first_slices = np.cumsum([0, *(file.n_slices for file in files[:-1])])
    for name in (*OF_SLICE, *OF_PAIR):
        columns = [getattr(file, name) for file in files]
        if name == "slice_index":
            columns = [column + first for column, first in zip(columns, first_slices, strict=True)]
        values = [value for column in columns for value in column]
        if name in TEXT:
            joined.write_texts(name, values)
        else:
            joined.create_dataset(name, data=values, dtype=columns[0].dtype)
