"""Pairs of the benchmark come out as they were stored, part by part, and a damaged file costs itself only."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from ctmar.cli.app import app
from ctmar.config import Ingest, Source, Split
from ctmar.datasets.benchmark_pairs import Imported, import_pairs
from ctmar.datasets.benchmark_slices import PIXEL_MM
from ctmar.datasets.ingest import ingest
from ctmar.datasets.split import split_patients, write_split
from ctmar.errors import InputError
from ctmar.store.pairs import PairFile
from ctmar.store.slices import open_slices
from ctmar.store.tables import read_rows

SIZE, N_MASKS = 48, 3
SLICES = {
    "train": ("000001_01_01/010", "000001_01_01/002", "000002_01_01/001", "000003_01_01/001"),
    "test": ("000007_01_01/001",),
}


def images_of(part: str, name: str, number: int) -> dict[str, np.ndarray]:
    """What stands in a file: images that differ in every file."""
    random = np.random.default_rng([*map(ord, part + name), number + 1])
    fields = ("image", "poly_CT") if number < 0 else ("ma_CT", "LI_CT")
    return {field: random.uniform(0, 0.5, (SIZE, SIZE)).astype(np.float32) for field in fields}


def store(path: Path, fields: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for field, image in fields.items():
            file.create_dataset(field, data=image)


def masks_of(part: str) -> np.ndarray:
    masks = np.zeros((SIZE, SIZE, N_MASKS), np.uint8)
    for number in range(N_MASKS):
        masks[20 : 22 + number, 20 : 24 if part == "train" else 30, number] = 1
    return masks


@pytest.fixture
def benchmark(tmp_path) -> Path:
    folder = tmp_path / "in"
    for part, names in SLICES.items():
        for name in names:
            place = folder / part / f"{part}_640geo" / name
            store(place / "gt.h5", images_of(part, name, -1))
            for number in range(N_MASKS):
                store(place / f"{number}.h5", images_of(part, name, number))
        (folder / part / f"{part}_640geo_dir.txt").write_text("".join(f"{name}/gt.h5\n" for name in names))
        np.save(folder / part / f"{part}mask.npy", masks_of(part))
    return folder


def run(folder: Path, out: Path, *arguments, size: int = SIZE) -> Imported:
    return import_pairs(folder, out / "pairs.h5", out / "q.csv", *arguments, settings=Ingest(image_size=size))


def reasons(out: Path) -> list[str]:
    return sorted(row["reason"] for row in read_rows(out / "q.csv", ["file", "reason", "remedy"]))


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_comes_out_as_it_is_stored(benchmark, tmp_path, part):
    n_slices = len(SLICES[part])
    assert run(benchmark, tmp_path, part) == Imported(n_slices, n_slices * N_MASKS, 0)
    with PairFile(tmp_path / "pairs.h5") as pairs:
        assert (pairs.subset, pairs.n_slices, set(pairs.metal)) == (part, n_slices, {"titanium"})
        assert set(pairs.pixel_mm) == {PIXEL_MM}
        names = sorted(SLICES[part])
        for index in range(pairs.n_pairs):
            pair = pairs.read_pair(index)
            name, number = names[index // N_MASKS], index % N_MASKS
            expected = {**images_of(part, name, -1), **images_of(part, name, number)}
            for field in ("image", "ma_CT", "LI_CT"):
                assert np.array_equal(getattr(pair, field), expected[field])
            assert np.array_equal(pair.mask, masks_of(part)[..., number])
            assert (pair.mask_index, pair.metal_pixels) == (number, int(masks_of(part)[..., number].sum()))
    with h5py.File(tmp_path / "pairs.h5") as file:
        assert np.array_equal(file["poly_CT"][0], images_of(part, names[0], -1)["poly_CT"])
        assert b"000001" not in (tmp_path / "pairs.h5").read_bytes()


def test_masks_are_taken_in_the_order_of_their_numbers(benchmark, tmp_path):
    place = benchmark / "test" / "test_640geo" / SLICES["test"][0]
    np.save(benchmark / "test" / "testmask.npy", np.repeat(masks_of("test"), 4, axis=2))
    for number in (10, 9):
        store(place / f"{number}.h5", images_of("test", "x", number))
    (place / "notes.h5").write_text("not a number: no pair")
    run(benchmark, tmp_path, "test")
    assert PairFile(tmp_path / "pairs.h5").mask_index.tolist() == [0, 1, 2, 9, 10]


def test_names_are_those_of_the_ingested_slices_and_a_split_deals_the_part_train(benchmark, tmp_path):
    settings = Ingest(image_size=SIZE)
    outputs = [tmp_path / name for name in ("slices.h5", "quarantine.csv")]
    ingest(benchmark, *outputs, settings=settings, source=Source(kind="syndeeplesion", folder=benchmark))
    with open_slices(outputs[0]) as slices:
        ingested = set(slices.slice_id)
        n_slices = {patient: slices.patient.count(patient) for patient in sorted(set(slices.patient))}
    run(benchmark, tmp_path, "test")
    published = set(PairFile(tmp_path / "pairs.h5").slice_id)
    held_out = dict.fromkeys(PairFile(tmp_path / "pairs.h5").patient, "test")
    split = split_patients(n_slices, Split(assignment=held_out, fractions={"train": 0.5, "validation": 0.5, "test": 0}))
    write_split(tmp_path / "split.csv", [split], n_slices)
    found = {}
    for subset in ("train", "validation", "test"):
        run(benchmark, tmp_path, subset, tmp_path / "split.csv")
        with PairFile(tmp_path / "pairs.h5") as pairs:
            found[subset] = set(pairs.slice_id)
            assert all(split[patient] == subset for patient in pairs.patient)
    assert found["test"] == published
    assert found["train"] | found["validation"] | found["test"] == ingested
    assert sum(map(len, found.values())) == len(ingested)
    # a split that gives a patient of the part `test` to training does not bring it there
    write_split(tmp_path / "split.csv", [dict.fromkeys(n_slices, "train")], n_slices)
    run(benchmark, tmp_path, "train", tmp_path / "split.csv")
    assert set(PairFile(tmp_path / "pairs.h5").slice_id) == ingested - published


def test_a_damaged_file_costs_itself_only(benchmark, tmp_path):
    first, second, third, fourth = (benchmark / "train" / "train_640geo" / name for name in SLICES["train"])
    cut = first / "1.h5"
    cut.write_bytes(cut.read_bytes()[:-3000])  # a pair
    cut = second / "gt.h5"
    cut.write_bytes(cut.read_bytes()[:-3000])  # a slice, and with it its pairs
    store(third / "0.h5", {"ma_CT": np.full((SIZE, SIZE), np.nan), "LI_CT": np.zeros((SIZE, SIZE))})
    store(third / "1.h5", {"ma_CT": np.zeros((SIZE, SIZE))})
    store(third / "7.h5", images_of("train", "x", 7))
    (fourth / "0.h5").unlink()
    (fourth / "0.h5").symlink_to(tmp_path / "elsewhere.h5")
    store(tmp_path / "elsewhere.h5", images_of("train", "x", 0))
    assert run(benchmark, tmp_path) == Imported(3, 2 + 1 + 2, 6)
    assert reasons(tmp_path) == sorted(
        [
            "not a readable HDF5 file",
            "not a readable HDF5 file",
            "values that are not finite",
            "no field 'LI_CT' of its own",
            "its metal mask is not in the file of masks",
            "a link that leaves the folder",
        ]
    )
    with PairFile(tmp_path / "pairs.h5") as pairs:
        assert pairs.mask_index.tolist() == [0, 2, 2, 1, 2]
        assert np.array_equal(pairs.read_pair(2).ma_CT, images_of("train", SLICES["train"][2], 2)["ma_CT"])


@pytest.mark.parametrize(
    ("break_it", "arguments", "expected"),
    [
        (
            "",
            ("validation",),
            "subset 'validation' has no patient with slices; parts .* here: test, train; deal the part 'train'",
        ),
        ("masks", ("train",), r"no pair can be used \(12 × its metal mask is not in the file"),
        ("pairs", ("train",), r"no pair can be used \(no file <k>.h5 beside"),
        ("size", ("train",), r"no pair can be used \(4 × image of 48 × 48, ingest.image_size is 32\)"),
        ("salt", ("train", "split"), "is the split of this folder, made with the same salt"),
    ],
)
def test_what_cannot_be_imported_ends_in_one_line(benchmark, tmp_path, break_it, arguments, expected):
    for path in benchmark.rglob("*"):
        if (break_it == "masks" and path.name == "trainmask.npy") or (break_it == "pairs" and path.stem.isdecimal()):
            path.is_file() and path.unlink()
    write_split(tmp_path / "split.csv", [{"p-00000000": "train"}], {"p-00000000": 1})
    arguments = [tmp_path / "split.csv" if argument == "split" else argument for argument in arguments]
    with pytest.raises(InputError, match=expected) as error:
        run(benchmark, tmp_path / "out", *arguments, size=32 if break_it == "size" else SIZE)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "pairs.h5").exists()


def test_a_patient_in_both_parts_cannot_be_split(benchmark, tmp_path):
    train = benchmark / "train" / "train_640geo_dir.txt"
    place = benchmark / "train" / "train_640geo" / SLICES["test"][0]
    store(place / "gt.h5", images_of("train", "x", -1))
    train.write_text(train.read_text() + f"{SLICES['test'][0]}/gt.h5\n")
    write_split(tmp_path / "split.csv", [{"p-00000000": "train"}], {"p-00000000": 1})
    with pytest.raises(InputError, match="patients in both of its parts"):
        run(benchmark, tmp_path, "train", tmp_path / "split.csv")
    assert run(benchmark, tmp_path, "train").n_slices == 4  # as published


def test_the_same_folder_gives_the_same_bytes(benchmark, tmp_path):
    for name in ("one", "two"):
        run(benchmark, tmp_path / name)
    assert (tmp_path / "one" / "pairs.h5").read_bytes() == (tmp_path / "two" / "pairs.h5").read_bytes()


def test_the_command_on_the_real_benchmark(shared, tmp_path):
    folder = shared / "syndeeplesion"
    done = CliRunner().invoke(app, ["import-pairs", str(folder), "--output", str(tmp_path / "pairs.h5")])
    assert done.exit_code == 0, done.output
    # one of the three slices is cut short, of another the mask is not public
    assert len(read_rows(tmp_path / "pairs.quarantine.csv", ["file", "reason", "remedy"])) == 2
    pair = PairFile(tmp_path / "pairs.h5").read_pair(0)
    assert (pair.mask_index, pair.metal_pixels) == (0, 254)
    with h5py.File(folder / "train" / "train_640geo" / "000195_02_02" / "202" / "0.h5") as file:
        assert np.array_equal(file["ma_CT"][()], pair.ma_CT)
        assert np.array_equal(file["LI_CT"][()], pair.LI_CT)
    assert pair.ma_CT[pair.mask == 1].min() > 1.0 > np.abs(pair.image).max()  # titanium where the mask says
