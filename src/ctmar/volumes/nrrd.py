"""NRRD: the header is parsed with pynrrd, the voxels are read here, in bounded memory and from this folder only.

Format: https://teem.sourceforge.net/nrrd/format.html. pynrrd's own reader inflates whatever a file holds and follows
`data file` to any path.
"""

import bz2
import gzip
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import nrrd
import numpy as np
from numpy.typing import NDArray

from ctmar.store.quarantine import Refused
from ctmar.volumes.stored_volume import CONVERT_AGAIN, TOO_SHORT, StoredVolume, read_exactly

_NO_NRRD = Refused("not a readable NRRD header", "none needed if it is no image; else save the volume again")
_NO_DATA_FILE = Refused("the data file that the header names is not there", "copy it beside its header")
_LONGEST_HEADER = _LONGEST_LINE = 2**20
_LONGEST_NUMBER = 32  # characters of a number and its blanks in text
_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_NUMPY_TYPES = {name: kind for kind, names in _TYPES.items() for name in names.split("|")}
# factors that turn the axes of a space to the patient's right, front and head
_TO_RAS = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
_OPENERS: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "gz": gzip.open, "bzip2": bz2.open, "bz2": bz2.open}
TEXT = ("ascii", "text", "txt")


def open_stored(path: Path) -> StoredVolume:
    """Read the header of a NRRD file.

    Raises:
        Refused: not NRRD, several values per voxel, without a place in the patient, in an encoding that is not read, or
            its voxels lie in several files or outside the header's folder.
    """
    header, header_bytes = _read_header(path)
    try:
        shape = tuple(int(n) for n in header["sizes"])
        dtype = _dtype(header)
        agrees = int(header["dimension"]) == len(shape)
    except (KeyError, ValueError, TypeError):
        raise _NO_NRRD from None
    if not agrees:
        raise _NO_NRRD
    if len(shape) != 3:
        raise Refused(f"{len(shape)} dimensions, 3 are needed", "split it into one volume per file")
    data, offset = (path, header_bytes) if _field(header, "data file") is None else (_data_file(header, path), 0)
    return StoredVolume(
        paths=(path,) if data == path else (path, data),
        shape=shape,
        dtype=dtype,
        affine=_affine(header),
        read_voxels=lambda: _read_voxels(data, offset, header, shape, dtype),
    )


def _read_header(path: Path) -> tuple[Mapping[str, Any], int]:
    """The fields, and the length of what they are parsed from, up to the blank line before the voxels [bytes]."""
    lines: list[bytes] = []
    try:
        with path.open("rb") as file:
            while (line := file.readline(_LONGEST_HEADER)).strip() and file.tell() < _LONGEST_HEADER:
                lines.append(line)
            n_bytes = file.tell()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the header
            header = nrrd.read_header(lines)
    except Exception:  # values are converted as they are parsed: a damaged one can raise nearly anything
        raise _NO_NRRD from None
    if n_bytes >= _LONGEST_HEADER:
        raise _NO_NRRD
    return header, n_bytes


def _field(header: Mapping[str, Any], name: str) -> Any:
    """A field whose name may be written without its blank."""
    return header.get(name, header.get(name.replace(" ", "")))


def _dtype(header: Mapping[str, Any]) -> np.dtype:
    kind = _NUMPY_TYPES[header["type"].lower()]
    if header["encoding"].lower() in TEXT or kind.endswith("1"):
        return np.dtype(kind)
    return np.dtype({"little": "<", "big": ">"}[header["endian"].lower()] + kind)


def _affine(header: Mapping[str, Any]) -> NDArray[np.float64]:
    """From voxel indices to the patient's right, front and head [mm]; without an origin the place is unknown (nan)."""
    signs = _TO_RAS.get(str(header.get("space", "")).lower())
    directions = np.asarray(header.get("space directions", np.empty(0)), dtype=np.float64)
    if signs is None or directions.shape != (3, 3):
        raise Refused("no orientation: no anatomical space with a direction for each axis", CONVERT_AGAIN)
    if any(unit != "mm" for unit in header.get("space units", [])):
        raise Refused("the unit of length is not mm", CONVERT_AGAIN)
    if np.isnan(directions).any():
        raise Refused("an axis that is no direction in space: colours, vectors or time", CONVERT_AGAIN)
    affine = np.eye(4)
    affine[:3, :3] = directions.T
    origin = np.asarray(header.get("space origin", np.full(3, np.nan)), dtype=np.float64)
    affine[:3, 3] = origin if origin.shape == (3,) else np.nan
    return np.diag([*signs, 1.0]) @ affine


def _data_file(header: Mapping[str, Any], path: Path) -> Path:
    """The file of voxels that a header names; it must lie in the header's folder."""
    name = str(_field(header, "data file"))
    if name.split()[:1] == ["LIST"] or "%" in name:
        raise Refused("voxels in several files", "save the volume again as one file")
    folder = path.parent.resolve()
    try:
        data = (path.parent / name).resolve()
        is_there = data.is_file()
    except (OSError, ValueError, RuntimeError):  # no name of a file: too long, with a null, or a circle of links
        raise _NO_DATA_FILE from None
    if not data.is_relative_to(folder):
        raise Refused("a data file that leaves the folder", "copy it beside its header, and name it there")
    if not is_there:
        raise _NO_DATA_FILE
    return path.parent / data.relative_to(folder)


def _read_voxels(
    path: Path, offset: int, header: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype
) -> NDArray[Any]:
    encoding = str(header["encoding"]).lower()
    n_voxels = int(np.prod(shape, dtype=object))
    with path.open("rb") as file:
        file.seek(offset)
        for _ in range(int(_field(header, "line skip") or 0)):
            if not file.readline(_LONGEST_LINE):
                raise TOO_SHORT
        n_skipped = int(_field(header, "byte skip") or 0)
        if encoding in TEXT:
            return _numbers(file, n_skipped, n_voxels, dtype).reshape(shape, order="F")
        if encoding != "raw" and encoding not in _OPENERS:
            raise Refused("an encoding other than raw, gzip, bzip2 or text", "save the volume again with gzip")
        if n_skipped < 0:  # -1: the voxels are the end of the file
            file.seek(-n_voxels * dtype.itemsize, 2)
            n_skipped = 0
        opened = file if encoding == "raw" else _OPENERS[encoding](file)
        stored = read_exactly(opened.read, n_skipped, n_voxels * dtype.itemsize, to_the_end=encoding != "raw")
    return np.frombuffer(stored, dtype).reshape(shape, order="F")


def _numbers(file: IO[bytes], n_skipped: int, n_voxels: int, dtype: np.dtype) -> NDArray[Any]:
    """Numbers in text; a buffer is made at once for all that is asked for, hence never for more than the file holds."""
    n_bytes = min(max(n_skipped, 0) + n_voxels * _LONGEST_NUMBER, os.fstat(file.fileno()).st_size)
    text = file.read(n_bytes)[max(n_skipped, 0) :].decode("ascii")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns of what is no number
        numbers = np.fromstring(text, sep=" ", count=min(n_voxels, len(text)))
        if numbers.size < n_voxels:
            raise TOO_SHORT
        return numbers.astype(dtype)
