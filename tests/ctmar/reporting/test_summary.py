import dataclasses

import pytest

from ctmar.reporting import summary


def test_three_sentences_from_the_tables(results):
    what, quality, equivariance = summary.sentences(results, "dncnn")
    assert what.startswith("33 models of the network “dncnn” (11 settings: plain, rotation augmentation, EQ-Reg and ")
    assert "64 CT slices of 1 patient" in what
    assert "12 pairs of slice and metal from 2 other patients" in what
    best = results.models[(results.models["norm"] == "frobenius") & (results.models["lam_perp"] == 1e-2)].iloc[0]
    assert f"reaches {best['psnr_db_mean']:.2f} dB [{best['psnr_db_low']:.2f}, {best['psnr_db_high']:.2f}]" in quality
    assert f"{best['psnr_diff_db_mean']:+.2f} dB" in quality
    assert "better than plain training" in quality
    assert equivariance.startswith(
        "Projection, Frobenius: from λ⊥ = 10⁻⁴ to 10⁻¹ the relative non-equivariance of the weights goes from 0.73 to"
    )
    assert all(sentence.count(". ") == 0 and sentence.endswith(".") for sentence in (what, quality, equivariance))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.2, 0.1, "not distinguishable"), (-0.2, -0.1, "worse than plain"), (float("nan"), float("nan"), "no interval")],
)
def test_the_verdict_follows_the_interval(results, low, high, verdict):
    models = results.models.copy()
    models[["psnr_diff_db_low", "psnr_diff_db_high"]] = [low, high]
    assert verdict in summary.sentences(dataclasses.replace(results, models=models), "dncnn")[1]


def test_without_projection_the_summary_says_so(results):
    keep = {
        name: table[table["method"] != "projection"]
        for name, table in (("models", results.models), ("curves", results.curves))
    }
    _, quality, equivariance = summary.sentences(dataclasses.replace(results, **keep), "dncnn")
    assert quality == "No model with a projection penalty was trained; for orientation: Input 34.40 dB, LI 40.42 dB."
    assert equivariance == "Equivariance was not regularised."


def test_without_plain_there_is_no_comparison(results):
    keep = {
        name: table[table["method"] != "plain"]
        for name, table in (("models", results.models), ("curves", results.curves))
    }
    _, quality, equivariance = summary.sentences(dataclasses.replace(results, **keep), "dncnn")
    assert "plain" not in quality
    assert "plain" not in equivariance


def test_the_longest_sweep_is_told_whatever_norm_validation_prefers(results):
    sweep = summary.longest_sweep(results.models, "spectral")
    assert [(row["norm"], row["lam_perp"]) for row in sweep] == [
        ("frobenius", 10.0**power) for power in (-4, -3, -2, -1)
    ]
    one_each = results.models[results.models["lam_perp"] == 1e-2]
    assert summary.longest_sweep(one_each, "spectral")[0]["norm"] == "spectral"
    assert summary.longest_sweep(results.models[results.models["method"] == "plain"], "spectral") == []


def test_a_single_weight_is_compared_with_plain(results):
    keep = {
        name: table[(table["method"] != "projection") | ((table["norm"] == "frobenius") & (table["lam_perp"] == 1e-2))]
        for name, table in (("models", results.models), ("curves", results.curves))
    }
    equivariance = summary.sentences(dataclasses.replace(results, **keep), "dncnn")[2]
    assert equivariance.startswith("From plain training to that setting the relative non-equivariance")


def test_counts_agree_with_the_split(results):
    n = summary.counts(results)
    assert (n["n_train_slices"], n["n_validation_slices"], n["n_test_slices"]) == (64, 64, 21)
    assert n["n_slices"] == results.split["n_slices"].sum()
    assert n["n_test_patients"] == 2
