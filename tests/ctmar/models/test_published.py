"""The authors' state dictionaries give the authors' images."""

import math
import pickle
import re
import zipfile

import pytest
import torch
from tests.ctmar.models.published_files import SETTINGS, SHAPES, sine_images, sine_state

from ctmar.errors import InputError
from ctmar.models import build_network, load_published_weights, load_weights

# Output pixels on the scale of 255 per 1/cm, at (image, row, column), of the authors' networks in double precision,
# in evaluation and training mode: github.com/hongwang01/{ACDNet, DICDNet, OSCNet}, run with the weights and images of
# `published_files` on 2026-11-21.
PIXELS = ((0, 0, 0), (0, 5, 6), (1, 11, 12), (1, 3, 9))
FROZEN = {
    ("acdnet", "eval"): (47.04314, 204.061333, 109.206029, 205.339757),
    ("acdnet", "train"): (44.564741, 204.063428, 107.890306, 205.170571),
    ("dicdnet", "eval"): (41.085809, 214.160506, 123.144192, 212.835843),
    ("dicdnet", "train"): (40.421336, 214.450503, 121.842065, 212.718421),
    ("oscnet", "eval"): (40.586367, 213.992434, 122.83505, 211.2161),
    ("oscnet", "train"): (39.877366, 214.277661, 120.517849, 210.825538),
    ("oscnetplus", "eval"): (38.506355, 213.80438, 123.65243, 210.789436),
    ("oscnetplus", "train"): (37.078067, 214.30209, 121.26249, 210.696317),
}


def saved(path, name, **changes):
    state = sine_state(SHAPES[name]) | changes
    torch.save({key: value for key, value in state.items() if value is not None}, path)
    return path


@pytest.mark.parametrize(("name", "mode"), FROZEN)
def test_gives_the_pixels_that_the_original_network_gave(tmp_path, name, mode):
    network = load_published_weights(name, saved(tmp_path / "weights.pt", name), **SETTINGS[name])
    network.double().train(mode == "train")
    output = 127.5 * network(sine_images().double())
    found = [output[image, 0, row, column].item() for image, row, column in PIXELS]
    assert found == pytest.approx(FROZEN[name, mode], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_data_parallel_files_and_our_own_load_alike(tmp_path, name):
    first = load_published_weights(name, saved(tmp_path / "theirs.pt", name), **SETTINGS[name])
    parallel = {f"module.{key}": value for key, value in sine_state(SHAPES[name]).items()}
    torch.save(parallel, tmp_path / "parallel.pt")
    torch.save(first.state_dict(), tmp_path / "ours.pt")
    for file in ("parallel.pt", "ours.pt"):
        again = load_weights(build_network(name, **SETTINGS[name]), tmp_path / file)
        for key, value in first.state_dict().items():
            assert torch.equal(again.state_dict()[key], value), key


def test_filter_that_evaluation_adds_is_checked(tmp_path):
    network = load_published_weights("oscnet", saved(tmp_path / "a.pt", "oscnet"), **SETTINGS["oscnet"])
    extra = {key: value.detach() for key, value in network.published_derived().items()}
    load_weights(network, saved(tmp_path / "b.pt", "oscnet", **extra))
    extra["fcnn.filter"] = extra["fcnn.filter"] + 0.1
    with pytest.raises(InputError, match=r"'fcnn\.filter' to follow from the other entries"):
        load_weights(network, saved(tmp_path / "c.pt", "oscnet", **extra))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tau": None}, "expected key 'sparsity'"),
        ({"tau": torch.ones(2)}, r"expected shape \(1,\) for 'sparsity', found \(2,\)"),
        ({"other": torch.ones(2)}, "found 'other'"),
        ({"tau": "text"}, "expected a dictionary of tensors, found str under 'tau'"),
        ({"tau": torch.tensor([math.nan])}, "expected finite numbers under 'tau', found NaN or infinity"),
        ({"tau": torch.ones(1).to_sparse()}, "expected plain real numbers under 'tau', found .* sparse_coo"),
        ({"tau": torch.ones(1, device="meta")}, "expected plain real numbers under 'tau', found .* meta"),
        ({"tau": torch.ones(1, dtype=torch.complex64)}, "expected plain real numbers under 'tau', found .* complex64"),
    ],
)
def test_files_that_do_not_fit_are_one_line_and_change_nothing(tmp_path, changes, message):
    network = build_network("dicdnet", **SETTINGS["dicdnet"])
    before = network.extra_filters.weight.clone()
    file = saved(tmp_path / "weights.pt", "dicdnet", **changes)
    with pytest.raises(InputError, match=message) as raised:
        load_weights(network, file)
    assert "\n" not in str(raised.value)
    assert str(file) in str(raised.value)
    assert torch.equal(network.extra_filters.weight, before)


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(1).expand(200_000, 200_000),
        torch.zeros(400_000).as_strided((200_000, 200_000), (1, 1)),
        torch.full((1,), math.nan).expand(200_000, 200_000),
    ],
)
@pytest.mark.parametrize("key", ["tau", "other", "fcnn.filter"])
def test_a_number_that_stands_for_many_is_refused(tmp_path, key, value):
    """160 GB from a file of some kilobytes."""
    file = saved(tmp_path / "weights.pt", "oscnet", **{key: value})
    assert file.stat().st_size < 3_000_000
    with pytest.raises(InputError, match=rf"weights\.pt: expected every number of '{re.escape(key)}' in the file"):
        load_published_weights("oscnet", file, **SETTINGS["oscnet"])


def test_an_archive_that_unpacks_to_more_than_itself_is_refused_unopened(tmp_path):
    torch.save({"a": torch.zeros(50_000_000)}, tmp_path / "large.pt")
    with (
        zipfile.ZipFile(tmp_path / "large.pt") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry))
    assert (tmp_path / "bomb.pt").stat().st_size < 300_000
    with pytest.raises(InputError, match=r"bomb\.pt: expected an archive of torch.save, found one that unpacks to 2"):
        load_weights(build_network("dncnn"), tmp_path / "bomb.pt")


class NotATensor:
    """What ``weights_only=True`` must refuse to make."""


def test_unreadable_files_are_one_line(tmp_path):
    network = build_network("dicdnet", **SETTINGS["dicdnet"])
    (tmp_path / "text.pt").write_text("not a state dictionary")
    torch.save({"a": NotATensor()}, tmp_path / "object.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"a": NotATensor()}, protocol=5))
    torch.save({}, tmp_path / "empty.pt")
    for file in ("missing.pt", "text.pt", "object.pt", "pickle.pt", ""):
        with pytest.raises(InputError, match=re.escape(f"{tmp_path / file}: expected a state dictionary")) as raised:
            load_weights(network, tmp_path / file)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="expected a dictionary of tensors, found an empty one"):
        load_weights(network, tmp_path / "empty.pt")


@pytest.mark.filterwarnings("error")
def test_a_refused_file_is_one_line_without_warnings(tmp_path):
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"a": 1}, protocol=5))
    with pytest.raises(InputError, match="expected a state dictionary"):
        load_weights(build_network("dncnn"), tmp_path / "pickle.pt")


def test_settings_must_be_those_of_the_file(tmp_path):
    with pytest.raises(InputError, match="check the network's settings"):
        load_published_weights("acdnet", saved(tmp_path / "a.pt", "acdnet"), **SETTINGS["acdnet"] | {"n_atoms": 8})
