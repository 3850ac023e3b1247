"""Each verdict, both ways, on studies whose outcome is known."""

import json
import re

import numpy as np
import pytest

from ctmar.config import Judgement, parse_settings
from ctmar.evaluation.claims import judge_claims
from ctmar.evaluation.measured_study import read_study
from ctmar.evaluation.pair_metrics import write_slices
from ctmar.evaluation.questions import ask_questions
from ctmar.evaluation.significance import holm
from ctmar.evaluation.verdicts import chosen, gaps
from ctmar.store.run_folder import RunFolder
from ctmar.store.tables import read_rows

from .conftest import PAIRS

SETTINGS = Judgement()


def cost(ratios: dict[tuple[str, str], float]) -> list[dict[str, str]]:
    """Rows of the cost table for a plain step of 10 ms."""
    return [
        {"method": method, "norm": norm, "ratio_to_plain": str(ratio), "penalty_milliseconds": str(10 * (ratio - 1))}
        for (method, norm), ratio in ratios.items()
    ]


RATIOS = {
    ("projection", "frobenius"): 1.01,
    ("projection", "spectral"): 1.03,
    ("projection", "entrywise:inf"): 1.02,
    ("projection", "mixed:2,1"): 1.02,
    ("eqreg", "none"): 2.0,
}
COST = cost(RATIOS)


def verdicts(runs, rows=COST) -> dict[str, str]:
    """Verdict by the first words of each claim."""
    found = judge_claims(read_study(runs, SETTINGS), rows)
    return {claim["claim"].split(" ")[0] + " " + claim["claim"].split(" ")[1]: claim["verdict"] for claim in found}


@pytest.fixture
def usual(make_run):
    """A study in which everything is as the paper says, but for the cost of the spectral norm."""

    def make(**psnr: float):
        level = {"plain": 30, "frobenius": 32, "spectral": 31.9, "inf": 29, "mixed": 31.95, "eqreg": 31, **psnr}
        runs = []
        for seed in (0, 1):
            runs += [make_run("plain", seed=seed, psnr=level["plain"], non_equivariance=0.9)]
            runs += [make_run("eqreg", lam_perp=0.1, seed=seed, psnr=level["eqreg"])]
            for lam, share in ((0.1, 0.5), (1.0, 0.1)):
                runs += [make_run("projection", "frobenius", lam, seed, level["frobenius"] - lam / 10, share)]
            for norm, key in (("spectral", "spectral"), ("entrywise:inf", "inf"), ("mixed:2,1", "mixed")):
                runs += [make_run("projection", norm, 0.1, seed, level[key])]
        return runs

    return make


def test_a_study_that_agrees(usual):
    found = verdicts(usual())
    assert found == {
        "Frobenius is": "agrees",
        "The spectral": "disagrees",
        "The entry-wise": "agrees",
        "Mixed (p,q)": "agrees",
        "Non-equivariance falls": "agrees",
        "Competitive with": "agrees",
    }


def test_a_better_and_no_dearer_norm_contradicts_frobenius(usual):
    rows = [{**row, "penalty_milliseconds": "0.1"} for row in COST]
    assert verdicts(usual(spectral=35), rows)["Frobenius is"] == "disagrees"
    assert verdicts(usual(spectral=35))["Frobenius is"] == "not decided"


def test_an_expensive_spectral_norm_agrees(usual):
    rows = cost({**RATIOS, ("projection", "spectral"): 1.12})
    assert verdicts(usual(), rows)["The spectral"] == "agrees"
    rows = cost({**RATIOS, ("projection", "spectral"): 1.44})
    assert verdicts(usual(), rows)["The spectral"] == "not decided"


def test_infinity_that_does_not_degrade(usual):
    assert verdicts(usual(inf=33))["The entry-wise"] == "disagrees"


def test_a_mixed_norm_far_away(usual):
    assert verdicts(usual(mixed=28))["Mixed (p,q)"] == "disagrees"


def test_one_of_many_norms_is_enough_to_contradict(usual, make_run):
    runs = usual() + [make_run("projection", "schatten:3", 0.1, seed, 35) for seed in (0, 1)]
    cheap = cost({**RATIOS, ("projection", "schatten:3"): 1.005})
    assert verdicts(runs, cheap)["Frobenius is"] == "disagrees"
    assert verdicts(runs, cost({**RATIOS, ("projection", "schatten:3"): 1.5}))["Frobenius is"] == "not decided"
    assert verdicts(runs)["Frobenius is"] == "not decided"  # its cost was not measured


def test_every_mixed_norm_counts(usual, make_run):
    runs = usual() + [make_run("projection", "mixed:1,2", 0.1, seed, 28) for seed in (0, 1)]
    assert verdicts(runs)["Mixed (p,q)"] == "disagrees"


def test_every_norm_with_a_sweep_must_fall(usual, make_run):
    rising = [make_run("projection", "nuclear", lam, seed, 30, lam) for lam in (0.1, 0.2) for seed in (0, 1)]
    found = judge_claims(read_study(usual() + rising, SETTINGS), COST)[4]
    assert found["verdict"] == "not decided"  # falls from the plain network, but not at every step
    assert "falls at every step and surely from end to end for 1 of 2 norms, not for nuclear" in found["measured"]


def test_every_sampling_regulariser_counts(usual, make_run):
    runs = usual() + [make_run("function_level", lam_perp=0.1, seed=seed, psnr=34) for seed in (0, 1)]
    rows = cost({**RATIOS, ("function_level", "none"): 2.0})
    assert verdicts(runs, rows)["Competitive with"] == "disagrees"
    runs = usual() + [make_run("function_level", lam_perp=0.2, seed=seed, psnr=31) for seed in (0, 1)]
    assert verdicts(runs)["Competitive with"] == "not decided"  # its cost was not measured


def test_the_equivariant_weight_is_no_part_of_the_norm_ablation(usual, make_run):
    runs = usual() + [make_run("projection", "frobenius", 0.1, seed, 50, lam_equi=1.0) for seed in (0, 1)]
    assert judge_claims(read_study(runs, SETTINGS), COST)[:5] == judge_claims(read_study(usual(), SETTINGS), COST)[:5]


def test_more_rivals_widen_the_intervals(make_run):
    runs = [make_run("plain", seed=seed, psnr=30 + 3 * seed) for seed in range(4)]
    runs += [make_run("augmentation", seed=seed) for seed in range(4)]
    study = read_study(runs, SETTINGS)
    pair = tuple(study.models)
    alone = gaps(study, {"a": pair})["a"]
    among = gaps(study, dict.fromkeys("abcdefgh", pair))["a"]
    assert alone.interval == study.difference(*pair, "psnr_db").interval(study.alpha)
    assert among.interval == study.difference(*pair, "psnr_db").interval(study.alpha / 8)
    assert among.interval.low < alone.interval.low < alone.interval.high < among.interval.high


def test_a_small_network_decides_nothing_about_cost(usual):
    runs = usual()
    for folder in runs:
        description = RunFolder(folder).read_description()
        RunFolder(folder).write_description(description.model_copy(update={"n_parameters": 31_440}))
    found = judge_claims(read_study(runs, SETTINGS), COST)
    of_cost = [row for row in found if "too small for a verdict on cost" in row["measured"]]
    assert [row["claim"].split()[0] for row in of_cost] == ["Frobenius", "The", "Competitive"]
    assert {row["verdict"] for row in of_cost} == {"not decided"}
    assert all("million parameters" in row["test"] for row in of_cost)


def test_claims_are_about_the_first_network_and_its_costs(usual):
    rows = [{**row, "network": "n"} for row in COST] + [{**row, "network": "o", "ratio_to_plain": "9"} for row in COST]
    assert verdicts(usual(), rows) == verdicts(usual())
    runs = usual()
    other = json.loads((runs[-1] / "run.json").read_text())
    (runs[-1] / "run.json").write_text(json.dumps(other | {"run": other["run"] | {"network": "o"}}))
    assert all(row["measured"].startswith("n: ") for row in judge_claims(read_study(runs, SETTINGS), COST))


PRIMARY = [
    {"method": "projection", "norm": "frobenius", "against": "plain"},
    {"method": "projection", "against": "strict"},
    {"method": "proximal", "against": "strict"},  # not in every study
]


def wavering(make_run, levels: dict[str, float], n_seeds: int = 6) -> list:
    """Runs of three patients whose differences between methods vary by seed, by patient and by both."""
    random = np.random.default_rng(0)
    runs = []
    for method, level in levels.items():
        patient = random.normal(0, 0.05, 3)
        for seed in range(n_seeds):
            psnr = level + random.normal(0, 0.05)
            own = [
                {**pair, "patient": name, "slice_id": f"{name}/1/{k}"}
                for name in "abc"
                for k, pair in enumerate(PAIRS[:2])
            ]
            setting = {"norm": "frobenius", "lam_perp": 0.1} if method == "projection" else {}
            folder = make_run(method, seed=seed, pairs=own, **setting)
            rows = read_rows(folder / "slices.csv", ())
            values = psnr + patient.repeat(2) + random.normal(0, 0.02, 6)
            write_slices(folder / "slices.csv", [r | {"psnr_db": v} for r, v in zip(rows, values, strict=True)])
            runs.append(folder)
    return runs


def primary(runs, comparisons=PRIMARY) -> list[dict[str, str]]:
    settings = parse_settings(Judgement, json.dumps({"primary": comparisons}))
    return ask_questions(read_study(runs, settings), COST)


def test_primary_comparisons_come_first_and_are_asked_once(make_run):
    found = primary(wavering(make_run, {"plain": 30.0, "strict": 30.6, "projection": 30.5}))
    assert [row["role"] for row in found[:2]] == ["primary", "primary"]
    assert {row["role"] for row in found[2:]} == {"exploratory"}
    assert found[0]["claim"] == "“Projection (frobenius)” has a higher PSNR than “Plain”."
    assert found[0]["source"] == "primary comparison 1 of 3"
    assert found[0]["verdict"] == "agrees"
    assert found[1]["verdict"] == "not decided"
    sentences = [row["claim"] for row in found]
    assert "The penalty improves on the plain network." not in sentences
    assert "Approximate equivariance is better than strict equivariance." not in sentences


def test_holm_is_over_the_primary_comparisons_alone(make_run):
    runs = wavering(make_run, {"plain": 30.0, "strict": 30.3, "projection": 30.5, "augmentation": 29.0})
    study = read_study(runs, SETTINGS)
    raw = [study.difference(study.models[2], study.models[k], "psnr_db").p_value() for k in (0, 1)]
    for row, p_value in zip(primary(runs), holm(np.array(raw)), strict=False):
        assert f"p after Holm {p_value:.3f}".replace("0.000", "below 0.001") in row["measured"]


def test_a_primary_comparison_that_fails_the_other_way_disagrees(make_run):
    runs = wavering(make_run, {"plain": 31.0, "projection": 30.0})
    assert primary(runs, PRIMARY[:1])[0]["verdict"] == "disagrees"


def test_one_seed_decides_nothing_and_says_what_it_takes(make_run):
    row = primary(wavering(make_run, {"plain": 31.0, "projection": 30.0}, n_seeds=1), PRIMARY[:1])[0]
    assert row["verdict"] == "not decided"
    assert "no interval" in row["measured"]
    assert "p after Holm unknown" in row["measured"]
    assert row["precision"] == "No interval: that takes at least two seeds and two patients."


def test_what_is_not_decided_says_what_would_decide_it(make_run):
    row = primary(wavering(make_run, {"plain": 30.0, "projection": 30.02}), PRIMARY[:1])[0]
    assert row["verdict"] == "not decided"
    assert re.fullmatch(
        r"Half-width now 0\.\d\d dB; would need about \d+ seeds with \d+ patients for 80% power to decide a difference"
        r" that lies 0\.\d\d dB from 0\.",
        row["precision"],
    )


def questions(runs) -> dict[str, str]:
    """Verdict of each question that was asked."""
    return {row["claim"]: row["verdict"] for row in ask_questions(read_study(runs, SETTINGS), COST)}


def test_questions_without_models_are_not_asked(make_run):
    assert questions([make_run("plain")]) == {}


def test_the_penalty_against_plain_augmentation_and_strict(usual, make_run):
    for level, expected in ((35, "disagrees"), (20, "agrees")):
        runs = usual() + [
            make_run(method, seed=seed, psnr=level)
            for method in ("augmentation", "strict", "test_time_average")
            for seed in (0, 1)
        ]
        found = questions(runs)
        assert found["The penalty improves on the plain network."] == "agrees"
        assert found["The penalty improves on rotation augmentation."] == expected
        assert found["Approximate equivariance is better than strict equivariance."] == expected
        averaging = "Training with the penalty is better than averaging the plain network over the group at test time."
        assert found[averaging] == expected
        assert found["No other way to an equivariant or nearly equivariant network is better."] == expected


@pytest.mark.parametrize("method", ["strict", "annealed", "test_time_average"])
def test_every_way_to_an_equivariant_network_counts(usual, make_run, method):
    runs = usual() + [make_run(method, seed=seed, psnr=40) for seed in (0, 1)]
    assert questions(runs)["No other way to an equivariant or nearly equivariant network is better."] == "disagrees"


@pytest.mark.parametrize(("psnr", "expected"), [(31.9, "agrees"), (25.0, "disagrees")])
def test_the_weight_of_the_equivariant_part(usual, make_run, psnr, expected):
    runs = usual() + [
        make_run("projection", "frobenius", 0.1, seed, psnr, lam_equi=1.0, validation_psnr=0) for seed in (0, 1)
    ]
    assert questions(runs)["The weight λ_G of the equivariant part matters little."] == expected


def test_quality_that_hangs_on_the_turn(usual):
    statement = "With the penalty, quality depends less on how the image is turned."
    assert questions(usual())[statement] == "not decided"  # both ranges are 3 dB
    runs = usual()
    for folder in runs:
        if "projection" in folder.name:
            model = json.loads((folder / "model.json").read_text())
            model["psnr_turned_db"] = dict.fromkeys(model["psnr_turned_db"], 30.0)
            (folder / "model.json").write_text(json.dumps(model))
    assert questions(runs)[statement] == "agrees"


@pytest.mark.parametrize(("psnr", "expected"), [(33, "agrees"), (29, "disagrees")])
def test_the_penalty_beside_the_optimiser_against_the_one_in_the_loss(make_run, psnr, expected):
    statement = "A network made equivariant is better by the proximal step from an equivariant start than by the loss"
    runs = [make_run("projection", "frobenius", 0.1, seed, 40, non_equivariance=0.5) for seed in (0, 1)]
    runs += [make_run("projection", "frobenius", 1.0, seed, 31, non_equivariance=0.001) for seed in (0, 1)]
    runs += [make_run("proximal", "none", 3.0, seed, 40, non_equivariance=0.5) for seed in (0, 1)]
    assert statement + " term from a drawn one." not in questions(
        runs
    )  # nothing beside the optimiser is nearly equivariant
    runs += [make_run("proximal", "none", 100.0, seed, psnr, non_equivariance=0.0) for seed in (0, 1)]
    assert questions(runs)[statement + " term from a drawn one."] == expected


def test_a_costly_projection_is_not_competitive(usual):
    rows = cost({**RATIOS, ("projection", "frobenius"): 3.0})
    assert verdicts(usual(), rows)["Competitive with"] == "disagrees"


def test_a_defect_that_rises(make_run):
    runs = [make_run("plain", non_equivariance=0.1)]
    runs += [make_run("projection", "frobenius", lam, non_equivariance=lam) for lam in (0.5, 0.9)]
    assert verdicts(runs)["Non-equivariance falls"] == "not decided"  # one seed has no interval
    runs += [make_run("plain", seed=1, non_equivariance=0.1)]
    runs += [make_run("projection", "frobenius", lam, seed=1, non_equivariance=lam) for lam in (0.5, 0.9)]
    assert verdicts(runs)["Non-equivariance falls"] == "disagrees"


def test_a_study_without_the_models_decides_nothing(make_run):
    found = verdicts([make_run("plain")], [])
    assert set(found.values()) == {"not decided"}


def test_a_lucky_single_seed_is_not_chosen(make_run):
    runs = [make_run("projection", "frobenius", 0.1, seed, validation_psnr=30) for seed in (0, 1)]
    runs += [make_run("projection", "spectral", 1.0, 0, validation_psnr=31)]
    assert chosen(read_study(runs, SETTINGS), "projection").norm == "frobenius"
    runs += [make_run("projection", "spectral", 1.0, 1, validation_psnr=31)]
    assert chosen(read_study(runs, SETTINGS), "projection").norm == "spectral"


def test_weights_are_chosen_on_validation_not_on_test(make_run):
    runs = [
        make_run("projection", "frobenius", 0.1, psnr=40, validation_psnr=30),
        make_run("projection", "frobenius", 1.0, psnr=20, validation_psnr=31),
    ]
    assert chosen(read_study(runs, SETTINGS), "projection", "frobenius").lam_perp == 1.0
