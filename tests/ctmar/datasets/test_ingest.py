"""The whole way from a folder to slices: what comes out, what is refused, and that no identifier leaks."""

import json
import logging
import os
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from tests.ctmar.canaries import CANARY, plant, traces

from ctmar.config import Ingest, Source
from ctmar.datasets.ingest import ingest
from ctmar.datasets.portions import choose_slices
from ctmar.datasets.sources import find_file
from ctmar.errors import InputError
from ctmar.store.slices import open_slices, read_slices
from ctmar.store.tables import read_rows
from ctmar.units import hu_to_attenuation

SMALL = Ingest(image_size=64, pixel_mm=2.0, minimum_rows=32)


def run(folder: Path, out: Path, settings: Ingest = SMALL, **keywords):
    names = ("slices.h5", "quarantine.csv", "catalogue.csv", "thumbnails.npz")
    return ingest(folder, *(out / name for name in names), settings=settings, **keywords)


def quarantine(out: Path) -> dict[str, str]:
    return {row["file"]: row["reason"] for row in read_rows(out / "quarantine.csv", ["file", "reason", "remedy"])}


def reasons(out: Path) -> list[str]:
    return sorted(row["reason"] for row in read_rows(out / "quarantine.csv", ["file", "reason", "remedy"]))


def catalogue(out: Path) -> list[dict[str, str]]:
    return read_rows(out / "catalogue.csv", ["patient", "series", "n_slices_found", "n_slices_kept"])


@pytest.fixture
def series(write_ct, tmp_path) -> Path:
    for number in range(5):
        write_ct(tmp_path / "in" / f"{number}.dcm", number)
    return tmp_path / "in"


def test_a_series_becomes_attenuation_in_order(series, phantom, tmp_path):
    summary = run(series, tmp_path / "out")
    assert (summary.n_files, summary.n_patients, summary.n_series, summary.n_slices) == (5, 1, 1, 5)
    slices = read_slices(tmp_path / "out" / "slices.h5")
    assert [record.position_mm for record in slices] == [0, 5, 10, 15, 20]
    assert [record.slice_id[-4:] for record in slices] == ["0000", "0001", "0002", "0003", "0004"]
    patient = slices[0].patient
    assert patient.startswith("p-")
    assert slices[0].slice_id == f"{patient}/1/0000"
    np.testing.assert_allclose(slices[0].image, hu_to_attenuation(phantom), atol=1e-6)
    (row,) = catalogue(tmp_path / "out")
    assert (row["n_slices_found"], row["n_slices_kept"], row["slice_spacing_mm"]) == ("5", "5", "5")


def test_every_file_is_kept_or_quarantined(series, write_ct, phantom, tmp_path):
    write_ct(series / "deep" / "er" / "duplicate.dcm", 2, SOPInstanceUID="1.2.9")
    write_ct(series / "metal.dcm", 7, image_hu=np.where(phantom == 800, 3000, phantom))
    write_ct(series / "scout.dcm", 8, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_ct(series / "no slope.dcm", 9, RescaleSlope=None)
    write_ct(series / "wrong slope.dcm", 10, RescaleSlope="3")
    write_ct(series / "air.dcm", 11, image_hu=np.full((64, 64), -1000.0))
    truncated = write_ct(series / "short.dcm", 12)
    truncated.write_bytes(truncated.read_bytes()[:-100])
    (series / "notes.txt").write_text("not DICOM")
    summary = run(series, tmp_path / "out")
    assert (summary.n_slices, summary.n_quarantined) == (5, 8)
    assert reasons(tmp_path / "out") == sorted(
        [
            "duplicate: another image of the series lies at the same position",
            "real metal: more than 20 pixels above 2500 HU",
            "image type LOCALIZER",
            "RescaleSlope is missing or not a number",
            "implausible Hounsfield numbers: median of the body not in -300 to 500 HU",
            "empty: body on less than 0.1 of the working grid",
            "pixel data cannot be decoded (ValueError)",
            "not a DICOM file: no preamble with 'DICM'",
        ]
    )
    assert all(row["remedy"] for row in read_rows(tmp_path / "out" / "quarantine.csv", ["remedy"]))


def test_a_quarantined_file_can_be_found_by_who_has_the_folder_and_the_salt(series, tmp_path):
    (series / "smith.txt").write_text("not DICOM")
    run(series, tmp_path / "out")
    (name,) = quarantine(tmp_path / "out")
    assert "smith" not in name
    assert find_file(series, name, SMALL) == series / "smith.txt"
    with pytest.raises(InputError, match="no file is called"):
        find_file(series, name, SMALL.model_copy(update={"salt_file": series / "smith.txt"}))


def test_the_catalogue_holds_quality_numbers_of_what_was_read(series, write_ct, phantom, tmp_path):
    write_ct(series / "metal.dcm", 7, image_hu=np.where(phantom == 800, 3000, phantom))
    write_ct(series / "other" / "wrong slope.dcm", SeriesInstanceUID="1.2.9", RescaleSlope="3")
    write_ct(series / "third" / "no pixels.dcm", SeriesInstanceUID="1.2.10", PixelData=None)
    run(series, tmp_path / "out")
    rows = {row["n_slices_found"]: row for row in catalogue(tmp_path / "out")}
    real = rows["6"]
    assert (real["n_slices_read"], real["n_slices_kept"]) == ("6", "5")
    assert (real["minimum_hu"], real["maximum_hu"]) == ("-1000", "3000")
    # closed form: five phantoms and one with its bone at 3000 HU instead of 800 HU
    mean = (5 * phantom.mean() + np.where(phantom == 800, 3000, phantom).mean()) / 6
    assert float(real["mean_hu"]) == pytest.approx(mean, abs=0.06)
    assert float(real["body_fraction"]) == pytest.approx(np.mean(phantom > -500), abs=6e-4)
    # a series that was refused whole tells by its numbers why: 3·(HU + 1024) − 1024; one not decoded has none
    columns = ("n_slices_read", "n_slices_kept", "minimum_hu", "maximum_hu")
    refused = {tuple(row[name] for name in columns) for row in catalogue(tmp_path / "out") if row != real}
    assert refused == {("1", "0", "-952", "4448"), ("0", "0", "", "")}


def test_a_non_square_series_comes_out_round(write_ct, tmp_path):
    y, x = np.mgrid[:100, :200]
    disc = np.where(((y - 49.5) * 2) ** 2 + (x - 99.5) ** 2 < 60**2, 0.0, -1000.0)
    write_ct(tmp_path / "in" / "a.dcm", image_hu=disc, PixelSpacing=[2.0, 1.0])
    run(tmp_path / "in", tmp_path / "out")
    (record,) = read_slices(tmp_path / "out" / "slices.h5")
    inside = record.image > 0.096
    assert abs(int(inside.any(axis=0).sum()) - int(inside.any(axis=1).sum())) <= 1
    assert inside.sum() * 4 == pytest.approx(np.pi * 60**2, rel=0.02)


def test_the_pixel_fits_the_longer_side(series, tmp_path):
    run(series, tmp_path / "out", Ingest(image_size=32, pixel_mm=None, minimum_rows=32))
    assert {record.pixel_mm for record in read_slices(tmp_path / "out" / "slices.h5")} == {4.0}


def test_enhanced_ct_next_to_its_slices(write_enhanced_ct, phantom, tmp_path):
    write_enhanced_ct(tmp_path / "in" / "e.dcm", np.stack([phantom] * 3), [(1, -1024), (2, -1024), (1, 0)])
    assert run(tmp_path / "in", tmp_path / "out").n_slices == 3
    for record in read_slices(tmp_path / "out" / "slices.h5"):
        np.testing.assert_allclose(record.image, hu_to_attenuation(phantom), atol=3e-4)


def test_evenly_spaced_slices_over_all_series_of_a_patient(write_ct, tmp_path):
    for number in range(30):
        write_ct(tmp_path / "in" / f"a{number}.dcm", number)
    for number in range(10):
        write_ct(tmp_path / "in" / f"b{number}.dcm", number, SeriesInstanceUID="1.2.9")
    run(tmp_path / "in", tmp_path / "out", SMALL.model_copy(update={"maximum_slices_per_patient": 8}))
    slices = read_slices(tmp_path / "out" / "slices.h5")
    assert [record.slice_id.partition("/")[2] for record in slices] == [
        "1/0002", "1/0007", "1/0012", "1/0017", "1/0022", "1/0027", "2/0002", "2/0007",
    ]  # fmt: skip
    assert choose_slices([], 5) == {}


def test_nifti_and_dicom_give_the_same_slices(series, phantom, tmp_path):
    lps = np.stack([phantom] * 5).transpose(2, 1, 0).astype(np.int16)
    image = nibabel.Nifti1Image(lps, np.diag([-2.0, -2.0, 5.0, 1.0]))
    (tmp_path / "nifti").mkdir()
    nibabel.save(image, tmp_path / "nifti" / "a.nii.gz")
    run(series, tmp_path / "one")
    run(tmp_path / "nifti", tmp_path / "two")
    first, second = (read_slices(tmp_path / name / "slices.h5") for name in ("one", "two"))
    for left, right in zip(first, second, strict=True):
        assert np.array_equal(left.image, right.image)
        assert (left.position_mm, left.pixel_mm) == (right.position_mm, right.pixel_mm)


def test_bytes_depend_on_neither_processes_nor_file_names(write_ct, tmp_path):
    generator = np.random.default_rng(0)
    for number in range(20):
        write_ct(tmp_path / "a" / f"{number}.dcm", number)
        write_ct(tmp_path / "b" / f"{generator.integers(1 << 40)}.dcm", number)
    run(tmp_path / "a", tmp_path / "one", threads=1)
    run(tmp_path / "a", tmp_path / "two", threads=2)
    run(tmp_path / "b", tmp_path / "three")
    contents = {(tmp_path / name / "slices.h5").read_bytes() for name in ("one", "two", "three")}
    assert len(contents) == 1


def test_provenance_names_versions_settings_and_sources_but_not_the_salt(series, tmp_path):
    (tmp_path / "smith").write_text("my secret\n")
    settings = SMALL.model_copy(update={"salt_file": tmp_path / "smith"})
    run(series, tmp_path / "out", settings, source=Source(kind="dicom_dir", folder=series, licence="CC BY 4.0"))
    with open_slices(tmp_path / "out" / "slices.h5") as slices:
        found = slices.provenance
    assert found["software"]["pydicom"] == pydicom.__version__
    assert found["settings"]["pixel_mm"] == 2.0
    assert found["sources"] == {"dicom_dir": "CC BY 4.0"}
    assert len(found["input_sha256"]) == 64
    for path in (tmp_path / "out").iterdir():
        assert b"my secret" not in path.read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()
    assert catalogue(tmp_path / "out")[0]["licence"] == "CC BY 4.0"


def test_aliases_of_an_acquired_folder(series, write_ct, tmp_path):
    folder = tmp_path / "acquired"
    write_ct(folder / "head-1" / "a.dcm")
    (folder / "head-1" / "b.txt").write_text("not DICOM")
    entry = {"patient": "head-1", "path": "head-1", "package": "ct", "version": "1.0", "licence": "MIT"}
    (folder / "ctmar-sources.json").write_text(json.dumps([entry]))
    run(folder, tmp_path / "out")
    assert [record.slice_id for record in read_slices(tmp_path / "out" / "slices.h5")] == ["head-1/1/0000"]
    assert list(quarantine(tmp_path / "out")) == ["head-1/b.txt"]
    assert catalogue(tmp_path / "out")[0]["source"] == "ct 1.0"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"path": "../outside"}, "forbidden name or a path outside"),
        ({"patient": "a/b"}, "forbidden name or a path outside"),
        ({"path": "gone"}, "run 'ctmar acquire' again"),
    ],
)
def test_a_list_of_sources_is_not_trusted(tmp_path, changes, expected):
    (tmp_path / "in" / "one").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    entry = {"patient": "one", "path": "one", "package": "ct", "version": "1.0", "licence": "MIT", **changes}
    (tmp_path / "in" / "ctmar-sources.json").write_text(json.dumps([entry]))
    with pytest.raises(InputError, match=expected):
        run(tmp_path / "in", tmp_path / "out")


def test_links_out_of_the_folder_are_not_followed(series, write_ct, tmp_path):
    outside = write_ct(tmp_path / "outside" / "a.dcm", 9)
    (series / "link.dcm").symlink_to(outside)
    (series / "inside.dcm").symlink_to(series / "0.dcm")
    assert run(series, tmp_path / "out").n_slices == 5
    assert reasons(tmp_path / "out") == [
        "a link that leaves the folder",
        "duplicate: another image of the series lies at the same position",
    ]


def test_bad_folders_end_in_one_line(write_ct, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("x")
    write_ct(tmp_path / "air" / "a.dcm", image_hu=np.full((64, 64), -1000.0))
    for name, expected in {
        "missing": "folder not found",
        "empty": "no files found; give a folder",
        "text": r"none of the files is usable CT \(1 × not a DICOM file: .*'DICM'\); reasons .*quarantine\.csv",
        "air": r"no slice passes quality control \(1 × empty: body on less than 0.1",
    }.items():
        with pytest.raises(InputError, match=expected) as error:
            run(tmp_path / name, tmp_path / "out")
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out" / "slices.h5").exists()
        assert not (tmp_path / "out" / "catalogue.csv").exists()
    assert reasons(tmp_path / "out") == ["empty: body on less than 0.1 of the working grid"]


def test_media_with_a_dicomdir(tmp_path):
    """The DICOMDIR sample of pydicom: its CT images, 16 × 16, are found though too small; MR and CR are named."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    with pytest.raises(InputError, match=r"9 × a field of view of 0.7812 cm, not 5 to 100 cm"):
        run(folder, tmp_path / "out", Ingest(image_size=32, minimum_rows=16))
    assert "not CT: Media Storage Directory Storage" in reasons(tmp_path / "out")
    assert "image type LOCALIZER" in reasons(tmp_path / "out")


def test_real_patients_get_one_name_over_two_dates(shared, tmp_path):
    settings = Ingest(image_size=128, pixel_mm=4.0)
    summary = run(shared / "nysbu_patients", tmp_path / "out", settings, threads=2)
    assert (summary.n_series, summary.n_files) == (12, 13)  # and SOURCE.txt
    assert len({row["patient"] for row in catalogue(tmp_path / "out")}) == 6


def test_the_real_jpeg_2000_series(shared, tmp_path):
    run(shared / "totalseg_abdomen_j2k", tmp_path / "out", Ingest(image_size=128, pixel_mm=4.0))
    (row,) = catalogue(tmp_path / "out")
    assert (row["n_slices_kept"], row["slice_spacing_mm"], row["manufacturer"]) == ("20", "2", "siemens")
    slices = read_slices(tmp_path / "out" / "slices.h5")
    soft = [np.median(record.image[record.image > 0.1]) for record in slices]
    assert np.all((np.array(soft) > 0.18) & (np.array(soft) < 0.21))


def test_tilted_real_slices_are_used_singly(shared, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in (shared / "edge_cases").glob("philips_*.dcm"):
        (folder / path.name).write_bytes(path.read_bytes())
    run(folder, tmp_path / "out", Ingest(image_size=128, minimum_body_fraction=0.05))
    (row,) = catalogue(tmp_path / "out")
    assert (row["n_slices_kept"], row["tilt_degrees"], row["n_missing"]) == ("3", "18.5", "8")


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_no_identifier_leaves_the_folder(write_ct, write_enhanced_ct, phantom, tmp_path, capfd, caplog, threads):
    folder = tmp_path / "in"
    inside = folder / f"{CANARY}^JOHN" / "19770707"
    for number in range(3):
        plant(write_ct(inside / f"{CANARY}_{number}.dcm", number))
    plant(write_ct(inside / f"{CANARY}_duplicate.dcm", 2, SOPInstanceUID="1.2.9"))
    plant(write_enhanced_ct(inside / f"{CANARY}_e.dcm", phantom[None, 2:-2], [(1, -1024)]))
    # refused for one reason after the other: reasons must not quote the header either
    for number, tags in enumerate(
        (
            {"ImageType": [CANARY, CANARY, CANARY]},
            {"RescaleType": CANARY},
            {"RescaleSlope": None},
            {"BurnedInAnnotation": "YES"},
            {"PixelData": None},
            {"SOPClassUID": "1.2.77.777.7777"},
            {"BitsAllocated": 12},
        )
    ):
        plant(write_ct(inside / f"{CANARY}_bad{number}.dcm", 10 + number, **tags))
    (inside / f"{CANARY}.txt").write_text(CANARY)
    nibabel.save(
        nibabel.Nifti1Image(phantom.T[..., None].astype(np.int16), np.diag([-2.0, -2.0, 5.0, 1.0])),
        inside / f"{CANARY}.nii.gz",
    )
    assert traces((inside / f"{CANARY}_0.dcm").read_bytes()), "nothing was planted"

    with caplog.at_level(logging.DEBUG):
        summary = run(folder, tmp_path / "out", threads=threads)
    assert summary.n_slices == 5
    assert summary.n_quarantined == 9
    captured = capfd.readouterr()
    assert traces((captured.out + captured.err + caplog.text).encode()) == []
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == 4
    for path in written:
        assert traces(path.read_bytes()) == []
        assert traces(path.name.encode()) == []
    # the images are compressed; identifiers could only hide in text, which is not
    with np.load(tmp_path / "out" / "thumbnails.npz", allow_pickle=False) as thumbnails:
        assert set(thumbnails) == {"series", "position", "image", "window_hu"}
        assert traces("\n".join(thumbnails["series"]).encode()) == []
    with open_slices(tmp_path / "out" / "slices.h5") as slices:
        texts = [*slices.patient, *slices.series, *slices.slice_id, json.dumps(slices.provenance)]
    assert traces("\n".join(texts).encode()) == []


def test_pipes_and_links_to_folders_are_quarantined(series, tmp_path):
    os.mkfifo(series / "pipe.dcm")
    os.mkfifo(series / "pipe.zip")
    (series / "loop").symlink_to(series)
    (tmp_path / "elsewhere").mkdir()
    (series / "away").symlink_to(tmp_path / "elsewhere")
    run(series, tmp_path)
    no_file = "no regular file: a link to a folder, a locked folder, a pipe or a device"
    assert reasons(tmp_path) == ["a link that leaves the folder", no_file, no_file, no_file]
    assert len(read_slices(tmp_path / "slices.h5")) == 5


def test_a_locked_folder_is_quarantined_and_not_passed_over(series, tmp_path, monkeypatch):
    locked, may = series / "locked", os.access
    locked.mkdir()
    # root may read everything, so the answer of the system is given here
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked and may(path, mode))
    run(series, tmp_path)
    assert reasons(tmp_path) == ["no regular file: a link to a folder, a locked folder, a pipe or a device"]
    with pytest.raises(InputError, match="locked: the folder cannot be read; check its permissions"):
        run(locked, tmp_path)


@pytest.mark.parametrize("target", ["quarantine", "catalogue", "thumbnails"])
def test_outputs_are_checked_before_the_first_is_written(series, tmp_path, target):
    names = {"quarantine": "q.csv", "catalogue": "c.csv", "thumbnails": "t.npz"}
    paths = {name: tmp_path / file for name, file in names.items()}
    for blocked, message in ((series, "found a folder"), (tmp_path / "s.h5", "found one of the other files")):
        with pytest.raises(InputError, match=message):
            ingest(series, tmp_path / "s.h5", **{**paths, target: blocked}, settings=SMALL)
        assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_no_output_replaces_the_ct_it_is_made_of(series, tmp_path):
    before = (series / "0.dcm").read_bytes()
    with pytest.raises(InputError, match=r"0\.dcm: expected a file to write, found CT that is to be read"):
        ingest(series, series / "0.dcm", tmp_path / "q.csv", settings=SMALL)
    assert (series / "0.dcm").read_bytes() == before


def test_a_file_instead_of_a_folder(series, tmp_path):
    with pytest.raises(InputError, match=r"0\.dcm: expected a folder or archive, found another file"):
        ingest(series / "0.dcm", tmp_path / "s.h5", tmp_path / "q.csv", settings=SMALL)


def test_only_the_patients_that_are_wanted(series, write_ct, tmp_path):
    uids = dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"), "1.2.77")
    write_ct(series / "other.dcm", PatientID="other", **uids)
    run(series, tmp_path / "all")
    names = [row["patient"] for row in catalogue(tmp_path / "all")]
    assert len(names) == 2
    for name in names:
        source = Source(kind="dicom_dir", folder=series, patients=[name])
        assert run(series, tmp_path / name, source=source).n_patients == 1
        assert [row["patient"] for row in catalogue(tmp_path / name)] == [name]
    with pytest.raises(InputError, match=r"^source\.patients: patient 'x' not found; patients with CT: p-"):
        run(series, tmp_path / "none", source=Source(patients=["x"]))


@pytest.mark.parametrize("name", ["sources.json", "Sources.json", "dataset_description.json", "manifest.json"])
def test_a_list_of_somebody_elses_is_a_file_like_any_other(series, tmp_path, name):
    (series / name).write_text('{"sources": ["https://example.org"]}')
    ingest(series, tmp_path / "s.h5", tmp_path / "q.csv", settings=SMALL)
    assert "not a DICOM file" in (tmp_path / "q.csv").read_text()
