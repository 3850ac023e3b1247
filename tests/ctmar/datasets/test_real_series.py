"""A real series, spoilt in every way that exports are known to spoil one: what is usable comes out, and only that."""

import copy
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from ctmar.config import Ingest
from ctmar.datasets.ingest import ingest
from ctmar.store.slices import Slice, read_slices
from ctmar.store.tables import read_rows

SETTINGS = Ingest(image_size=128, pixel_mm=3.0)
N_SLICES = 20


@pytest.fixture(scope="module")
def datasets(shared) -> list[Dataset]:
    """The real series from foot to head, uncompressed so that its pixels can be changed."""
    datasets = [pydicom.dcmread(path) for path in (shared / "totalseg_abdomen_j2k").glob("*.dcm")]
    for dataset in datasets:
        dataset.decompress(generate_instance_uid=False)
    return sorted(datasets, key=lambda dataset: dataset.ImagePositionPatient[2])


@pytest.fixture(scope="module")
def whole(datasets, tmp_path_factory) -> list[Slice]:
    """The slices of the series as it is."""
    folder = tmp_path_factory.mktemp("whole")
    for number, dataset in enumerate(datasets):
        save(dataset, folder / "in" / f"{number:02d}.dcm")
    return run(folder / "in", folder / "out")[0]


def save(dataset: Dataset, path: Path, pixels: np.ndarray | None = None, **tags: object) -> None:
    """Write a changed copy."""
    changed = copy.deepcopy(dataset)
    if pixels is not None:
        tags |= {"Rows": pixels.shape[0], "Columns": pixels.shape[1], "PixelData": pixels.tobytes()}
    for keyword, value in tags.items():
        setattr(changed, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    changed.save_as(path, enforce_file_format=True)


def run(folder: Path, out: Path) -> tuple[list[Slice], list[dict[str, str]], list[str]]:
    """Slices, catalogue and reasons."""
    outputs = [out / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv", "thumbnails.npz")]
    ingest(folder, *outputs, settings=SETTINGS)
    reasons = [row["reason"] for row in read_rows(outputs[1], ["reason", "remedy"])]
    return read_slices(outputs[0]), read_rows(outputs[2], ["series"]), sorted(reasons)


def test_shuffled_names_change_nothing(datasets, whole, tmp_path):
    order = np.random.default_rng(0).permutation(N_SLICES)
    for name, number in enumerate(order):
        save(datasets[number], tmp_path / "in" / f"{name:02d}.dcm", InstanceNumber=int(name))
    slices, (row,), reasons = run(tmp_path / "in", tmp_path / "out")
    assert reasons == []
    assert (row["slice_spacing_mm"], row["n_missing"]) == ("2", "0")
    for record, expected in zip(slices, whole, strict=True):
        assert (record.slice_id, record.position_mm) == (expected.slice_id, expected.position_mm)
        assert np.array_equal(record.image, expected.image)


def test_missing_and_duplicated_slices_are_counted(datasets, tmp_path):
    for number in {*range(N_SLICES)} - {5, 6, 11}:
        save(datasets[number], tmp_path / "in" / f"{number:02d}.dcm")
    save(datasets[3], tmp_path / "in" / "copy.dcm", SOPInstanceUID="1.2.3.4")
    slices, (row,), reasons = run(tmp_path / "in", tmp_path / "out")
    assert (len(slices), row["n_missing"], row["n_duplicates"], row["slice_spacing_mm"]) == (17, "3", "1", "2")
    assert reasons == ["duplicate: another image of the series lies at the same position"]


def test_mixed_series_are_taken_apart(datasets, tmp_path):
    """Another kernel, spacing, series and patient at the same positions: five stacks, no duplicate."""
    changes = (
        {},
        {"ConvolutionKernel": ["B70f", "3"]},
        {"PixelSpacing": [0.8, 0.8]},
        {"SeriesInstanceUID": "1.2.3"},
        {"PatientID": "another", "FrameOfReferenceUID": "1.2.3.4"},
    )
    for place, tags in enumerate(changes):
        for number in range(3):
            save(datasets[number], tmp_path / "in" / f"{number}{place}.dcm", SOPInstanceUID=f"1.2.{place}", **tags)
    slices, rows, reasons = run(tmp_path / "in", tmp_path / "out")
    assert reasons == []
    assert (len(slices), len({row["patient"] for row in rows})) == (15, 2)
    assert [row["n_slices_kept"] for row in rows] == ["3"] * 5


def test_non_square_pixels_and_511_rows_show_the_same_body(datasets, whole, tmp_path):
    dataset, square = datasets[10], whole[10].image
    row_mm, column_mm = map(float, dataset.PixelSpacing)
    pairs_of_rows = dataset.pixel_array.reshape(256, 2, 512).mean(axis=1).astype(dataset.pixel_array.dtype)
    save(dataset, tmp_path / "a" / "a.dcm", pairs_of_rows, PixelSpacing=[2 * row_mm, column_mm])
    (record,), (row,), _ = run(tmp_path / "a", tmp_path / "out")
    assert (row["rows"], row["columns"], row["row_mm"]) == ("256", "512", f"{2 * row_mm:g}")
    # 1/cm: half the rows blur a little; a slip of row and column would move the body by centimetres
    assert np.abs(record.image - square).mean() < 0.004
    save(dataset, tmp_path / "b" / "b.dcm", dataset.pixel_array[:511, :511].copy())
    (record,), (row,), _ = run(tmp_path / "b", tmp_path / "out")
    assert (row["rows"], row["columns"]) == ("511", "511")
    assert np.abs(record.image - square).mean() < 0.004


def test_a_wrong_slope_and_a_missing_one_are_quarantined(datasets, tmp_path):
    save(datasets[0], tmp_path / "in" / "good.dcm")
    save(datasets[1], tmp_path / "in" / "wrong.dcm", RescaleSlope="0.001")
    save(datasets[2], tmp_path / "in" / "tripled.dcm", RescaleSlope="3")
    save(datasets[3], tmp_path / "in" / "unshifted.dcm", RescaleIntercept="0")
    missing = copy.deepcopy(datasets[4])
    del missing.RescaleSlope
    save(missing, tmp_path / "in" / "missing.dcm")
    slices, _, reasons = run(tmp_path / "in", tmp_path / "out")
    assert len(slices) == 1
    assert reasons == [
        "RescaleSlope is missing or not a number",
        "empty: body on less than 0.1 of the working grid",  # a thousandth of the slope: air everywhere
        "implausible Hounsfield numbers: median of the body not in -300 to 500 HU",
        "implausible Hounsfield numbers: no air below -500 HU",
    ]


def test_enhanced_ct_of_real_frames_is_the_series(datasets, whole, write_enhanced_ct, tmp_path):
    """The same frames in one file, each with a rescale of its own; 1 mm pixels."""
    frames = [
        dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept) for dataset in datasets
    ]
    rescales = [(1, -1024 - 10 * number) for number in range(N_SLICES)]
    write_enhanced_ct(tmp_path / "in" / "e.dcm", np.stack(frames), rescales, pixel_mm=1.0)
    for number, frame in enumerate(frames):
        stored = (frame + 1024).astype("<i2")
        save(datasets[number], tmp_path / "classic" / f"{number}.dcm", stored, PixelSpacing=[1, 1],
             RescaleIntercept=-1024, PixelRepresentation=1, BitsStored=16, HighBit=15,
             ImagePositionPatient=[-63, -63, 5 * number])  # fmt: skip
    enhanced, (row,), reasons = run(tmp_path / "in", tmp_path / "out")
    assert (row["n_slices_kept"], row["slice_spacing_mm"], reasons) == (str(N_SLICES), "5", [])
    classic, _, _ = run(tmp_path / "classic", tmp_path / "out")
    for left, right in zip(enhanced, classic, strict=True):
        np.testing.assert_allclose(left.image, right.image, atol=1e-6)


def test_planted_names_do_not_leave_an_archive(datasets, tmp_path, capfd):
    canary = "ZEBRAFINCH"
    with zipfile.ZipFile(tmp_path / f"{canary}.zip", "w") as archive:
        for number in range(3):
            name = f"{canary}_{number}.dcm"
            tags = {"PatientName": canary, "PatientID": canary, "InstitutionName": canary, "AccessionNumber": canary}
            save(datasets[number], tmp_path / name, **tags)
            archive.write(tmp_path / name, f"{canary}/{name}")
            archive.writestr(f"{canary}/{number}.txt", canary)
    slices, _, reasons = run(tmp_path / f"{canary}.zip", tmp_path / "out")
    assert (len(slices), len(reasons)) == (3, 3)
    captured = capfd.readouterr()
    told = (captured.out + captured.err).replace(str(tmp_path), "")
    assert canary not in told
    for path in (tmp_path / "out").iterdir():
        assert canary.encode() not in path.read_bytes() + path.name.encode()
