"""The one place that opens HDF5 files for reading.

An HDF5 file can lead anywhere: soft and external links, external storage and virtual datasets name other files, object
references name other objects, and HDF5 answers with fill values where such a file is gone. A small file can also
declare any shape, since chunks that were never written take no room. Whatever is read here lies in the file itself or,
for files joined from parts (:mod:`ctmar.store.parts`), in a listed part.
"""

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError

_LARGEST_BYTES = 2**33  # that one dataset may declare
_LARGEST_CHUNK_BYTES = 2**28  # that are unpacked to read one number
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EBADFD, errno.EAGAIN)  # of file systems without; of another process
DAMAGE = (OSError, RuntimeError, ValueError, TypeError, LookupError, OverflowError, AttributeError)
REDIRECTIONS = ("HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX")  # lead datasets to another folder before their own


def open_hdf5(path: Path | str, what: str = "file") -> h5py.File:
    """Open a file for reading; nothing in it is believed yet. ``what`` it is, is told where there is none.

    Raises:
        InputError: the file is missing, may not be read, is locked, is not HDF5 or is damaged, too many files are
            open, or the environment leads its datasets elsewhere.
    """
    path = Path(path)
    for name in REDIRECTIONS:
        if os.environ.get(name):
            raise InputError(f"{path}: expected the variable {name} unset, found '{os.environ[name]}': unset it")
    if not path.is_file():
        raise InputError(f"{path}: {what} not found")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from None
    except DAMAGE as error:
        raise InputError(f"{path}: not a readable HDF5 file ({type(error).__name__})") from None


def _reason(error: OSError) -> str:
    """Why a file did not open, in one line; h5py puts the number of the system's error into its text."""
    text = " ".join(str(error).split())
    found = re.search(r"errno = (\d+)", text)
    number = error.errno or (int(found[1]) if found else 0)
    if isinstance(error, PermissionError) or number == errno.EACCES:
        return "this user may not read the file: give read permission"
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many files are open: raise the limit with `ulimit -n`"
    if number in _NO_LOCKS or "unable to lock" in text.lower():
        return (
            "the file cannot be locked: another process may be writing it, or the file system has no locks; in that"
            " case set HDF5_USE_FILE_LOCKING=FALSE"
        )
    return f"not a readable HDF5 file ({text})"


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """The dataset of that name if its numbers lie in this very file, else None.

    Neither links nor virtual or external storage are followed, and object references are no numbers.
    """
    dataset = hard_linked(file, name)
    if dataset is None or dataset.is_virtual or dataset.external or h5py.check_ref_dtype(dataset.dtype):
        return None
    return dataset


def hard_linked(file: h5py.File, name: str) -> h5py.Dataset | None:
    """The dataset of that name if every step of the way to it is a hard link, else None."""
    steps = name.split("/")
    for depth in range(1, len(steps) + 1):
        if not isinstance(file.get("/".join(steps[:depth]), getlink=True), h5py.HardLink):
            return None
    found = file[name]
    return found if isinstance(found, h5py.Dataset) else None


def check_size(dataset: h5py.Dataset, path: Path | str) -> None:
    """Refuse a dataset that would take more memory than any of ours.

    Raises:
        InputError: the dataset declares too many bytes, or one of its chunks does.
    """
    if dataset.nbytes > _LARGEST_BYTES:
        raise InputError(
            f"{path}: {dataset.name}: expected at most {_LARGEST_BYTES} bytes, found shape {dataset.shape}"
        )
    chunk = int(np.prod(dataset.chunks or (0,), dtype=object)) * dataset.dtype.itemsize
    if chunk > _LARGEST_CHUNK_BYTES:
        raise InputError(
            f"{path}: {dataset.name}: expected chunks of at most {_LARGEST_CHUNK_BYTES} bytes, found {chunk}"
        )


def read(dataset: h5py.Dataset, path: Path | str, where: int | tuple[int | slice, ...] = ()) -> NDArray[Any]:
    """Read the numbers of a dataset: all, or those at ``where``, an entry and a window in it.

    Raises:
        InputError: they are damaged.
    """
    entry = where if isinstance(where, int) else where[0] if where else None
    with damage_told(f"{path}: {dataset.name}" if entry is None else f"{path}: {dataset.name}, entry {entry}"):
        return dataset[where]


def read_texts(dataset: h5py.Dataset, path: Path | str) -> list[str]:
    """Read a column of UTF-8 texts.

    Raises:
        InputError: they are damaged, or not UTF-8.
    """
    with damage_told(f"{path}: {dataset.name}"):
        return [str(text) for text in dataset.asstr()[()]]


def check_format(file: h5py.File, path: Path | str, name: str, version: int, remedy: str) -> None:
    """Check the root attributes ``format`` and ``format_version``.

    Raises:
        InputError: the file is of another format or version.
    """
    found = (attribute(file, "format"), attribute(file, "format_version"))
    if found != (name, version):
        raise InputError(f"{path}: expected format {(name, version)}, found {found}; {remedy}")


def attribute(place: h5py.HLObject, name: str) -> str | int | None:
    """An attribute that is a text of fixed length or an integer; None for any other, and where there is none."""
    try:
        # what lies in a heap is not read: HDF5 reads a damaged heap for ever
        if name not in place.attrs or place.attrs.get_id(name).dtype.hasobject:
            return None
        value = place.attrs[name]
        return value.decode() if isinstance(value, bytes) else int(value) if isinstance(value, np.integer) else None
    except (OSError, UnicodeDecodeError):
        return None


def json_attribute(file: h5py.File, path: Path | str, name: str) -> dict[str, Any]:
    """A root attribute that holds a JSON object.

    Raises:
        InputError: it is missing, or holds something else.
    """
    text = attribute(file, name)
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{path}: attribute '{name}': expected a JSON object, found {str(text)[:60]!r}")
    return value


@contextmanager
def damage_told(path: Path | str) -> Iterator[None]:
    """Turn what h5py raises for a damaged file into one line: that depends on the byte that is wrong.

    Raises:
        InputError: the block met damage.
    """
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.filename not in (None, str(path)):
            raise  # of another file that the block writes or reads
        raise InputError(f"{path}: damaged ({' '.join(str(error).split())[:200] or type(error).__name__})") from None


@contextmanager
def opened_hdf5(path: Path | str, what: str = "file") -> Iterator[h5py.File]:
    """`open_hdf5` as a block; damage that shows only while reading ends in the same one line.

    Raises:
        InputError: as for `open_hdf5`.
    """
    with open_hdf5(path, what) as file, damage_told(path):
        yield file
