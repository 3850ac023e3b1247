"""A bundle on the disk: a folder or a zip archive, the same bytes for the same study."""

import hashlib
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from ctmar.bundles.bundle_contents import Content, Entries, PublishedStudy
from ctmar.bundles.crate import METADATA, Publication, crate_metadata
from ctmar.bundles.private_traces import refuse_traces
from ctmar.config import Config, validate_section
from ctmar.errors import InputError
from ctmar.store.atomic import atomic_folder, atomic_path, check_target
from ctmar.store.provenance import sha256_of

CHECKSUMS = "checksums.sha256"
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive can hold
_PACKED = (".pt", ".npz", ".png", ".webp")


def write_bundle(study: PublishedStudy, output: Path, publication: Publication, allowed: Iterable[str] = ()) -> int:
    """Write the bundle of a study, whole or not at all, and return its size [bytes].

    Args:
        study: what is published.
        output: a file ``.zip``, or a folder that is not there yet.
        publication: authors and licence.
        allowed: names that may stand in it, although the user or the host is called so.

    Raises:
        InputError: the study is not finished or has changed, something private is in a file, or ``output`` cannot be.
    """
    _check_output(output)
    record = study.provenance()
    entries = study.entries()
    entries[METADATA] = crate_metadata(entries, record, publication)
    entries[CHECKSUMS] = checksum_list(entries)
    config = validate_section(Config, record.configuration.published, "provenance.json")
    own_paths = [path for path in (study.results, study.checkout.folder) if path is not None]
    refuse_traces(entries, map(Path.absolute, own_paths), allowed, not config.source.is_public)
    if output.suffix == ".zip":
        _write_zip(entries, output)
    else:
        _write_folder(entries, output)
    return output.stat().st_size if output.is_file() else sum(map(_size, entries.values()))


def checksum_list(entries: Entries) -> bytes:
    """All files as `sha256sum --check` reads them."""
    return "".join(f"{_sha256(content)}  {name}\n" for name, content in sorted(entries.items())).encode()


def _sha256(content: Content) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else sha256_of(content)


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _copy(content: Content, file: IO[bytes]) -> None:
    if isinstance(content, bytes):
        file.write(content)
        return
    with content.open("rb") as source:
        shutil.copyfileobj(source, file)


def _check_output(output: Path) -> None:
    if output.suffix == ".zip":
        check_target(output)
    elif output.exists():
        raise InputError(f"{output}: expected a folder that is not there yet, or a file NAME.zip, found one")


def _write_zip(entries: Entries, output: Path) -> None:
    with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix, also where it is written on another
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=_size(content) > 2**31 - 1) as file:
                _copy(content, file)


def _write_folder(entries: Entries, output: Path) -> None:
    with atomic_folder(output) as folder:
        for name, content in entries.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                _copy(content, file)
