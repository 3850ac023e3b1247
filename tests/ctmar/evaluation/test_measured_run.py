"""Pairs measured one by one: a trained run, the references, and the images kept for the report."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ctmar.run_folders import description

from ctmar.config import Evaluation, Network, Run
from ctmar.errors import InputError
from ctmar.evaluation import pair_metrics
from ctmar.evaluation.columns import METRICS, PAIR_COLUMNS, own_metric
from ctmar.evaluation.measured_run import Evaluator, evaluate_run
from ctmar.evaluation.metrics import psnr_fixed
from ctmar.evaluation.pair_metrics import example_pairs
from ctmar.evaluation.references import evaluate_references
from ctmar.evaluation.regions import metal_size
from ctmar.evaluation.truth import image_metrics
from ctmar.evaluation.turned import pair_input
from ctmar.models import build_network, layer_types
from ctmar.models.scaling import to_per_cm
from ctmar.simulation.signals import discs
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairFile, PairRecord, SliceRecord
from ctmar.store.run_folder import RunFolder
from ctmar.units import WATER_PER_CM
from equiproj import project_
from equiproj.groups import CyclicGroup

SIZE = 24
GROUP = CyclicGroup(4)
SETTINGS = Evaluation(examples=2, defect_slices=3)


@pytest.fixture(scope="module")
def pairs_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("pairs") / "test.h5"
    slices, pairs = [], []
    for k in range(2):
        image, ma_CT, LI_CT = (random.random((SIZE, SIZE), dtype=np.float32) * 0.4 for _ in range(3))
        slices.append(SliceRecord(image, image, f"patient-{k}", f"patient-{k}/1/{k:04d}", 3.0))
        for mask_index, size in enumerate((9, 1, 4)):
            mask = np.zeros((SIZE, SIZE), np.uint8)
            mask[5, 5 : 5 + size + k] = 1
            pairs.append(PairRecord(ma_CT, LI_CT, mask, k, mask_index, metal=("titanium", "steel")[k]))
    write_pairs(path, slices, pairs, "test", {"seed": 0})
    return path


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run whose network adds nothing to linear interpolation."""
    write_run(tmp_path, build_network("dncnn", fields=1, depth=3))
    return tmp_path


def write_run(folder: Path, network: torch.nn.Module, method: str = "plain") -> None:
    torch.save(network.state_dict(), folder / "weights.pt")
    run = Run(network="n", method=method)
    described = description(run=run, network=Network(settings={"fields": 1, "depth": 3}))
    RunFolder(folder).write_description(described)


def evaluate(folder: Path, pairs_test: Path) -> tuple[list[dict[str, str]], dict]:
    run = RunFolder(folder)
    evaluate_run(run, pairs_test, SETTINGS)
    return list(csv.DictReader(run.slices.open(newline=""))), json.loads(run.model.read_text())


def expected_row(pair, image) -> dict[str, str | float]:
    names = {"patient": pair.patient, "slice_id": pair.slice_id, "metal": pair.metal}
    numbers = {"mask_index": str(pair.mask_index), "metal_pixels": str(pair.metal_pixels)}
    size = {"metal_size": str(metal_size(pair.metal_pixels, SIZE * SIZE))}
    metrics = image_metrics(image, pair.image, pair.mask)
    return names | numbers | size | {name: pytest.approx(value, rel=1e-4) for name, value in metrics.items()}


def typed(row: dict[str, str]) -> dict[str, str | float]:
    assert list(row)[-len(PAIR_COLUMNS + METRICS) :] == [*PAIR_COLUMNS, *METRICS]
    return {k: float(v) if k in METRICS else v for k, v in row.items()}


def test_one_row_for_each_pair_in_the_order_of_the_file(run_folder, pairs_test):
    rows, _ = evaluate(run_folder, pairs_test)
    with PairFile(pairs_test) as file:
        expected = [expected_row(pair, pair.LI_CT) for pair in map(file.read_pair, range(6))]
    assert [typed(row) for row in rows] == expected


@pytest.mark.parametrize("kept_bytes", [2**28, 0, pair_metrics._BYTES_PER_PIXEL * SIZE**2 * 2])
def test_runs_measured_one_after_the_other_are_measured_alike(pairs_test, tmp_path, monkeypatch, kept_bytes):
    monkeypatch.setattr(pair_metrics, "_KEPT_BYTES", kept_bytes)
    alone, together = tmp_path / "alone", tmp_path / "together"
    names = ("first", "second")
    for folder in (alone / name for name in names):
        folder.mkdir(parents=True)
        network = build_network("dncnn", fields=1, depth=3)
        torch.nn.init.normal_(network.layers[-1].weight, std=0.1)
        write_run(folder, network)
    shutil.copytree(alone, together)
    for name in names:
        evaluate(alone / name, pairs_test)
    with Evaluator(pairs_test, SETTINGS) as evaluator:
        for name in names:
            evaluator.measure(RunFolder(together / name))
    for name in names:
        assert (alone / name / "slices.csv").read_text() == (together / name / "slices.csv").read_text()
        assert (alone / name / "examples.npz").read_bytes() == (together / name / "examples.npz").read_bytes()
        one, other = (RunFolder(folder / name).read_measurements() for folder in (alone, together))
        cost = {"seconds_per_image": 0.0, "peak_memory_mb": 0.0}
        assert one.model_copy(update=cost) == other.model_copy(update=cost)
    assert (alone / "first" / "slices.csv").read_text() != (alone / "second" / "slices.csv").read_text()


def test_only_pairs_of_the_patients_to_test_on_are_measured(run_folder, pairs_test):
    everybody, _ = evaluate(run_folder, pairs_test)
    with Evaluator(pairs_test, SETTINGS) as evaluator:
        evaluator.measure(RunFolder(run_folder), ["patient-1"])
    run = RunFolder(run_folder)
    assert list(csv.DictReader(run.slices.open(newline=""))) == everybody[3:]
    assert np.load(run.examples)["patient"].tolist() == ["patient-1"] * 2
    assert run.read_measurements().defect_pairs == 3
    chosen = [float(row["psnr_db"]) for row in everybody[3:]]
    assert run.read_measurements().psnr_turned_db["0"] == pytest.approx(np.mean(chosen), rel=1e-6)


@pytest.mark.parametrize(
    ("patients", "message"), [(["patient-0", "nobody"], "found none of nobody"), ([], "found none of any")]
)
def test_a_patient_without_pairs_is_one_line(run_folder, pairs_test, patients, message):
    with Evaluator(pairs_test, SETTINGS) as evaluator, pytest.raises(InputError, match=message):
        evaluator.measure(RunFolder(run_folder), patients)


def test_with_images_of_signals_a_run_says_how_well_they_are_found(run_folder, pairs_test, tmp_path):
    random = np.random.default_rng(5)
    slices, pairs = [], []
    for k in range(8):
        plain = np.full((48, 48), 0.2, np.float32)
        for image in (plain, plain + np.float32(0.01) * discs(48, [(20, 20)], 2.0)):
            slices.append(SliceRecord(image, image, f"patient-{k // 4}", f"{k}", 3.0))
            li = image + random.normal(0, 0.01, image.shape).astype(np.float32)
            pairs.append(PairRecord(0 * image, li, np.eye(48, dtype=np.uint8), len(pairs), 0, "titanium"))
    write_pairs(tmp_path / "signals.h5", slices, pairs, "test", {})
    with Evaluator(pairs_test, SETTINGS, signals=tmp_path / "signals.h5") as evaluator:
        evaluator.measure(RunFolder(run_folder), ["patient-1"])
    found = RunFolder(run_folder).read_measurements().detectability
    assert found["prediction"].n_images == 4
    assert found["prediction"].auc == found["LI"].auc > 0.6  # the network adds nothing to LI
    assert found["Input"].contrast_share == 0.0
    evaluate_run(RunFolder(run_folder), pairs_test, SETTINGS)
    assert RunFolder(run_folder).read_measurements().detectability is None


def test_measuring_a_run_imports_no_library_that_it_does_not_need(run_folder, pairs_test):
    program = (
        "import sys; from pathlib import Path; from ctmar.config import Evaluation;"
        " from ctmar.evaluation.measured_run import evaluate_run; from ctmar.store.run_folder import RunFolder;"
        f" evaluate_run(RunFolder(Path({str(run_folder)!r})), Path({str(pairs_test)!r}), Evaluation());"
        " sys.exit(', '.join({'sympy', 'pandas', 'skimage', 'matplotlib', 'sklearn', 'numba'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert finished.stderr == "\n"


def test_references_are_the_input_and_linear_interpolation(pairs_test, tmp_path):
    evaluate_references(pairs_test, SETTINGS, tmp_path)
    rows = list(csv.DictReader((tmp_path / "slices.csv").open(newline="")))
    with PairFile(pairs_test) as file:
        pairs = [file.read_pair(index) for index in range(6)]
    expected = [{"reference": "Input"} | expected_row(pair, pair.ma_CT) for pair in pairs]
    expected += [{"reference": "LI"} | expected_row(pair, pair.LI_CT) for pair in pairs]
    assert [typed(row) for row in rows] == expected


def mean_absolute_error_hu(prediction, truth, metal):
    """Of the user's own, as the column ``mae_hu`` has it; it spoils its arguments, which are copies."""
    error = 1000 / WATER_PER_CM * np.abs(prediction - truth)[~metal].mean()
    prediction[:], truth[:], metal[:] = 0, 0, True
    return error


def no_value(prediction, truth, metal):
    return float("nan")


def test_a_metric_of_the_users_own_is_measured_on_every_pair_of_runs_and_references(run_folder, pairs_test, tmp_path):
    texts = [f"{__name__}:{function.__name__}" for function in (mean_absolute_error_hu, no_value)]
    settings = SETTINGS.model_copy(update={"metrics": texts})
    error, nothing = map(own_metric, texts)
    evaluate_run(RunFolder(run_folder), pairs_test, settings)
    evaluate_references(pairs_test, settings, tmp_path / "references")
    for path, n_rows in ((run_folder / "slices.csv", 6), (tmp_path / "references" / "slices.csv", 12)):
        rows = list(csv.DictReader(path.open(newline="")))
        assert list(rows[0])[-2:] == [error, nothing]
        assert [float(row[error]) for row in rows] == [pytest.approx(float(row["mae_hu"])) for row in rows]
        assert [row[nothing] for row in rows] == [""] * n_rows


def test_examples_of_runs_and_references_are_the_same_pairs(run_folder, pairs_test, tmp_path):
    evaluate(run_folder, pairs_test)
    evaluate_references(pairs_test, SETTINGS, tmp_path / "references")
    run, references = (
        np.load(path, allow_pickle=False)
        for path in (run_folder / "examples.npz", tmp_path / "references" / "examples.npz")
    )
    for name in PAIR_COLUMNS:
        assert (run[name] == references[name]).all()
    assert run["metal_pixels"].tolist() == [1, 10]  # the smallest and the largest metal
    np.testing.assert_allclose(run["prediction"], references["LI_CT"], atol=1e-6)
    with PairFile(pairs_test) as file:
        smallest = file.read_pair(1)
    for name in ("image", "ma_CT", "LI_CT", "mask"):
        np.testing.assert_array_equal(references[name][0], getattr(smallest, name))
    assert run["prediction"].dtype == np.float32


def test_prediction_is_in_attenuation(run_folder, pairs_test):
    network = build_network("dncnn", fields=1, depth=3)
    torch.nn.init.constant_(network.layers[-1].bias, 0.1)
    write_run(run_folder, network)
    evaluate(run_folder, pairs_test)
    shift = np.load(run_folder / "examples.npz")["prediction"][0]
    with PairFile(pairs_test) as file:
        np.testing.assert_allclose(shift - file.read_pair(1).LI_CT, 0.05, atol=1e-6)


def test_non_equivariance_and_defect_are_those_of_the_weights(run_folder, pairs_test):
    torch.manual_seed(0)
    network = build_network("dncnn", fields=1, depth=3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    write_run(run_folder, network)
    _, model = evaluate(run_folder, pairs_test)
    whole = torch.cat([parameter.flatten() for parameter in network.parameters()])
    project_(network, GROUP, layers=layer_types(network, GROUP))
    projected = torch.cat([parameter.flatten() for parameter in network.parameters()])
    expected = ((whole - projected).norm() / whole.norm()).item()
    assert model["relative_non_equivariance"] == pytest.approx(expected, rel=1e-5)
    # the description of the run says: it began with ‖W‖ = 2 and ‖W − PW‖ = 1
    perpendicular = (whole - projected).norm().item()
    assert model["non_equivariance_growth"] == pytest.approx((perpendicular - 1) / 2, rel=1e-5)
    assert model["non_equivariance_of_start"] == pytest.approx(expected / 0.5, rel=1e-5)
    assert len(model["layers"]) == 6
    assert 0.01 < model["defect_mean"] <= model["defect_max"]
    assert model["defect_pairs"] == 3
    assert model["seconds_per_image"] > 0
    assert model["peak_memory_mb"] > 0
    assert model["defect_at_angles"].keys() == model["defect_floor_at_angles"].keys() == {"15", "30", "45"}
    assert len(set(model["psnr_turned_db"].values())) == 4
    write_run(run_folder, network)
    _, model = evaluate(run_folder, pairs_test)
    assert model["relative_non_equivariance"] < 1e-6
    assert model["defect_max"] < 1e-5
    assert max(model["psnr_turned_db"].values()) - min(model["psnr_turned_db"].values()) < 1e-3


def test_psnr_of_turned_inputs_is_that_of_the_slices_at_0_degrees(run_folder, pairs_test):
    rows, model = evaluate(run_folder, pairs_test)
    chosen = [float(rows[index]["psnr_db"]) for index in (0, 2, 5)]  # 3 of 6, evenly spaced
    assert model["psnr_turned_db"]["0"] == pytest.approx(np.mean(chosen), rel=1e-6)


def test_of_the_last_example_outputs_for_turned_inputs_are_kept(tmp_path, pairs_test):
    network = build_network("dncnn", fields=1, depth=3)
    torch.nn.init.normal_(network.layers[-1].weight, std=0.1)
    write_run(tmp_path, network)
    evaluate(tmp_path, pairs_test)
    kept = np.load(tmp_path / "examples.npz")
    with PairFile(pairs_test) as file:
        pairs = map(file.read_pair, range(6))
        last = (kept["slice_id"][-1], kept["mask_index"][-1])
        inputs = pair_input(next(pair for pair in pairs if (pair.slice_id, pair.mask_index) == last))
    with torch.inference_mode():
        outputs = [to_per_cm(network.eval()(torch.rot90(inputs, turns, (-2, -1))))[0] for turns in (1, 2, 3)]
    expected = [np.rot90(output, -turns) for turns, output in enumerate(outputs, start=1)]
    assert kept["turned_back"].shape == (1, 3, SIZE, SIZE)
    np.testing.assert_allclose(kept["turned_back"][0], expected, atol=1e-6)
    assert np.abs(kept["turned_back"][0] - kept["prediction"][-1]).max() > 1e-3  # this network is not equivariant


def test_references_keep_the_examples_of_every_fold(run_folder, pairs_test, tmp_path):
    folds = [["patient-0"], ["patient-1"], ["patient-1", "patient-0"]]
    evaluate_references(pairs_test, SETTINGS, tmp_path / "references", folds)
    kept = np.load(tmp_path / "references" / "examples.npz")
    names = list(zip(kept["slice_id"].tolist(), kept["mask_index"].tolist(), strict=True))
    assert len(set(names)) == len(names)
    with Evaluator(pairs_test, SETTINGS) as evaluator:
        for patients in folds:
            evaluator.measure(RunFolder(run_folder), patients)
            own = np.load(run_folder / "examples.npz")
            for k, name in enumerate(zip(own["slice_id"].tolist(), own["mask_index"].tolist(), strict=True)):
                np.testing.assert_allclose(own["prediction"][k], kept["LI_CT"][names.index(name)], atol=1e-6)
    rows = list(csv.DictReader((tmp_path / "references" / "slices.csv").open(newline="")))
    assert len(rows) == 12


def test_where_the_file_has_nmar_it_is_a_reference(tmp_path):
    random = np.random.default_rng(2)
    image, ma_CT, LI_CT, NMAR_CT = (random.random((SIZE, SIZE), dtype=np.float32) * 0.4 for _ in range(4))
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[3, 3:6] = 1
    pair = PairRecord(ma_CT, LI_CT, mask, 0, 0, "titanium", NMAR_CT=NMAR_CT)
    write_pairs(tmp_path / "test.h5", [SliceRecord(image, image, "p", "p/1/0000", 3.0)], [pair], "test", {})
    evaluate_references(tmp_path / "test.h5", SETTINGS, tmp_path)
    rows = list(csv.DictReader((tmp_path / "slices.csv").open(newline="")))
    assert [row["reference"] for row in rows] == ["Input", "LI", "NMAR"]
    assert float(rows[2]["psnr_db"]) == pytest.approx(psnr_fixed(NMAR_CT, image, mask))
    np.testing.assert_array_equal(np.load(tmp_path / "examples.npz")["NMAR_CT"][0], NMAR_CT)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_one_line(run_folder, pairs_test):
    with pytest.raises(InputError, match="expected a GPU"):
        evaluate_run(RunFolder(run_folder), pairs_test, SETTINGS, "cuda")


@pytest.mark.parametrize(("n_pairs", "n_examples", "expected"), [(5, 1, [0]), (5, 2, [0, 4]), (5, 9, [0, 1, 2, 3, 4])])
def test_examples_run_from_small_to_large_metal(n_pairs, n_examples, expected):
    assert example_pairs(np.arange(n_pairs), n_examples) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("weights.pt", None, "No such file"),
        ("weights.pt", b"no weights", "expected a state dictionary"),
        ("run.json", None, "expected a file written by `ctmar train`, found No such file"),
        ("run.json", b"{}", "expected the key 'run', found none"),
        ("run.json", b"not json", "Invalid JSON"),
    ],
)
def test_broken_files_are_one_line_and_leave_nothing(run_folder, pairs_test, name, content, message):
    (run_folder / name).unlink()
    if content is not None:
        (run_folder / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        evaluate(run_folder, pairs_test)
    assert "\n" not in str(raised.value)
    assert not list(run_folder.glob("*.csv"))


def test_weights_of_another_network_are_one_line(run_folder, pairs_test):
    torch.save(build_network("dncnn", fields=2, depth=3).state_dict(), run_folder / "weights.pt")
    with pytest.raises(InputError, match=r"expected key|expected .*shape") as raised:
        evaluate(run_folder, pairs_test)
    assert "\n" not in str(raised.value)


def test_an_empty_pair_file_is_one_line(run_folder, tmp_path):
    image = np.zeros((SIZE, SIZE), np.float32)
    write_pairs(tmp_path / "empty.h5", [SliceRecord(image, image, "p", "p/1/0000", 3.0)], [], "test", {})
    with pytest.raises(InputError, match="at least one pair"):
        evaluate(run_folder, tmp_path / "empty.h5")


def test_a_method_that_averages_is_measured_as_it_predicts(run_folder, pairs_test, averaging):
    torch.manual_seed(0)
    network = build_network("dncnn", fields=1, depth=3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    for folder, method in ((run_folder / "own", "plain"), (run_folder / "averaged", averaging)):
        folder.mkdir()
        write_run(folder, network, method)
        evaluate(folder, pairs_test)
    own, averaged = (json.loads((run_folder / name / "model.json").read_text()) for name in ("own", "averaged"))
    for name in ("relative_non_equivariance", "layers"):  # of the weights, which are the same
        assert own[name] == averaged[name]
    assert averaged["defect_max"] < 1e-6 < 0.01 < own["defect_mean"]
    turned = list(averaged["psnr_turned_db"].values())
    assert turned == pytest.approx([turned[0]] * 4, abs=1e-4)
    with PairFile(pairs_test) as file, torch.no_grad():
        seen = pair_input(file.read_pair(1))
        outputs = [torch.rot90(network(torch.rot90(seen, k, (2, 3))), -k, (2, 3)) for k in range(4)]
    found = np.load(run_folder / "averaged" / "examples.npz")["prediction"][0]
    np.testing.assert_allclose(found, to_per_cm(sum(outputs) / 4)[0], atol=1e-5)
