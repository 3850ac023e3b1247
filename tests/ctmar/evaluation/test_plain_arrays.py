"""Plain arrays in, both protocols out; every mistake is one line."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ctmar.cli import app
from ctmar.errors import InputError
from ctmar.evaluation.metrics import psnr_fixed, ssim_fixed
from ctmar.evaluation.official import psnr_official, ssim_official
from ctmar.evaluation.plain_arrays import as_json, as_table, mean_of, measure_images
from ctmar.evaluation.regions import errors_hu

NAMES = ("prediction", "truth", "metal")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two images of 48 × 44 pixels with a little metal."""
    random = np.random.default_rng(0)
    truth = random.random((2, 48, 44)) * 0.45
    arrays = (truth + random.normal(0, 0.02, truth.shape), truth, random.random(truth.shape) > 0.95)
    paths = {name: tmp_path / f"{name}.npy" for name in NAMES}
    for path, array in zip(paths.values(), arrays, strict=True):
        np.save(path, array)
    return paths


def test_a_stack_is_measured_image_by_image(files):
    images = [np.load(path) for path in files.values()]
    measured = measure_images(**files)
    assert len(measured) == 2
    for k, image in enumerate(measured):
        one = [array[k] for array in images]
        assert image["fixed"] == {"psnr_db": psnr_fixed(*one), "ssim": ssim_fixed(*one)}
        assert image["official"] == {"psnr_db": psnr_official(*one), "ssim": ssim_official(*one)}
        assert list(image["errors_hu"].values()) == pytest.approx(list(errors_hu(*one).values()), nan_ok=True)


def test_a_single_image_is_a_stack_of_one(files):
    stack = measure_images(**files)
    for path in files.values():
        np.save(path, np.load(path)[1])
    assert measure_images(**files) == stack[1:]


def test_means_leave_out_absent_regions():
    images = [{"fixed": {"psnr_db": 30.0}, "errors_hu": {"rmse_bone": value}} for value in (10.0, math.nan, 30.0)]
    assert mean_of(images) == {"fixed": {"psnr_db": 30.0}, "errors_hu": {"rmse_bone": 20.0}}
    assert math.isnan(mean_of(images[1:2])["errors_hu"]["rmse_bone"])


def test_equal_images_are_valid_json(files):
    measured = measure_images(files["truth"], files["truth"], files["metal"])
    text = json.dumps(as_json(measured), allow_nan=False)
    found = json.loads(text)
    assert (found["fixed"], found["n_images"], len(found["images"])) == ({"psnr_db": None, "ssim": 1.0}, 2, 2)
    assert "inf" in as_table(measured)


def test_the_command_prints_both_protocols(files):
    arguments = ["evaluate-images", *(text for name in NAMES for text in (f"--{name}", str(files[name])))]
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    mean = mean_of(measure_images(**files))
    for protocol in ("fixed", "official"):
        assert f"{mean[protocol]['psnr_db']:.2f}" in table.output
        assert f"{mean[protocol]['ssim']:.4f}" in table.output
    printed = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert printed["official"] == mean["official"]
    assert printed["fixed"] == mean["fixed"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("prediction", lambda image: image[:, :-1], r"prediction\.npy: expected the shape \(2, 48, 44\)"),
        ("metal", lambda image: image[0], r"metal\.npy: expected the shape"),
        ("prediction", lambda image: np.where(image > 0.44, np.nan, image), "found NaN or infinity"),
        ("truth", lambda image: 1000 * (image / 0.192 - 1), r"truth\.npy: expected attenuation in 1/cm .* from HU"),
        ("truth", lambda image: image / 10, r"truth\.npy: expected attenuation in 1/cm .* from 1/mm"),
        ("prediction", lambda image: (255 * image).astype(np.uint8), "expected attenuation in 1/cm"),
        ("truth", lambda image: image[0, 0], r"expected shape \(h, w\) or \(n, h, w\)"),
        ("truth", lambda image: image[:0], r"expected shape \(h, w\)"),
        (
            "truth",
            lambda image: image.astype(complex),
            r"truth\.npy: expected an array of .* complex128",
        ),
        ("metal", lambda image: image | [[[False]], [[True]]], r"metal\.npy: expected pixels without .* in image 1"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(files, name, change, message):
    np.save(files[name], change(np.load(files[name])))
    with pytest.raises(InputError, match=message) as raised:
        measure_images(**files)
    assert "\n" not in str(raised.value)


def test_images_smaller_than_the_window_are_one_line(files):
    for path in files.values():
        np.save(path, np.load(path)[:, :10])
    with pytest.raises(InputError, match=r"truth\.npy: expected images of at least 11 × 11 pixels"):
        measure_images(**files)


def test_pickles_are_never_loaded(files):
    np.save(files["truth"], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="expected an array of numbers"):
        measure_images(**files)


@pytest.mark.parametrize("content", [None, b"", b"no array", b"PK\x03\x04"])
def test_files_that_are_no_arrays_are_one_line(files, content):
    files["metal"].unlink()
    if content is not None:
        files["metal"].write_bytes(content)
    with pytest.raises(InputError, match=r"metal\.npy: (file not found|expected an array)"):
        measure_images(**files)
