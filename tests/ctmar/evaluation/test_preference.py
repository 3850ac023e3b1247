"""Which setting stands for others: validation decides, between equals in seeds, once for every table."""

import json

from ctmar.config import Judgement
from ctmar.evaluation.columns import CHOICES, IDENTITY
from ctmar.evaluation.measured_study import read_study
from ctmar.evaluation.preference import choices

SETTINGS = Judgement()


def chosen(runs, column: str = "chosen") -> list[tuple]:
    """Method, norm and λ⊥ of the models with a true value in a column."""
    found = choices(read_study(runs, SETTINGS))
    assert all(set(row) == set(CHOICES) for row in found.values())
    return [identity[1:4] for identity, row in found.items() if row[column]]


def test_one_of_each_method_and_norm_in_the_order_of_the_study_by_validation_not_by_test(make_run):
    runs = [
        make_run("plain"),
        make_run("projection", "spectral", 0.1, psnr=50, validation_psnr=30),
        make_run("projection", "spectral", 1.0, psnr=20, validation_psnr=31),
        make_run("projection", "frobenius", 0.1, psnr=20, validation_psnr=40),
        make_run("projection", "frobenius", 1.0, psnr=50, validation_psnr=39),
        make_run("eqreg", "none", 0.5, psnr=1),
    ]
    assert chosen(runs) == [
        ("plain", "none", 0.0),
        ("projection", "spectral", 1.0),
        ("projection", "frobenius", 0.1),
        ("eqreg", "none", 0.5),
    ]


def test_one_of_each_kind_whatever_its_method_and_norm(make_run):
    runs = [
        make_run("strict", validation_psnr=33),
        make_run("annealed", validation_psnr=34),
        make_run("projection", "frobenius", 0.1, validation_psnr=40),
        make_run("projection", "nuclear", 0.1, validation_psnr=41),
        make_run("proximal", "none", 3.0, validation_psnr=42),
        make_run("augmentation", validation_psnr=0),
    ]
    expected = [("annealed", "none", 0.0), ("proximal", "none", 3.0), ("augmentation", "none", 0.0)]
    assert chosen(runs, "chosen_of_kind") == expected


def test_a_lucky_single_seed_is_never_preferred(make_run):
    runs = [make_run("projection", "frobenius", 0.1, seed, validation_psnr=30) for seed in (0, 1)]
    runs += [make_run("projection", "frobenius", 1.0, 0, validation_psnr=100)]
    for column in ("chosen", "chosen_of_kind"):
        assert chosen(runs, column) == [("projection", "frobenius", 0.1)]
        both = [*runs, make_run("projection", "frobenius", 1.0, 1, validation_psnr=100)]
        assert chosen(both, column) == [("projection", "frobenius", 1.0)]


def test_softness_tells_settings_apart(make_run):
    runs = [make_run("softness", softness=value, validation_psnr=30 + value) for value in (0.5, 0.1)]
    found = choices(read_study(runs, SETTINGS))
    place = IDENTITY.index("softness")
    assert {identity[place]: row["chosen"] for identity, row in found.items()} == {0.5: True, 0.1: False}


def test_networks_are_chosen_apart(make_run):
    runs = [make_run("projection", "frobenius", weight, validation_psnr=30 + weight) for weight in (0.1, 1.0)]
    for folder in runs[:1]:
        description = json.loads((folder / "run.json").read_text())
        description["run"]["network"] = "other"
        (folder / "run.json").write_text(json.dumps(description))
    found = choices(read_study(runs, SETTINGS))
    assert [list(row.values()) for row in found.values()] == [[True] * 3] * 2


def test_a_validation_without_number_prefers_nothing(make_run):
    nan = float("nan")
    runs = [
        make_run("projection", "spectral", 0.1, validation_psnr=nan),
        make_run("projection", "spectral", 1.0, validation_psnr=31),
        make_run("projection", "frobenius", 0.1, validation_psnr=nan),
        make_run("eqreg", "none", 0.5, 0, validation_psnr=nan),
        make_run("eqreg", "none", 0.5, 1, validation_psnr=33),
    ]
    for order in (runs, runs[::-1]):
        assert chosen(order) == [("projection", "spectral", 1.0)]
    assert chosen([runs[1], make_run("projection", "spectral", 0.2, validation_psnr=float("inf"))]) == [
        ("projection", "spectral", 0.2)
    ]
