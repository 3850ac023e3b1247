"""A bundle on the disk: a folder or a zip archive, the same bytes for the same study."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ctmar.bundles.bundle_contents import PublishedStudy
from ctmar.bundles.crate import METADATA, Publication, crate_metadata
from ctmar.bundles.private_traces import refuse_traces
from ctmar.config import Config, validate_section
from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path, check_target

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
    return output.stat().st_size if output.is_file() else sum(map(len, entries.values()))


def checksum_list(entries: Mapping[str, bytes]) -> bytes:
    """All files as `sha256sum --check` reads them."""
    return "".join(f"{hashlib.sha256(entries[name]).hexdigest()}  {name}\n" for name in sorted(entries)).encode()


def _check_output(output: Path) -> None:
    if output.suffix == ".zip":
        check_target(output)
    elif output.exists():
        raise InputError(f"{output}: expected a folder that is not there yet, or a file NAME.zip, found one")


def _write_zip(entries: Mapping[str, bytes], output: Path) -> None:
    with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix, also where it is written on another
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def _write_folder(entries: Mapping[str, bytes], output: Path) -> None:
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        for name, content in entries.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
