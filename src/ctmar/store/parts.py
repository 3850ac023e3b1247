"""HDF5 files made of parts: virtual datasets whose numbers lie in other files beside them.

HDF5 itself reads zeros where a part is missing, and follows any path a file names. Here a file lists its parts in the
root attribute ``parts`` (JSON: file relative to its own folder, bytes, sha256), and what is not as listed is an error.
"""

import json
import resource
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import h5py

from ctmar.errors import InputError
from ctmar.store.hdf5 import attribute, hard_linked, opened_hdf5, own_dataset
from ctmar.store.new_hdf5 import write_text
from ctmar.store.provenance import sha256_of

_REMEDY = "make the parts again and join them"
OTHER_FILES = 128  # that a process has open beside the parts: libraries, logs, pipes


@dataclass(frozen=True)
class FilePart:
    """A file that holds some of the entries: its name relative to the whole's folder, its size and checksum."""

    file: str
    bytes: int
    sha256: str


def describe_part(path: Path, folder: Path) -> FilePart:
    """Describe a part of a file that is to lie in ``folder``.

    Raises:
        InputError: the part lies outside the folder, so that moving the folder would lose it.
    """
    path, folder = path.resolve(), folder.resolve()
    if not path.is_relative_to(folder):
        raise InputError(f"{path}: expected a part in the folder of the joined file {folder}, or below it")
    return FilePart(path.relative_to(folder).as_posix(), path.stat().st_size, sha256_of(path))


def write_parts(file: h5py.File, parts: list[FilePart]) -> None:
    """List the parts of an open file; their checksums make that of the file stand for its whole content."""
    write_text(file, "parts", json.dumps([asdict(part) for part in parts], sort_keys=True))


def read_parts(file: h5py.File, path: Path) -> list[FilePart]:
    """The parts that a file lists, each there and of the size it had; none in a file that holds its numbers itself.

    Sizes stand for contents here: a compressed file with other numbers hardly has the same size, and a checksum would
    read everything.

    Raises:
        InputError: the list is malformed, or a part is missing, unreadable, outside the folder or of another size.
    """
    text = attribute(file, "parts")
    try:
        parts = [FilePart(**part) for part in (json.loads(str(text)) if "parts" in file.attrs else [])]
    except (ValueError, TypeError):
        raise InputError(f"{path}: attribute 'parts': expected a list of file, bytes and sha256") from None
    for part in parts:
        _check_part(part, path, list(file))
    return parts


def whole_datasets(file: h5py.File, path: Path, parts: list[FilePart]) -> dict[str, h5py.Dataset]:
    """The datasets of a file, whose numbers lie in the file itself or in its parts.

    Raises:
        InputError: something in it is no dataset, or leads elsewhere.
    """
    names = {part.file for part in parts}
    datasets = {name: _own_or_in(file, name, names) for name in file}
    for name, dataset in datasets.items():
        if dataset is None:
            raise InputError(f"{path}: expected a dataset '{name}' of its own or in a listed part, found a link")
    return {name: dataset for name, dataset in datasets.items() if dataset is not None}


def allow_open_parts(n_parts: int, path: Path) -> None:
    """Make sure that the process may hold all parts open at once: where it may not, HDF5 reads fill values.

    Raises:
        InputError: the system's limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = n_parts + OTHER_FILES
    if n_parts and soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise InputError(
                f"{path} has {n_parts} parts, but a process may open {hard} files here: expected at least {needed}"
                " (`ulimit -n`, or fewer simulation.shards)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _check_part(part: FilePart, path: Path, names: list[str]) -> None:
    # HDF5 looks for `./0.h5` and for an absolute name in other folders than for `0.h5`
    if part.file != PurePosixPath(part.file).as_posix() or not _is_below(part.file, path.parent):
        raise InputError(f"{path}: expected parts in its own folder, found '{part.file}'")
    target = path.resolve().parent / part.file
    if not target.is_file():
        raise InputError(f"{path}: its part '{part.file}' is missing: put it back, or {_REMEDY}")
    if target.stat().st_size != part.bytes:
        raise InputError(
            f"{path}: expected {part.bytes} bytes in its part '{part.file}', found {target.stat().st_size}: {_REMEDY}"
        )
    with opened_hdf5(target) as file:
        foreign = [name for name in names if name in file and own_dataset(file, name) is None]
    if foreign:
        raise InputError(f"{target}: expected a dataset '{foreign[0]}' of its own, found a link")


def _is_below(name: str, folder: Path) -> bool:
    return not Path(name).is_absolute() and (folder / name).resolve().is_relative_to(folder.resolve())


def _own_or_in(file: h5py.File, name: str, parts: set[str]) -> h5py.Dataset | None:
    own, linked = own_dataset(file, name), hard_linked(file, name)
    if own is not None or linked is None or not linked.is_virtual:
        return own
    return linked if {source.file_name for source in linked.virtual_sources()} <= parts else None
