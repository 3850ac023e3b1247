import dataclasses

import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import SEEDS, SETTINGS

from ctmar.config.methods import METHODS
from ctmar.reporting import summary


def only(results, keep):
    """The study without the settings for which ``keep`` is false."""
    tables = {name: getattr(results, name) for name in ("models", "runs", "curves")}
    return dataclasses.replace(results, **{name: table[keep(table)] for name, table in tables.items()})


def test_sentences_from_the_tables(results):
    what, quality, measures, equivariance, others = summary.sentences(results, "dncnn")
    n_models, n_settings = len(SEEDS) * len(SETTINGS), len(SETTINGS)
    start = f"{n_models} models of the network “dncnn” ({n_settings} settings: plain, rotation augmentation, EQ-Reg, "
    assert what.startswith(start)
    assert ", softness, projection with 8 norms" in what
    assert all(facts.in_a_sentence in what for facts in METHODS.values())
    assert "64 CT slices of 1 patient" in what
    assert "12 pairs of slice and metal from 2 other patients" in what
    frobenius = (results.models["norm"] == "frobenius") & (results.models["lam_equi"] == 0)
    best = results.models[frobenius & (results.models["lam_perp"] == 1e-2)].iloc[0]
    assert f"reaches {best['psnr_db_mean']:.2f} dB [{best['psnr_db_low']:.2f}, {best['psnr_db_high']:.2f}]" in quality
    assert f"{best['psnr_diff_db_mean']:+.2f} dB" in quality
    assert "better than plain training" in quality
    assert "in all but name" not in quality  # its ‖W−PW‖ is 5 % of ‖W‖
    assert f"PSNR under the protocol official is {best['psnr_official_db_mean']:.2f} dB against" in measures
    assert f"soft tissue (RMSE) {best['rmse_soft_hu_mean']:.1f} HU against" in measures
    assert equivariance.startswith(
        "Projection, Frobenius: from λ⊥ = 10⁻⁴ to 10⁻¹ the relative non-equivariance of the weights goes from 0.73 to"
    )
    assert others.startswith("Validation prefers of the sample-based methods EQ-Reg, λ\xa0=\xa010⁻³ (")
    assert "2.31 × the plain step)" in others
    assert "; a step with Projection, Frobenius takes " in others
    assert " of the weight-based methods Annealed (" in others
    assert all(text.count(". ") == 0 and text.endswith(".") for text in (what, quality, equivariance, others))


@pytest.mark.parametrize(
    ("share", "defect", "name"),
    [
        (0.001, 0.0, "a strictly equivariant network in all but name"),
        (0.5, 0.95, "a plain network in all but name (with 90% of its measured defect or more)"),
    ],
)
def test_the_headline_names_the_model_that_it_is_about(results, share, defect, name):
    models = results.models.copy()
    penalty = models["chosen_of_kind"] & (models["norm"] == "frobenius")
    plain = models.loc[models["method"] == "plain", "defect_mean"].iloc[0]
    models.loc[penalty, ["relative_non_equivariance_mean", "defect_mean"]] = [share, defect * plain]
    assert f" and {name}, reaches " in summary.sentences(dataclasses.replace(results, models=models), "dncnn")[1]


def test_without_a_table_of_patients_no_number_of_them_is_told(results):
    sentence = summary.sentences(dataclasses.replace(results, split=results.split.iloc[:0]), "dncnn")[0]
    assert sentence.endswith(
        "trained on CT slices with simulated metal and tested on 12 pairs of slice and metal from 2 patients."
    )


def test_folds_are_told(results):
    other = results.split.assign(fold=1, subset=["test", "train", "validation", "test"])
    folds = pd.concat([results.split, other], ignore_index=True)
    sentence = summary.sentences(dataclasses.replace(results, split=folds), "dncnn")[0]
    assert (
        "trained on CT slices of 1 patient in each of 2 folds, 2 in all, with simulated metal: the models" in sentence
    )
    assert sentence.endswith("in all on 12 pairs of slice and metal from 2 patients.")


def test_a_study_without_the_newer_measures_has_fewer_sentences(results):
    old = results.models.drop(columns=[name for name in results.models if "official" in name or "rmse_" in name])
    sentences = summary.sentences(dataclasses.replace(results, models=old), "dncnn")
    assert len(sentences) == 4
    assert not any("official" in sentence for sentence in sentences)


def test_claims_are_counted(results):
    verdicts = [claim["verdict"] for claim in results.claims]
    sentence = summary.claims_sentence(results.claims)
    counted = [verdicts.count(verdict) or "none" for verdict in ("agrees", "disagrees", "not decided")]
    assert "this study supports {}, contradicts {} and cannot decide {}.".format(*counted) in sentence


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.2, 0.1, "not distinguishable"), (-0.2, -0.1, "worse than plain"), (float("nan"), float("nan"), "no interval")],
)
def test_the_verdict_follows_the_interval(results, low, high, verdict):
    models = results.models.copy()
    models[["psnr_diff_db_low", "psnr_diff_db_high"]] = [low, high]
    assert verdict in summary.sentences(dataclasses.replace(results, models=models), "dncnn")[1]


def test_the_proximal_step_may_be_the_penalty_that_validation_prefers(results):
    study = only(results, lambda table: table["method"] != "projection")
    strongest = (study.models["method"] == "proximal") & (study.models["lam_perp"] == 100)
    chosen_of_kind = study.models["chosen_of_kind"] | strongest
    study = dataclasses.replace(study, models=study.models.assign(chosen_of_kind=chosen_of_kind))
    _, quality, _, equivariance, _ = summary.sentences(study, "dncnn")
    assert quality.startswith(
        "Proximal step, λ⊥\xa0=\xa0100, the setting that validation prefers and a strictly equivariant network in all"
        " but name, reaches"
    )
    assert equivariance.startswith("Proximal step: from λ⊥ = 3 to 100 the relative non-equivariance")


def test_without_a_penalty_the_summary_says_so(results):
    study = only(results, lambda table: ~table["method"].isin(["projection", "proximal"]))
    _, quality, _ = summary.sentences(study, "dncnn")
    assert quality == (
        "No model with a projection penalty was trained; for orientation: Input 34.40 dB, LI 40.42 dB, NMAR 41.34 dB."
    )
    plain = only(results, lambda table: table["method"] == "plain")
    assert summary.sentences(plain, "dncnn")[-1] == "Equivariance was not regularised."


def test_without_plain_there_is_no_comparison(results):
    study = only(results, lambda table: table["method"] != "plain")
    _, quality, equivariance, _ = summary.sentences(study, "dncnn")
    assert "plain" not in quality
    assert "plain" not in equivariance


def test_the_longest_sweep_is_told_whatever_norm_validation_prefers(results):
    sweep = summary.longest_sweep(results.models, "projection", "spectral")
    assert [(row["norm"], row["lam_perp"]) for row in sweep] == [
        ("frobenius", 10.0**power) for power in (-4, -3, -2, -1)
    ]
    one_each = results.models[results.models["lam_perp"] == 1e-2]
    assert summary.longest_sweep(one_each, "projection", "spectral")[0]["norm"] == "spectral"
    assert summary.longest_sweep(results.models[results.models["method"] == "plain"], "projection", "spectral") == []
    assert [row["lam_perp"] for row in summary.longest_sweep(results.models, "proximal")] == [3.0, 100.0]


def test_a_single_weight_is_compared_with_plain(results):
    study = only(results, lambda table: (table["method"] == "plain") | (table["lam_perp"] == 1e-2))
    study = only(study, lambda table: (table["method"] == "plain") | (table["norm"] == "frobenius"))
    study = only(study, lambda table: table["lam_equi"] == 0)
    sentences = summary.sentences(study, "dncnn")
    assert len(sentences) == 4  # there is nothing but the penalty to prefer
    assert sentences[3].startswith("From plain training to that setting the relative non-equivariance")


def test_counts_agree_with_the_split(results):
    n = summary.counts(results)
    assert (n["n_train_slices"], n["n_validation_slices"], n["n_test_slices"]) == (64, 64, 21)
    assert n["n_slices"] == results.split["n_slices"].sum()
    assert n["n_test_patients"] == 2


def test_a_method_that_is_last_by_one_measure_and_first_by_the_other_is_named(results):
    """Train-then-project of the default study: no reader shall take its SSIM for a rank."""

    def with_ssim(best):
        models = results.models.copy()
        its = models["method"] == "train_then_project"
        assert its.sum() == 1
        models.loc[its, "psnr_db_mean"] = models["psnr_db_mean"].min() - 1
        models.loc[its, "ssim_mean"] = models["ssim_mean"].max() + (0.01 if best else -0.01)
        return dataclasses.replace(results, models=models)

    said = [one for one in summary.sentences(with_ssim(best=True), "dncnn") if one.startswith("The measures disagree")]
    assert len(said) == 1
    assert said[0].startswith("The measures disagree about Train, then project: of ")
    assert "it has the lowest PSNR and the highest SSIM (" in said[0]
    assert not any("The measures disagree" in one for one in summary.sentences(with_ssim(best=False), "dncnn"))
