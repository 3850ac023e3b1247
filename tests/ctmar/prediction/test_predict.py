"""The whole way: DICOM in, derived DICOM out, and no identifier with it."""

import logging
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.uid import RLELossless
from scipy import ndimage
from tests.ctmar.canaries import CANARY, plant, traces
from typer.testing import CliRunner

import ctmar.dicom.series
from ctmar.cli import app, main
from ctmar.config import Ingest, Run, Simulation
from ctmar.datasets.ingest import ingest
from ctmar.dicom.pixels import read_display
from ctmar.dicom.scan import read_images
from ctmar.errors import InputError
from ctmar.prediction.choices import PredictionChoices
from ctmar.prediction.predict import predict
from ctmar.simulation.scanner import build_scanner, scan_metal, scan_slice, trace_slice
from ctmar.store.run_records import Grid
from ctmar.store.tables import read_rows
from ctmar.units import hu_to_attenuation

SMALL = PredictionChoices(image_size=64, pixel_mm=2.0)


def changed(settings: PredictionChoices, **values: object) -> PredictionChoices:
    return PredictionChoices(**{**vars(settings), **values})


def written(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file())


def image_hu(path: Path) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    return pixel_array(dataset) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


@pytest.fixture
def series(write_ct, metal_hu, phantom, tmp_path) -> Path:
    """Three slices, metal in the second."""
    for number in range(3):
        write_ct(tmp_path / "in" / f"{number}.dcm", number, image_hu=metal_hu if number == 1 else phantom)
    return tmp_path / "in"


def test_an_identity_network_gives_the_source_back(series, make_network, tmp_path):
    summary = predict(series, make_network(), tmp_path / "out", SMALL)
    assert (summary.n_corrected, summary.n_unchanged, summary.quarantined) == (1, 2, [])
    files = written(tmp_path / "out")
    assert [path.name for path in files] == ["0000.dcm", "0001.dcm", "0002.dcm"]
    for path, source in zip(files, sorted(series.iterdir()), strict=True):
        before, after = pydicom.dcmread(source), pydicom.dcmread(path)
        assert after.PixelData == before.PixelData
        assert after.ImagePositionPatient == before.ImagePositionPatient
    descriptions = [pydicom.dcmread(path).DerivationDescription for path in files]
    assert [text.startswith("pixel values unchanged") for text in descriptions] == [True, False, True]


def test_only_slices_with_metal_change_and_only_outside_it(series, make_network, metal_hu, tmp_path):
    predict(series, make_network("LI"), tmp_path / "out", SMALL)
    first, second, _ = map(image_hu, written(tmp_path / "out"))
    np.testing.assert_array_equal(first, image_hu(series / "0.dcm"))
    metal = metal_hu > 2500
    np.testing.assert_array_equal(second[metal], metal_hu[metal])
    assert np.abs(second - metal_hu)[31, 25:45].mean() > 50


def test_slices_without_metal_can_be_left_out(series, make_network, tmp_path):
    summary = predict(series, make_network(), tmp_path / "out", changed(SMALL, metal_only=True))
    assert (summary.n_corrected, summary.n_unchanged, summary.n_left_out) == (1, 0, 2)
    assert [path.name for path in written(tmp_path / "out")] == ["0001.dcm"]


def test_series_share_a_study_and_never_a_series(series, write_ct, make_network, tmp_path):
    write_ct(series / "other.dcm", 0, SeriesInstanceUID="1.2.9", SOPInstanceUID="1.2.9.1")
    predict(series, make_network(), tmp_path / "out", SMALL)
    datasets = [pydicom.dcmread(path) for path in written(tmp_path / "out")]
    assert len({dataset.StudyInstanceUID for dataset in datasets}) == 1
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 2
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 4
    assert {dataset.SeriesNumber for dataset in datasets} == {1, 2}


def test_the_pseudonym_is_that_of_ingestion(series, make_network, tmp_path):
    predict(series, make_network(), tmp_path / "out", SMALL)
    ingest(
        series,
        tmp_path / "s.h5",
        tmp_path / "q.csv",
        tmp_path / "c.csv",
        settings=Ingest(image_size=64, pixel_mm=2, minimum_rows=32),
    )
    (row,) = read_rows(tmp_path / "c.csv", ["patient"])
    (folder,) = (tmp_path / "out").iterdir()
    assert row["patient"] == folder.name == pydicom.dcmread(written(tmp_path / "out")[0]).PatientID


def test_compressed_images_are_read_within_bounds_and_give_the_same_bytes(series, make_network, tmp_path, monkeypatch):
    """A process that was started for it decodes them; a damaged one is refused, the others are corrected."""
    network = make_network("LI")
    predict(series, network, tmp_path / "plain", SMALL)
    for path in series.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        if path.name == "2.dcm":
            dataset.PixelData = dataset.PixelData[:200] + bytes(len(dataset.PixelData) - 200)
        dataset.save_as(path)

    def here(image):
        pytest.fail("decoded in the process of the command")

    monkeypatch.setattr(ctmar.dicom.series, "read_display", here)
    summary = predict(series, network, tmp_path / "out", changed(SMALL, threads=2))
    assert (summary.n_corrected, summary.n_unchanged, len(summary.quarantined)) == (1, 1, 1)
    plain, compressed = written(tmp_path / "plain"), written(tmp_path / "out")
    assert [path.read_bytes() for path in compressed] == [path.read_bytes() for path in plain[:2]]


def test_bytes_do_not_depend_on_threads_or_on_how_the_input_is_given(series, make_network, tmp_path):
    network = make_network("LI")
    predict(series, network, tmp_path / "one", SMALL)
    predict(series, network, tmp_path / "two", changed(SMALL, threads=3))
    for first, second in zip(written(tmp_path / "one"), written(tmp_path / "two"), strict=True):
        assert first.read_bytes() == second.read_bytes()
    summary = predict(series / "1.dcm", network, tmp_path / "file", SMALL)
    assert summary.n_corrected == 1
    (single,) = written(tmp_path / "file")
    assert pydicom.dcmread(single).SOPInstanceUID == pydicom.dcmread(written(tmp_path / "one")[1]).SOPInstanceUID


def test_the_grid_of_the_run_file_is_used(series, make_network, tmp_path, capfd):
    network = make_network("LI", grid=Grid(image_size=32, pixel_mm=4.0, preset="benchmark"))
    predict(series, network, tmp_path / "out", PredictionChoices())
    assert "working grid 32 x 32 pixels, 4 mm, scan of preset benchmark" in capfd.readouterr().err


def test_a_method_that_averages_says_so_and_gives_images_of_their_own(series, make_network, averaging, tmp_path):
    for name, method in (("own", "plain"), ("averaged", averaging)):
        predict(series, make_network("LI", run=Run(network="n", method=method)), tmp_path / name, SMALL)
    own, averaged = ([pydicom.dcmread(path) for path in written(tmp_path / name)] for name in ("own", "averaged"))
    # LI commutes with turns, so the weights and the pixels are the same and only what is said of them differs
    assert [dataset.PixelData for dataset in own] == [dataset.PixelData for dataset in averaged]
    assert "network dncnn averaged over C4, weights" in averaged[1].DerivationDescription
    assert "averaged" not in own[1].DerivationDescription
    assert not {dataset.SOPInstanceUID for dataset in own} & {dataset.SOPInstanceUID for dataset in averaged}


def test_enhanced_ct(write_enhanced_ct, metal_hu, phantom, make_network, tmp_path):
    write_enhanced_ct(tmp_path / "in" / "e.dcm", np.stack([phantom, metal_hu]), [(1, -1024), (1, 0)])
    summary = predict(tmp_path / "in" / "e.dcm", make_network(), tmp_path / "out", SMALL)
    assert (summary.n_corrected, summary.n_unchanged) == (1, 1)
    for path, frame in zip(written(tmp_path / "out"), (phantom, metal_hu), strict=True):
        np.testing.assert_array_equal(image_hu(path), frame)


def test_a_mask_takes_the_place_of_the_threshold(series, make_network, tmp_path):
    masks = np.zeros((3, 64, 64), bool)
    masks[0, 30:34, 20:24] = True
    np.save(tmp_path / "mask.npy", masks)
    summary = predict(series, make_network("LI"), tmp_path / "out", changed(SMALL, mask=tmp_path / "mask.npy"))
    assert (summary.n_corrected, summary.n_unchanged) == (1, 2)
    first, second, _ = map(image_hu, written(tmp_path / "out"))
    assert (first != image_hu(series / "0.dcm")).any()
    np.testing.assert_array_equal(first[30:34, 20:24], image_hu(series / "0.dcm")[30:34, 20:24])
    np.testing.assert_array_equal(second, image_hu(series / "1.dcm"))


@pytest.mark.parametrize(
    ("masks", "message"),
    [(np.zeros((2, 64, 64)), "expected a mask for each image"), (np.zeros(3), "mask.npy: expected")],
)
def test_masks_that_do_not_fit(series, make_network, tmp_path, masks, message):
    np.save(tmp_path / "mask.npy", masks)
    with pytest.raises(InputError, match=message):
        predict(series, make_network(), tmp_path / "out", changed(SMALL, mask=tmp_path / "mask.npy"))


def test_a_mask_of_another_shape_refuses_its_image(series, make_network, tmp_path):
    np.save(tmp_path / "mask.npy", np.zeros((3, 32, 32)))
    settings = changed(SMALL, mask=tmp_path / "mask.npy")
    with pytest.raises(InputError, match="the mask has 32 × 32 pixels, the image 64 × 64"):
        predict(series, make_network(), tmp_path / "out", settings)


def test_what_is_refused_is_told(series, write_ct, metal_hu, make_network, tmp_path):
    write_ct(series / "scout.dcm", 8, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_ct(series / "slope.dcm", 9, RescaleSlope=None)
    (series / "notes.txt").write_text("not DICOM")
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((64, 64, 2), np.int16), np.diag([-2.0, -2.0, 5.0, 1.0])), series / "a.nii"
    )
    summary = predict(series, make_network("overflow"), tmp_path / "out", SMALL, quarantine=tmp_path / "q.csv")
    rows = read_rows(tmp_path / "q.csv", ["file", "reason", "remedy"])
    assert sorted(row["reason"] for row in rows) == sorted(
        [
            "image type LOCALIZER",
            "RescaleSlope is missing or not a number",
            "not a DICOM file: no preamble with 'DICM'",
            "not DICOM: a derived image needs a DICOM source",
            "the network's output is not finite",
        ]
    )
    assert (summary.n_corrected, summary.n_unchanged, len(written(tmp_path / "out"))) == (0, 2, 2)


def test_our_own_output_is_not_read_again(series, make_network, tmp_path):
    network = make_network()
    predict(series, network, tmp_path / "out", SMALL)
    with pytest.raises(InputError, match="image type SECONDARY"):
        predict(tmp_path / "out", network, tmp_path / "again", SMALL)


def test_the_command_says_which_images_stay_as_they_are_and_why(write_ct, metal_hu, phantom, make_network, tmp_path):
    speck = phantom.copy()
    speck[0, 0] = 3000  # a corner of the image, outside the working grid
    electrode = metal_hu.copy()
    electrode[31:33, 5:8] = 3000  # on the skin of the phantom, whose left edge lies at column 6
    for number, image in enumerate((phantom, phantom, metal_hu, speck, electrode)):
        write_ct(tmp_path / "in" / f"{number}.dcm", number, image_hu=image)
    summary = predict(
        tmp_path / "in", make_network("LI"), tmp_path / "out", PredictionChoices(image_size=60, pixel_mm=2)
    )
    (folder,) = {name.rpartition("/")[0] for names in summary.unchanged.values() for name in names}
    lines = str(summary).splitlines()
    assert lines[0] == "2 images corrected; 3 written with their pixels unchanged"
    assert lines[1] == f"unchanged: {folder}: 0–1: no metal above 2500 HU"
    assert lines[2].startswith(f"unchanged: {folder}: 3: its metal covers less than a quarter")
    assert lines[3].startswith(f"warning: metal on or outside the skin (electrodes, wires): {folder}: 4: compare")
    assert len(lines) == 4
    described = [pydicom.dcmread(tmp_path / "out" / folder / f"000{k}.dcm").DerivationDescription for k in (0, 3)]
    assert described[0].startswith("pixel values unchanged: no metal above 2500 HU;")
    assert described[1].startswith("pixel values unchanged: its metal covers less than a quarter")


def test_a_folder_that_holds_files_is_left_alone(series, make_network):
    with pytest.raises(InputError, match="new or empty folder"):
        predict(series, make_network(), series, SMALL)


@pytest.mark.slow
def test_no_identifier_leaves_the_folder(
    write_ct, write_enhanced_ct, metal_hu, phantom, make_network, tmp_path, capfd, caplog, monkeypatch
):
    inside = tmp_path / "in" / f"{CANARY}^JOHN" / "19770707"
    for number in range(3):
        plant(write_ct(inside / f"{CANARY}_{number}.dcm", number, image_hu=metal_hu))
    plant(write_ct(inside / f"{CANARY}_duplicate.dcm", 2, SOPInstanceUID="1.2.9"))
    plant(write_enhanced_ct(inside / f"{CANARY}_e.dcm", phantom[None, 2:-2], [(1, -1024)]))
    for number, tags in enumerate(({"ImageType": [CANARY] * 3}, {"PixelData": None}, {"RescaleSlope": None})):
        plant(write_ct(inside / f"{CANARY}_bad{number}.dcm", 10 + number, **tags))
    (inside / f"{CANARY}.txt").write_text(CANARY)
    assert traces((inside / f"{CANARY}_0.dcm").read_bytes()), "nothing was planted"
    options = [make_network("LI"), "--output", tmp_path / "out", "--threads", 2]
    options += ["--quarantine", tmp_path / "q.csv", "--image-size", 64, "--pixel-mm", 2]
    monkeypatch.setattr(sys, "argv", ["ctmar", "predict", *map(str, [tmp_path / "in", *options])])
    with caplog.at_level(logging.DEBUG), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    captured = capfd.readouterr()
    assert "3 images corrected; 1 written with their pixels unchanged" in captured.err
    assert traces((captured.out + captured.err + caplog.text).encode()) == []
    assert traces((tmp_path / "q.csv").read_bytes()) == []
    files = written(tmp_path / "out")
    assert len(files) == 4
    for path in files:
        assert traces(path.read_bytes()) == []
        assert traces(str(path.relative_to(tmp_path)).encode()) == []


def test_help_says_what_is_kept_and_what_it_is_not():
    shown = " ".join(CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "200"}).output.split())
    assert "not a medical device" in shown
    assert "Without it the patient is a pseudonym" in shown


def test_a_refused_file_can_be_found(series, make_network, tmp_path):
    (series / "smith.txt").write_text("not DICOM")
    predict(series, make_network(), tmp_path / "out", SMALL, quarantine=tmp_path / "q.csv")
    (row,) = read_rows(tmp_path / "q.csv", ["file"])
    shown = CliRunner().invoke(app, ["find-file", row["file"], str(series)])
    assert shown.output.strip() == str(series / "smith.txt")
    (tmp_path / "salt").write_text("another")
    with pytest.raises(InputError, match="no file is called"):
        CliRunner().invoke(
            app, ["find-file", row["file"], str(series), "--salt-file", str(tmp_path / "salt")], catch_exceptions=False
        )


def test_a_nifti_mask_lies_where_the_image_lies(series, make_network, tmp_path):
    masks = np.zeros((3, 64, 64), np.uint8)
    masks[0, 30:34, 20:24] = 1
    # RAS: columns run from right to left and rows from front to back, so both axes count down
    nibabel.save(nibabel.Nifti1Image(masks.transpose(2, 1, 0), np.diag([-2.0, -2.0, 5.0, 1.0])), tmp_path / "m.nii.gz")
    np.save(tmp_path / "m.npy", masks)
    network = make_network("LI")
    for name in ("m.npy", "m.nii.gz"):
        predict(series, network, tmp_path / name[2:], changed(SMALL, mask=tmp_path / name))
    for first, second in zip(written(tmp_path / "npy"), written(tmp_path / "nii.gz"), strict=True):
        np.testing.assert_array_equal(image_hu(first), image_hu(second))
    assert (image_hu(written(tmp_path / "npy")[0]) != image_hu(series / "0.dcm")).any()


@pytest.mark.slow
def test_metal_simulated_into_a_real_image(shared, make_network, tmp_path):
    """What a user has: 512 × 512 pixels of a scanner; the artefacts of a simulated scan are added to them."""
    source, given = shared / "nysbu_patients" / "003.dcm", tmp_path / "in.dcm"
    dataset = pydicom.dcmread(source)
    (image,) = read_images(source, 256)
    clean, row_mm, _ = read_display(image)
    y, x = np.mgrid[:512, :512]
    mask = (((y - 300) ** 2 + (abs(x - 256) - 30) ** 2) < 12**2).astype(np.uint8)
    scanner = build_scanner(Simulation(preset="physical", metal="cobalt_chromium"), 512, row_mm)
    paths, random = trace_slice(scanner, hu_to_attenuation(clean)), np.random.default_rng(0)
    artefact = scan_metal(scanner, paths, mask, random).ma_CT - scan_slice(scanner, paths, random)[0]
    with_metal = np.maximum(np.where(mask == 1, 3000, clean + artefact * 1000 / 0.192), -1023)
    raw = pixel_array(dataset)
    stored = np.where(raw == dataset.PixelPaddingValue, raw, with_metal - float(dataset.RescaleIntercept))
    dataset.PixelData = np.rint(stored).astype("<i2").tobytes()
    dataset.save_as(given)
    summary = predict(given, make_network("LI"), tmp_path / "out", PredictionChoices(image_size=256, pixel_mm=1.6))
    assert summary.n_corrected == 1
    (path,) = written(tmp_path / "out")
    distance = ndimage.distance_transform_edt(mask == 0)
    near = (distance > 4) & (distance < 60)
    before, after = image_hu(given), image_hu(path)
    error_before, error_after = (np.sqrt(np.mean((found - clean)[near] ** 2)) for found in (before, after))
    assert error_after < 0.6 * error_before
    np.testing.assert_array_equal(after[mask == 1], before[mask == 1])
    np.testing.assert_array_equal(after[before < -1900], before[before < -1900])
