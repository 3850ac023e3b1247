"""Download of a manifest of the Imaging Data Commons: every file checked, an interrupted download continued."""

import hashlib
import http.client
import json
import re
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from ctmar.datasets.acquire import SOURCES_FILE
from ctmar.datasets.idc import Entry, read_manifest
from ctmar.errors import InputError
from ctmar.long_work import Progress, no_progress
from ctmar.store.atomic import atomic_path
from ctmar.store.tables import write_rows

ENDPOINT = "https://s3.amazonaws.com"
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_CHECKSUMS_FILE = "checksums.csv"
_BUCKETS = ("idc-open-data", "idc-open-data-two", "idc-open-data-cr")  # all that idc-index-data 25 names
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LARGEST_LISTING, _LARGEST_FILE = 10**7, 10**8
_N_CONNECTIONS = 8
_PAUSES_SECONDS = (1.0, 5.0)  # between three attempts
Open = Callable[[str], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Stored:
    """One file of a bucket."""

    key: str
    n_bytes: int
    md5: str


def open_url(url: str) -> AbstractContextManager[IO[bytes]]:
    """Open an address with a time limit."""
    response: AbstractContextManager[IO[bytes]] = urllib.request.urlopen(url, timeout=60)
    return response


def download(
    manifest: Path | str,
    destination: Path | str,
    progress: Progress = no_progress,
    open_url: Open = open_url,
    pauses_seconds: tuple[float, ...] = _PAUSES_SECONDS,
) -> None:
    """Fetch every series of a manifest; files that are there already, whole and unchanged, are not fetched again.

    ``ctmar-sources.json`` (for ``ctmar ingest`` and the report: patient, licence, citation) and ``checksums.csv`` are
    written last: where they stand, all files stand.

    Args:
        manifest: CSV of :func:`ctmar.datasets.idc.make_manifest`.
        destination: folder with one folder per series.
        progress: called with (series done, series in all, text).
        open_url: how an address is opened.
        pauses_seconds: waits between attempts.

    Raises:
        InputError: the manifest is malformed, a file cannot be fetched, or what came is not what the bucket lists.
    """
    entries, destination = read_manifest(manifest), Path(destination)
    fetch = partial(_fetch, open_url=open_url, pauses_seconds=pauses_seconds)
    rows: list[dict[str, str | int]] = []
    sources = []
    for number, entry in enumerate(entries):
        stored = _list_series(entry, fetch)
        with ThreadPoolExecutor(_N_CONNECTIONS) as pool:
            list(pool.map(partial(_store, entry, destination=destination, fetch=fetch), stored))
        rows += [{"file": file.key, "n_bytes": file.n_bytes, "md5": file.md5} for file in stored]
        sources.append(_source(entry, stored))
        progress(number + 1, len(entries), "series")
    write_rows(destination / _CHECKSUMS_FILE, ("file", "n_bytes", "md5"), rows)
    with atomic_path(destination / SOURCES_FILE) as temporary:
        temporary.write_text(json.dumps(sources, indent=2) + "\n", encoding="utf-8")


def _fetch(url: str, largest: int, open_url: Open, pauses_seconds: tuple[float, ...]) -> bytes:
    for pause in (*pauses_seconds, None):
        try:
            with open_url(url) as response:
                content = response.read(largest + 1)
            break
        except (OSError, http.client.HTTPException) as error:
            if pause is None:
                raise InputError(
                    f"{url}: cannot be fetched ({type(error).__name__}); check the network and run the command again: "
                    "it continues where it stopped"
                ) from None
            time.sleep(pause)
    if len(content) > largest:
        raise InputError(f"{url}: expected at most {largest} bytes, found more")
    return content


def _list_series(entry: Entry, fetch: Callable[[str, int], bytes]) -> list[Stored]:
    if not re.fullmatch(UUID, entry.series_uuid) or entry.bucket not in _BUCKETS:
        raise InputError(f"manifest: expected a bucket and series of the Imaging Data Commons, found '{entry.bucket}'")
    stored = list(_pages(entry, fetch))
    where = f"series {entry.series_uid}"
    if len(stored) != entry.n_images:
        raise InputError(
            f"{where}: expected {entry.n_images} files, the bucket lists {len(stored)}; make the manifest again"
        )
    for file in stored:
        if not re.fullmatch(rf"{entry.series_uuid}/{UUID}\.dcm", file.key) or not re.fullmatch(
            r"[0-9a-f]{32}", file.md5
        ):
            raise InputError(f"{where}: expected files <uuid>.dcm with an MD5, the bucket lists something else")
    return stored


def _pages(entry: Entry, fetch: Callable[[str, int], bytes]) -> Iterator[Stored]:
    query = {"list-type": "2", "prefix": f"{entry.series_uuid}/"}
    while True:
        url = f"{ENDPOINT}/{entry.bucket}?{urllib.parse.urlencode(query)}"
        try:
            page = ElementTree.fromstring(fetch(url, _LARGEST_LISTING))
            for item in page.iter(f"{NAMESPACE}Contents"):
                key, size, tag = (item.findtext(f"{NAMESPACE}{name}", "") for name in ("Key", "Size", "ETag"))
                yield Stored(key, int(size), tag.strip('"'))
        except (ElementTree.ParseError, ValueError):
            raise InputError(f"{url}: expected the listing of a bucket, found something else") from None
        token = page.findtext(f"{NAMESPACE}NextContinuationToken")
        if not token:
            return
        query["continuation-token"] = token


def _store(entry: Entry, file: Stored, destination: Path, fetch: Callable[[str, int], bytes]) -> None:
    path = destination / file.key
    if path.is_file() and path.stat().st_size == file.n_bytes and _md5(path.read_bytes()) == file.md5:
        return
    if file.n_bytes > _LARGEST_FILE:
        raise InputError(f"{file.key}: expected one CT image, the bucket lists {file.n_bytes} bytes")
    url = f"{ENDPOINT}/{entry.bucket}/{file.key}"
    content = fetch(url, file.n_bytes)
    if _md5(content) != file.md5:
        raise InputError(f"{url}: expected MD5 {file.md5}, found another; run the command again")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _source(entry: Entry, stored: list[Stored]) -> dict[str, str]:
    listing = "\n".join(sorted(file.md5 for file in stored))
    return {
        "patient": entry.patient,
        "kind": "dicom",
        "path": entry.series_uuid,
        "package": f"Imaging Data Commons, {entry.collection}",
        "version": entry.index_version,
        "sha256": hashlib.sha256(listing.encode()).hexdigest(),
        "licence": entry.licence,
        "licence_file": "",
        "citation": f"doi {entry.doi}; Imaging Data Commons, doi 10.1148/rg.230180",
        "description": f"CT, {entry.body_part or 'body part not stated'}, {entry.n_images} slices",
    }
