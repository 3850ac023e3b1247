"""What the page opens with is said by the numbers, and no more than they carry."""

import dataclasses

import pandas as pd
import pytest

from ctmar.reporting.answer import limits, opening

DIFFERENCE = ["psnr_diff_db_mean", "psnr_diff_db_low", "psnr_diff_db_high"]


@pytest.fixture
def decided(results):
    """The study with every difference undecided, of which tests decide some."""
    models = results.models.copy()
    compared = models["method"] != "plain"
    models.loc[compared, DIFFERENCE] = [-0.04, -0.33, 0.25]
    models.loc[compared, "p_value_holm"] = 1.0

    def with_rows(method, mean, low, high, p_value=1.0):
        models.loc[models["method"] == method, [*DIFFERENCE, "p_value_holm"]] = [mean, low, high, p_value]
        return dataclasses.replace(results, models=models)

    return with_rows


def said(study, config):
    return opening(study, "dncnn", config.judgement)


def test_no_interval_above_zero_is_said_first(decided, config):
    answer = said(decided("eqreg", 0.1, -0.1, 0.3), config)[0]
    assert answer == (
        "No method is distinguishably better than plain training: of 18 methods and norms, no interval lies above 0."
    )


def test_a_worse_method_is_named(decided, config):
    answer = said(decided("strict", -0.5, -0.9, -0.1), config)[0]
    assert answer.endswith("no interval lies above 0; Strictly equivariant, −0.50 dB (−0.90 to −0.10) is worse.")


def test_what_does_not_survive_the_correction_is_no_answer(decided, config):
    answer = said(decided("eqreg", 0.2, 0.1, 0.3, p_value=0.4), config)[0]
    assert answer.startswith("No method is distinguishably better than plain training once all 26 settings compared")
    alone = "1 of 18 methods and norms has an interval above 0: EQ-Reg, λ\xa0=\xa010⁻³, +0.20 dB (+0.10 to +0.30)."
    assert answer.endswith(alone)


def test_what_survives_it_is_the_answer(decided, config):
    answer = said(decided("eqreg", 0.2, 0.1, 0.3, p_value=0.01), config)[0]
    assert answer.startswith("EQ-Reg, λ\xa0=\xa010⁻³ has a higher PSNR than plain training, also once all 26 settings")


def test_the_condition_is_named_where_the_study_has_several(decided, config):
    under = decided("eqreg", 0.1, -0.1, 0.3)
    dial = pd.DataFrame({"asymmetry": [0.0, 0.4], "slices": [0, 0]})
    answer = said(dataclasses.replace(under, dial=dial), config)[0]
    assert answer.startswith("Where the scanner is symmetric, no method is distinguishably better")


def test_the_papers_penalty_stands_beside_plain_strict_and_augmentation(decided, config):
    sentence = said(decided("strict", -0.5, -0.9, -0.1), config)[1]
    assert sentence == (
        "The paper’s penalty (Projection, Frobenius, λ⊥\xa0=\xa010⁻², as validation prefers it) changes the PSNR of"
        " plain training by −0.04 dB (95 % interval −0.33 to +0.25); strictly equivariant by −0.50 dB (−0.90 to −0.10)"
        " and rotation augmentation by −0.04 dB (−0.33 to +0.25)."
    )


def test_numbers_are_put_on_a_scale(results, config):
    scale = said(results, config)[2]
    plain = results.models.loc[results.models["method"] == "plain", "psnr_db_mean"].iloc[0]
    assert scale == f"For scale: uncorrected 34.4, linear interpolation 40.4, NMAR 41.3, plain training {plain:.1f} dB."


def test_without_intervals_nothing_is_decided(results, config):
    models = results.models.assign(psnr_diff_db_low=float("nan"), psnr_diff_db_high=float("nan"))
    answer = said(dataclasses.replace(results, models=models), config)[0]
    assert answer == "No difference to plain training has an interval, so this study decides nothing about quality."


def test_without_plain_training_there_is_no_comparison(results, config):
    models = results.models[results.models["method"] != "plain"]
    sentences = said(dataclasses.replace(results, models=models), config)
    assert sentences[0] == "This study has no plain training, so no method is compared with it."


def test_limits_name_patients_seeds_and_power(decided):
    few = decided("eqreg", 0.2, 0.1, 0.3)
    few.models.loc[few.models["method"] == "eqreg", "n_seeds"] = 1
    patients, seeds, power = limits(few, "dncnn")
    assert patients.startswith("Other patients: 12 test pairs come from 2 patients")
    assert seeds == "Other seeds: settings have 1 to 3 seeds; 1 of 26 have fewer than 3."
    assert "reach ±0.10 to ±0.29 dB, the median ±0.29 dB" in power
