"""Files of a study that are no tables of results, read and checked: claims, sources, thumbnails, arrays of images."""

import json
import zipfile
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError

CLAIM_KEYS = ("claim", "source", "role", "test", "measured", "verdict", "precision")
VERDICTS = ("agrees", "disagrees", "not decided")
_SOURCE_KEYS = ("patient", "description", "package", "version", "licence", "citation", "sha256")
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Thumbnails:
    """Small grey pictures of the slices read: for each its series, its position in the series, and the image."""

    series: NDArray[np.str_]
    position: NDArray[np.generic]
    image: NDArray[np.uint8]

    @classmethod
    def none(cls) -> "Thumbnails":
        """No picture."""
        return cls(np.array([], np.str_), np.array([]), np.empty((0, 1, 1), np.uint8))


def read_arrays(path: Path, names: Sequence[str], optional: Collection[str] = ()) -> Arrays:
    """Read arrays of an ``.npz`` file.

    Args:
        path: the file.
        names: arrays that must be in it.
        optional: arrays that may be.

    Raises:
        InputError: the file is missing, damaged, or lacks an array.
    """
    if not path.is_file():
        raise InputError(f"{path}: file not found; the report needs it")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise InputError(f"{path}: expected array(s) {', '.join(missing)}, found {', '.join(file.files)}")
            return {name: file[name] for name in (*names, *optional) if name in file}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: expected arrays as numpy writes them, found a damaged file ({error})") from None


def read_thumbnails(path: Path) -> Thumbnails:
    """Read the thumbnails of the ingestion.

    Raises:
        InputError: the file is missing, damaged or lacks an array, or the arrays do not go together.
    """
    thumbnails = Thumbnails(**read_arrays(path, ("series", "position", "image")))
    n, image = len(thumbnails.series), thumbnails.image
    if image.dtype != np.uint8 or image.ndim != 3 or len(image) != n or len(thumbnails.position) != n:
        raise InputError(f"{path}: expected {n} grey images of bytes, found {image.dtype} of shape {image.shape}")
    return thumbnails


def read_claims(path: Path) -> list[dict[str, str]]:
    """Read the paper's claims, or what readers of the paper ask beyond them, with what was measured.

    Raises:
        InputError: the file is missing or no JSON, a claim lacks a key or has an unknown verdict.
    """
    claims = _read_records(path, CLAIM_KEYS, "claim")
    for claim in claims:
        if claim["verdict"] not in VERDICTS:
            raise InputError(f"{path}: expected verdict {' | '.join(VERDICTS)}, found {claim['verdict']!r}")
    return claims


def read_sources(path: Path, patients: set[str]) -> list[dict[str, str]]:
    """Origin, licence and citation of the patients of the study; a download may hold others.

    Raises:
        InputError: the file is missing or no JSON, or a source lacks a key.
    """
    return [source for source in _read_records(path, _SOURCE_KEYS, "source") if source["patient"] in patients]


def _read_records(path: Path, keys: Sequence[str], what: str) -> list[dict[str, str]]:
    """Read a JSON list of objects that have some keys."""
    if not path.is_file():
        raise InputError(f"{path}: file not found; the report needs it")
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also of text that is no UTF-8
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise InputError(f"{path}: expected a list of {what}s, found something else")
    for record in found:
        missing = [key for key in keys if key not in record]
        if missing:
            raise InputError(f"{path}: a {what} lacks the key(s) {', '.join(missing)}")
    return found
