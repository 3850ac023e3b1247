"""Manifests are chosen by their filters alone; downloads are checked, can be resumed, and trust no listing."""

import contextlib
import csv
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from ctmar.cli.app import app
from ctmar.config import Ingest
from ctmar.datasets.idc import CT_IMAGE_STORAGE, make_manifest, read_manifest
from ctmar.datasets.idc_download import ENDPOINT, download
from ctmar.datasets.ingest import ingest
from ctmar.errors import InputError
from ctmar.store.tables import read_rows


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def row(number: int, patient: str, **changes) -> dict[str, object]:
    return {
        "collection_id": "colon",
        "analysis_result_id": None,
        "PatientID": patient,
        "SeriesInstanceUID": f"1.2.{number}",
        "BodyPartExamined": "ABDOMEN",
        "Modality": "CT",
        "SOPClassUID": CT_IMAGE_STORAGE,
        "instanceCount": 20 + number,
        "license_short_name": "CC BY 4.0",
        "aws_bucket": "idc-open-data",
        "crdc_series_uuid": uuid(number),
        "series_size_MB": 1.5 * number,
        "source_DOI": "10.1/2",
        **changes,
    }


ROWS = [
    *(row(number, f"colon-{number % 6}") for number in range(12)),
    *(row(20 + number, f"lung-{number}", collection_id="lung", BodyPartExamined="CHEST") for number in range(4)),
    row(30, "no-body", BodyPartExamined=None),
    row(31, "paid", license_short_name="CC BY-NC 4.0"),
    row(32, "mr", Modality="MR"),
    row(33, "derived", analysis_result_id="x"),
    row(34, "enhanced", SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1"),
    row(35, "scout", instanceCount=2),
    row(36, "perfusion", instanceCount=5000),
]


@pytest.fixture
def index(tmp_path) -> Path:
    schema = pa.schema([(name, pa.string()) for name in ROWS[0] if name not in ("instanceCount", "series_size_MB")])
    schema = schema.append(pa.field("instanceCount", pa.int64())).append(pa.field("series_size_MB", pa.float64()))
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS, schema), tmp_path / "index.parquet")
    return tmp_path / "index.parquet"


def test_the_largest_series_of_each_usable_patient(index, tmp_path):
    entries = make_manifest(tmp_path / "m.csv", n_patients=11, index=index)
    # frozen: of colon-0 to colon-5 the second, larger series; all of lung; the one without a body part
    assert sorted(entry.n_images for entry in entries) == [*range(26, 32), *range(40, 44), 50]
    assert read_manifest(tmp_path / "m.csv") == entries
    text = (tmp_path / "m.csv").read_text()
    assert not any(name in text for name in ("colon-0", "lung-1", "no-body"))
    assert {(entry.licence, entry.doi, entry.index_version) for entry in entries} == {
        ("CC BY 4.0", "10.1/2", "index.parquet")
    }


def test_filters_take_what_they_name(index, tmp_path):
    lung = make_manifest(tmp_path / "m.csv", ["LUNG"], n_patients=4, index=index)
    assert {entry.collection for entry in lung} == {"lung"}
    chest = make_manifest(tmp_path / "m.csv", body_parts=["chest"], n_patients=4, index=index)
    assert chest == lung
    free = make_manifest(tmp_path / "m.csv", licences=["CC BY-NC 4.0"], n_patients=1, index=index)
    assert [entry.n_images for entry in free] == [51]
    assert len(make_manifest(tmp_path / "m.csv", licences=[], n_patients=12, index=index)) == 12


def test_more_patients_extend_the_manifest_and_a_seed_changes_it(index, tmp_path):
    few, many = (make_manifest(tmp_path / "m.csv", n_patients=n, index=index) for n in (3, 8))
    assert many[:3] == few
    first = (tmp_path / "m.csv").read_bytes()
    make_manifest(tmp_path / "m.csv", n_patients=8, index=index)
    assert (tmp_path / "m.csv").read_bytes() == first
    draws = {tuple(make_manifest(tmp_path / "m.csv", n_patients=3, seed=seed, index=index)) for seed in range(8)}
    assert len(draws) > 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"collections": ["colom"]}, r"no CT with collection 'colom'; there is: colon"),
        ({"body_parts": ["KNEE"]}, "no CT with body_part 'KNEE'"),
        ({"collections": ["lung"], "n_patients": 5}, "expected 5 patients, found 4 for collection: lung"),
        ({"n_patients": 0}, "n_patients: expected at least 1"),
    ],
)
def test_a_filter_that_leaves_too_little_ends_in_one_line(index, tmp_path, arguments, expected):
    with pytest.raises(InputError, match=expected) as error:
        make_manifest(tmp_path / "m.csv", index=index, **arguments)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "m.csv").exists()


def test_without_the_index_one_line_says_what_to_install(tmp_path, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(InputError, match=r"pip install 'equiproj\[idc\]'"):
        make_manifest(tmp_path / "m.csv")


def test_the_real_index(tmp_path):
    try:
        metadata.distribution("idc-index-data")
    except metadata.PackageNotFoundError:
        pytest.skip("idc-index-data is not installed: pip install 'equiproj[idc]'")
    entries = make_manifest(tmp_path / "m.csv", ["stageii_colorectal_ct"], n_patients=20, seed=1)
    assert len({entry.patient for entry in entries}) == 20
    assert {(entry.licence, entry.doi) for entry in entries} == {("CC BY 4.0", "10.7937/p5k5-tg43")}
    assert all(20 <= entry.n_images <= 1000 and 5 < entry.megabytes < 500 for entry in entries)


class Bucket:
    """A bucket of the Imaging Data Commons in memory, two files to a page of its listing; counts what is asked."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked, self.failures, self.failures_after = files, [], 0, 10**6

    def open(self, url: str) -> contextlib.closing:
        self.asked.append(url)
        if self.failures or len(self.asked) > self.failures_after:
            self.failures = max(0, self.failures - 1)
            raise TimeoutError
        path, _, query = url.removeprefix(f"{ENDPOINT}/idc-open-data").partition("?")
        return contextlib.closing(io.BytesIO(self.listing(query) if query else self.files[path[1:]]))

    def listing(self, query: str) -> bytes:
        values = dict(urllib.parse.parse_qsl(query))
        keys = sorted(key for key in self.files if key.startswith(values["prefix"]))
        start = int(values.get("continuation-token", 0))
        items = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(self.files[key])}</Size>"
            f'<ETag>"{hashlib.md5(self.files[key]).hexdigest()}"</ETag></Contents>'
            for key in keys[start : start + 2]
        )
        token = f"<NextContinuationToken>{start + 2}</NextContinuationToken>" if start + 2 < len(keys) else ""
        return f'<L xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{items}{token}</L>'.encode()

    @property
    def n_files_fetched(self) -> int:
        return sum("?" not in url for url in self.asked)


@pytest.fixture
def manifest(tmp_path, index) -> Path:
    """Two series of five images each."""
    make_manifest(tmp_path / "m.csv", ["lung"], n_patients=2, index=index)
    rows = read_rows(tmp_path / "m.csv", [])
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(entry | {"n_images": "5"} for entry in rows)
    return tmp_path / "m.csv"


@pytest.fixture
def bucket(manifest, write_ct, tmp_path) -> Bucket:
    files = {}
    for patient, entry in enumerate(read_manifest(manifest)):
        for number in range(5):
            uid = f"1.2.{patient}"
            uids = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "FrameOfReferenceUID": f"{uid}.2"}
            path = write_ct(tmp_path / "ct.dcm", number, PatientID=f"{patient}", **uids)
            files[f"{entry.series_uuid}/{uuid(number)}.dcm"] = path.read_bytes()
    return Bucket(files)


def fetch(manifest: Path, folder: Path, bucket: Bucket) -> None:
    download(manifest, folder, open_url=bucket.open, pauses_seconds=(0.0, 0.0))


def test_a_download_can_be_ingested_with_its_licences(manifest, bucket, tmp_path):
    fetch(manifest, tmp_path / "idc", bucket)
    for key, content in bucket.files.items():
        assert (tmp_path / "idc" / key).read_bytes() == content
    assert len(read_rows(tmp_path / "idc" / "checksums.csv", ["file", "n_bytes", "md5"])) == 10
    sources = json.loads((tmp_path / "idc" / "ctmar-sources.json").read_text())
    assert [source["patient"] for source in sources] == [entry.patient for entry in read_manifest(manifest)]
    outputs = [tmp_path / "out" / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv")]
    summary = ingest(tmp_path / "idc", *outputs, settings=Ingest(image_size=64, pixel_mm=2.0, minimum_rows=32))
    assert (summary.n_patients, summary.n_slices, summary.n_quarantined) == (2, 10, 0)
    assert {(row["source"], row["licence"]) for row in read_rows(outputs[2], [])} == {
        ("Imaging Data Commons, lung index.parquet", "CC BY 4.0")
    }


def test_an_interrupted_download_continues_and_mends(manifest, bucket, tmp_path):
    folder = tmp_path / "idc"
    fetch(manifest, folder, bucket)
    first, *others = (folder / key for key in bucket.files)
    first.unlink()
    others[0].write_bytes(others[0].read_bytes()[:-1])
    others[1].write_bytes(bytes(others[1].stat().st_size))
    bucket.asked.clear()
    fetch(manifest, folder, bucket)
    assert bucket.n_files_fetched == 3
    assert all((folder / key).read_bytes() == content for key, content in bucket.files.items())
    bucket.asked.clear()
    fetch(manifest, folder, bucket)
    assert bucket.n_files_fetched == 0


def test_attempts_are_bounded(manifest, bucket, tmp_path):
    bucket.failures = 2
    fetch(manifest, tmp_path / "idc", bucket)
    bucket.failures, bucket.asked = 10**6, []
    with pytest.raises(InputError, match=r"cannot be fetched \(TimeoutError\); check the network and run .* again"):
        fetch(manifest, tmp_path / "other", bucket)
    assert len(bucket.asked) == 3
    assert not (tmp_path / "other" / "ctmar-sources.json").exists()


def test_what_is_not_what_the_bucket_lists_is_refused(manifest, bucket, tmp_path, monkeypatch):
    listed = dict(bucket.files)
    key = next(iter(listed))
    good = Bucket.listing
    monkeypatch.setattr(Bucket, "listing", lambda self, query: good(Bucket(listed), query))
    bucket.files[key] = bytes(len(listed[key]))
    with pytest.raises(InputError, match=r"expected MD5 .* found another"):
        fetch(manifest, tmp_path / "idc", bucket)
    bucket.files[key] = listed[key] + b"more"
    with pytest.raises(InputError, match=r"expected at most \d+ bytes, found more"):
        fetch(manifest, tmp_path / "idc", bucket)
    assert not (tmp_path / "idc" / key).exists()
    assert not (tmp_path / "idc" / "ctmar-sources.json").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../../escaped.dcm", "the bucket lists something else"),
        ("notes.txt", "the bucket lists something else"),
        (None, "expected 5 files, the bucket lists 4"),
    ],
)
def test_a_listing_is_not_trusted(manifest, bucket, tmp_path, name, expected):
    key = next(iter(bucket.files))
    content = bucket.files.pop(key)
    if name is not None:
        bucket.files[f"{key.partition('/')[0]}/{name}"] = content
    with pytest.raises(InputError, match=expected):
        fetch(manifest, tmp_path / "a" / "b" / "c" / "idc", bucket)
    assert not list(tmp_path.rglob("escaped.dcm"))
    assert bucket.n_files_fetched == 0 or name is None or "escaped" not in "".join(bucket.asked)


@pytest.mark.parametrize("change", [("idc-open-data", "evil.example"), (uuid(20)[:8], "../../xx")])
def test_a_manifest_is_not_trusted(manifest, bucket, tmp_path, change):
    text = manifest.read_text()
    for number in range(20, 24):  # whichever series was drawn
        text = text.replace(uuid(number), uuid(20))
    manifest.write_text(text.replace(*change))
    with pytest.raises(InputError, match="expected a bucket and series of the Imaging Data Commons"):
        fetch(manifest, tmp_path / "idc", bucket)
    assert bucket.asked == []


def test_a_page_that_is_no_listing_is_refused(manifest, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(Bucket, "listing", lambda self, query: b"<html>please log in")
    with pytest.raises(InputError, match="expected the listing of a bucket"):
        fetch(manifest, tmp_path / "idc", bucket)


REDIRECT = """
import os, urllib.request
urlopen = urllib.request.urlopen
urllib.request.urlopen = lambda url, **options: urlopen(url.replace({endpoint!r}, {local!r}), **options)
"""


@pytest.fixture
def serve(bucket, tmp_path):
    """The bucket as a web server on this machine; an environment that sends what is asked of the real one there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                with bucket.open(ENDPOINT + self.path) as file:
                    content = file.read()
            except TimeoutError:
                self.send_error(503)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        local = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(REDIRECT.format(endpoint=ENDPOINT, local=local))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        packages = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
        yield {**os.environ, "PYTHONPATH": packages, "PATH": path, "no_proxy": "127.0.0.1"}
        server.shutdown()


def snakemake(folder: Path, manifest: Path, environment: dict[str, str], *arguments: str):
    repository = Path(__file__).resolve().parents[3]
    ingest = {"image_size": 64, "pixel_mm": 2.0, "minimum_rows": 32}
    study = {"runs": [{"method": "plain"}]}
    folder.mkdir(exist_ok=True)
    config = folder / "config.json"
    config.write_text(
        json.dumps({"source": {"kind": "idc", "manifest": str(manifest)}, "ingest": ingest, "study": study})
    )
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "workflow" / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), "--cores", "2", *arguments]
    return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=300)


@pytest.mark.workflow
def test_the_workflow_plans_the_download_and_tells_the_report_of_its_licences(manifest, tmp_path):
    done = snakemake(
        tmp_path / "study", manifest, dict(os.environ), "--dry-run", "--printshellcmds", "--workflow-profile", "none"
    )
    assert done.returncode == 0, done.stderr
    jobs = {words[0]: words[1] for words in map(str.split, done.stdout.splitlines()) if len(words) == 2}
    assert (jobs["idc_download"], jobs["ingest"], "acquire" in jobs) == ("1", "1", False)
    found = re.search(rf"ctmar idc-download {manifest} (resources/idc/[0-9a-f]+) ", done.stdout)
    assert found
    assert f"ctmar ingest {found[1]} --output" in done.stdout
    assert re.search(rf"ctmar report .*--sources {found[1]}/ctmar-sources.json", done.stdout)


@pytest.mark.workflow
def test_the_workflow_resumes_a_download_and_ingests_it(manifest, bucket, serve, tmp_path):
    folder = tmp_path / "study"
    bucket.failures_after = 8
    done = snakemake(folder, manifest, serve, "results/config/data/catalogue.csv")
    assert done.returncode != 0
    assert "cannot be fetched (HTTPError)" in (folder / "logs" / "config" / "idc_download.log").read_text()
    kept = list((folder / "resources" / "idc").rglob("*.dcm"))
    assert 0 < len(kept) < 10
    assert not list((folder / "resources" / "idc").rglob("ctmar-sources.json"))

    bucket.failures_after, bucket.asked = 10**6, []
    done = snakemake(folder, manifest, serve, "results/config/data/catalogue.csv")
    assert done.returncode == 0, done.stderr
    assert bucket.n_files_fetched == 10 - len(kept)
    rows = read_rows(folder / "results" / "config" / "data" / "catalogue.csv", ["patient", "n_slices_kept", "licence"])
    assert {row["patient"] for row in rows} == {entry.patient for entry in read_manifest(manifest)}
    assert [(row["n_slices_kept"], row["licence"]) for row in rows] == [("5", "CC BY 4.0")] * 2
    (images,) = (folder / "resources" / "slices").glob("*/thumbnails.npz")
    with np.load(images) as thumbnails:
        assert len(thumbnails["image"]) == 6


def test_the_command_takes_the_licences_that_are_allowed(index, tmp_path, monkeypatch):
    monkeypatch.setattr("ctmar.datasets.idc._index", lambda: (index, "test"))
    arguments = ["idc-manifest", "--output", str(tmp_path / "m.csv"), "--n-patients"]
    assert CliRunner().invoke(app, [*arguments, "1", "--licence", "CC BY-NC 4.0"]).exit_code == 0
    assert {entry.licence for entry in read_manifest(tmp_path / "m.csv")} == {"CC BY-NC 4.0"}
    assert CliRunner().invoke(app, [*arguments, "11"]).exit_code == 0
    assert {entry.licence for entry in read_manifest(tmp_path / "m.csv")} == {"CC BY 4.0"}
