import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import study_config

from ctmar.config import Report
from ctmar.config.labels import model_label
from ctmar.errors import InputError
from ctmar.reporting import examples
from ctmar.reporting.choice import shown_settings
from ctmar.reporting.example_images import ExampleImage, Quality, read_example_pairs
from ctmar.reporting.required_columns import IDENTITY
from ctmar.reporting.study_files import read_results

ROOMY = 10_000_000
CONFIG = study_config()

SMALL = [("plain", "none", 0.0, 0.0, 0.0, 0.3, 0.9), ("projection", "frobenius", 1e-2, 0.0, 0.0, 0.26, 0.05)]


def build(results, max_bytes=ROOMY):
    return examples.build_examples(read_example_pairs(results, "dncnn"), Report(), max_bytes)


@pytest.fixture(scope="module")
def built(results):
    return build(results)


def test_every_example_has_every_panel_with_the_metrics_of_the_tables(built, results):
    assert (len(built.shown), built.n_left_out) == (3, 0)
    models = [model_label(dict(zip(IDENTITY, one, strict=True))) for one in shown_settings(results.models, "dncnn")]
    assert models[:4] == ["Plain", "EQ-Reg, λ\xa0=\xa010⁻³", "Annealed", "Projection, Frobenius, λ⊥\xa0=\xa010⁻²"]
    references = pd.read_csv(results.references_folder / "slices.csv")
    for example in built.shown:
        assert [panel.name for panel in example.panels] == ["Ground truth", "Input", "LI", "NMAR", *models]
        slice_id, mask = example.title.removeprefix("slice ").split(", mask ")
        row = references[
            (references["reference"] == "LI")
            & (references["slice_id"] == slice_id)
            & (references["mask_index"] == int(mask))
        ].iloc[0]
        assert example.panels[2].psnr == f"{row['psnr_db']:.2f}"
        assert f"PSNR {row['psnr_db']:.2f} dB, SSIM {row['ssim']:.3f}" in example.panels[2].alt
        assert example.n_metal == row["metal_pixels"]
        assert example.metal_mm2 == pytest.approx(9.0 * row["metal_pixels"])


def test_the_page_budget_leaves_examples_out_and_says_how_many(results, built):
    budget = built.shown[0].n_bytes + built.shown[1].n_bytes
    tight = build(results, budget)
    assert (len(tight.shown), tight.n_left_out) == (2, 1)
    assert tight.shown == built.shown[:2]


def test_pictures_shrink_before_fewer_than_two_examples_are_left(results, built):
    small = build(results, built.shown[0].n_bytes)
    assert len(small.shown) >= 2
    assert small.shown[0].n_bytes < built.shown[0].n_bytes / 2
    assert small.shown[0].size == built.shown[0].size  # the outline is still that of the whole grid


def test_without_nmar_there_is_no_panel_for_it(make_study):
    inputs = make_study([("plain", "none", 0.0, 0.0, 0.0, 0.3, 0.9)], [0], nmar=False)
    built = build(read_results(inputs, CONFIG))
    assert [panel.name for panel in built.shown[0].panels] == ["Ground truth", "Input", "LI", "Plain"]


def test_panel_shows_no_error_under_metal():
    truth = np.zeros((8, 8))
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4, 2:4] = 1
    quality = Quality.of({"psnr_db": 30.0, "ssim": 0.9, "rmse_hu": 12.0})
    wrong_in_metal, right = (
        examples._panel(ExampleImage("model", image, quality, "plain", None), truth, mask, Report())
        for image in (truth + 500.0 * mask, truth)
    )
    assert wrong_in_metal.error == right.error
    assert wrong_in_metal.picture != right.picture


def test_of_models_with_other_test_patients_the_common_pairs_are_shown(make_study):
    results = read_results(make_study(SMALL, [0]), CONFIG)
    record = next(record for record in results.records if record.identity[1] == "plain" and record.seed == 0)
    whole = build(results)
    with np.load(record.folder.examples) as file:
        arrays = {name: array[1:][::-1] for name, array in file.items()}  # another order does not matter
    np.savez_compressed(record.folder.examples, **arrays)
    left = build(results)
    assert left.shown == whole.shown[1:]
    assert left.n_left_out == 0


def test_a_model_with_other_example_pairs_is_left_out_and_named(make_study):
    results = read_results(make_study(SMALL, [0]), CONFIG)
    record = next(record for record in results.records if record.identity[1] == "plain" and record.seed == 0)
    path = record.folder.examples
    with np.load(path) as file:
        arrays = dict(file)
    np.savez_compressed(path, **(arrays | {"mask_index": arrays["mask_index"] + 1}))
    left = build(results)
    assert [panel.name for panel in left.shown[0].panels[4:]] == ["Projection, Frobenius, λ⊥\xa0=\xa010⁻²"]
    (lack,) = results.lacks.found
    assert lack.what == "Images of Plain"
    assert "not those of the references; evaluate again" in lack.why


@pytest.mark.filterwarnings("error")
def test_images_of_no_numbers_are_left_out_and_named(make_study):
    results = read_results(make_study(SMALL, [0]), CONFIG)
    record = next(record for record in results.records if record.identity[1] == "plain")
    with np.load(record.folder.examples) as file:
        arrays = dict(file)
    arrays["prediction"][0, 0, 0] = np.nan
    np.savez_compressed(record.folder.examples, **arrays)
    assert [panel.name for panel in build(results).shown[0].panels[4:]] == ["Projection, Frobenius, λ⊥\xa0=\xa010⁻²"]
    assert "expected finite values in prediction, found NaN or infinity" in results.lacks.found[0].why
    metrics = results.references_folder / "slices.csv"
    table = pd.read_csv(metrics)
    table[table["slice_id"] != str(arrays["slice_id"][0])].to_csv(metrics, index=False)
    with pytest.raises(InputError, match=r"slices\.csv: expected the example pairs, found none of slice"):
        build(results)


def test_pickled_examples_are_refused(results, tmp_path):
    np.savez(tmp_path / "examples.npz", image=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"expected array\(s\)"):
        build(dataclasses.replace(results, references_folder=tmp_path))
