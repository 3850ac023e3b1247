"""Tables of layers: means over seeds, of the settings that validation prefers."""

import pytest
from tests.ctmar.run_folders import description

from ctmar.config import Judgement
from ctmar.errors import InputError
from ctmar.evaluation.columns import layer_columns, layer_curve_columns
from ctmar.evaluation.layer_tables import layer_curve_rows, layer_places, layer_rows
from ctmar.evaluation.measured_study import read_study
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import LayerNorms, LayersAtEpoch


@pytest.fixture
def make_layers(make_run):
    """Write a plain run with two layers; of the second what is left out grows with the seed."""

    def make(seed: int, names: tuple[str, ...] = ("a.weight", "a.bias", "b.weight"), epochs: int = 2) -> RunFolder:
        folder = RunFolder(make_run("plain", seed=seed))
        rest = {name: 3.0 * k + seed for k, name in enumerate(names)}
        rows = [
            LayerNorms(
                name=name, norm_equivariant=4.0, norm_perpendicular=rest[name], ratio=0.1 * seed, norm="frobenius"
            )
            for name in names
        ]
        run = folder.read_description()
        folder.write_description(description(**dict(run) | {"layers": rows}))
        folder.write_layers(
            [LayersAtEpoch(epoch=k, norms={name: (4.0, rest[name] * k) for name in names}) for k in range(epochs)]
        )
        return folder

    return make


def models(*folders):
    return read_study([folder.path for folder in folders], Judgement()).models


def test_means_over_seeds(make_layers):
    rows = layer_rows(models(make_layers(0), make_layers(1)))
    assert [list(row) for row in rows] == [layer_columns()] * 3
    assert [(row["depth"], row["layer"], row["parameter"]) for row in rows] == [
        (1, "a", "weight"),
        (1, "a", "bias"),
        (2, "b", "weight"),
    ]
    assert [row["norm_perpendicular"] for row in rows] == [0.5, 3.5, 6.5]
    assert {(row["norm_equivariant"], row["ratio"], row["n_seeds"]) for row in rows} == {(4.0, 0.05, 2)}


def test_epochs_are_means_over_those_that_have_them(make_layers):
    short, long, without = make_layers(0, epochs=2), make_layers(1, epochs=3), make_layers(2)
    without.layers.unlink()
    rows = layer_curve_rows(models(short, long, without))
    assert {frozenset(row) for row in rows} == {frozenset(layer_curve_columns())}
    last = [(row["epoch"], row["norm_perpendicular"], row["n_seeds"]) for row in rows if row["layer"] == "b"]
    assert last == [(0, 0.0, 2), (1, 6.5, 2), (2, 14.0, 1)]


def test_a_study_without_the_files_has_no_rows(make_run):
    study = models(RunFolder(make_run("plain")))
    assert layer_rows(study) == []
    assert layer_curve_rows(study) == []


def test_layers_of_another_network_are_refused(make_layers):
    found = models(make_layers(0), make_layers(1, names=("a.weight",)))
    for rows in (layer_rows, layer_curve_rows):
        with pytest.raises(InputError, match=r"plain-1: expected the layers of .*plain-0, found others"):
            rows(found)


def test_a_network_of_one_layer_has_a_layer_without_a_name():
    assert layer_places(["weight"]) == {"weight": {"depth": 1, "layer": "", "parameter": "weight"}}
