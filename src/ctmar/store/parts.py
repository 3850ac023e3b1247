"""HDF5 files made of parts: virtual datasets whose numbers lie in other files beside them.

HDF5 itself reads zeros where a part is missing, and follows any path a file names. Here a file lists its parts in the
root attribute ``parts`` (JSON: file relative to its own folder, bytes, sha256), and what is not as listed is an error.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py

from ctmar.errors import InputError
from ctmar.store.provenance import sha256_of

REMEDY = "make the parts again and join them"


@dataclass(frozen=True)
class Part:
    """A file that holds some of the entries: its name relative to the whole's folder, its size and checksum."""

    file: str
    bytes: int
    sha256: str


def describe_part(path: Path, folder: Path) -> Part:
    """Describe a part of a file that is to lie in ``folder``.

    Raises:
        InputError: the part lies outside the folder, so that moving the folder would lose it.
    """
    path, folder = path.resolve(), folder.resolve()
    if not path.is_relative_to(folder):
        raise InputError(f"{path}: expected a part in the folder of the joined file {folder}, or below it")
    return Part(path.relative_to(folder).as_posix(), path.stat().st_size, sha256_of(path))


def write_parts(file: h5py.File, parts: list[Part]) -> None:
    """List the parts of an open file; their checksums make that of the file stand for its whole content."""
    file.attrs["parts"] = json.dumps([asdict(part) for part in parts], sort_keys=True)


def check_fields(file: h5py.File, path: Path) -> None:
    """Check that every dataset holds its numbers itself or has them in a listed part that is still there, unchanged.

    Sizes stand for contents here: a compressed file with other numbers hardly has the same size, and a checksum would
    read everything.

    Raises:
        InputError: a part is missing or has another size, or a dataset leads elsewhere.
    """
    try:
        parts = [Part(**part) for part in json.loads(file.attrs.get("parts", "[]"))]
    except (ValueError, TypeError):
        raise InputError(f"{path}: attribute 'parts': expected a list of file, bytes and sha256") from None
    for part in parts:
        _check_part(part, path, list(file))
    names = {part.file for part in parts}
    for name in file:
        if not _is_own(file, name) and not _is_virtual(file, name, names):
            raise InputError(f"{path}: expected a dataset '{name}' of its own or in a listed part, found a link")


def _check_part(part: Part, path: Path, names: list[str]) -> None:
    target = path.parent / part.file
    if not target.resolve().is_relative_to(path.parent.resolve()):
        raise InputError(f"{path}: expected parts in its own folder, found '{part.file}'")
    if not target.is_file():
        raise InputError(f"{path}: its part '{part.file}' is missing: put it back, or {REMEDY}")
    if target.stat().st_size != part.bytes:
        raise InputError(
            f"{path}: expected {part.bytes} bytes in its part '{part.file}', found {target.stat().st_size}: {REMEDY}"
        )
    try:
        with h5py.File(target, "r") as file:
            foreign = [name for name in names if name in file and not _is_own(file, name)]
    except OSError as error:
        raise InputError(f"{target}: not a readable HDF5 file ({' '.join(str(error).split())})") from None
    if foreign:
        raise InputError(f"{target}: expected a dataset '{foreign[0]}' of its own, found a link")


def _is_own(file: h5py.File, name: str) -> bool:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        return False
    return not file[name].is_virtual and not file[name].external


def _is_virtual(file: h5py.File, name: str, parts: set[str]) -> bool:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        return False
    return file[name].is_virtual and {source.file_name for source in file[name].virtual_sources()} <= parts
