"""The study in three sentences, computed from its tables."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ctmar.reporting.examples import choose_models
from ctmar.reporting.labels import METHODS, number, scientific, series_label, weight
from ctmar.reporting.results import IDENTITY, StudyResults, rows_of
from ctmar.reporting.tables import judge_difference, model_name, plain_row


@dataclass(frozen=True)
class Fact:
    """A number of the study that a reader wants at once."""

    value: str
    name: str


def counts(results: StudyResults) -> dict[str, int]:
    """Numbers of patients, slices, test pairs, models and seeds."""
    split = results.split
    per_subset = split.groupby("subset")["n_slices"].sum()
    patients = split.groupby("subset")["patient"].nunique()
    subsets = ("train", "validation", "test")
    return {
        "n_patients": int(split["patient"].nunique()),
        "n_slices": int(split["n_slices"].sum()),
        **{f"n_{subset}_slices": int(per_subset.get(subset, 0)) for subset in subsets},
        **{f"n_{subset}_patients": int(patients.get(subset, 0)) for subset in subsets},
        "n_pairs": int(results.models["n_pairs"].max()),
        "n_tested_patients": int(results.models["n_patients"].max()),
        "n_runs": len(results.runs),
        "n_settings": len(results.models),
        "n_seeds": int(results.models["n_seeds"].max()),
    }


def facts(results: StudyResults) -> list[Fact]:
    """The counts that head the page."""
    n = counts(results)
    return [
        Fact(str(n["n_patients"]), "patients"),
        Fact(str(n["n_slices"]), "CT slices"),
        Fact(str(n["n_pairs"]), "test pairs"),
        Fact(str(n["n_settings"]), "settings compared"),
        Fact(str(n["n_seeds"]), "seeds"),
        Fact(str(n["n_runs"]), "models trained"),
    ]


def sentences(results: StudyResults, network: str) -> list[str]:
    """What was run on which data, what quality came out, and what happened to equivariance, for one network."""
    models = results.models[results.models["network"] == network]
    chosen = {identity[1]: identity for identity in choose_models(results.curves, network)}
    rows = {tuple(row[key] for key in IDENTITY): row for row in rows_of(models)}
    best = rows.get(chosen.get("projection", ()))
    plain = plain_row(models)
    return [
        _what_was_run(results, models, network),
        _quality(best, plain, results),
        _equivariance(models, best, plain),
    ]


def plural(n: int, noun: str, nouns: str = "") -> str:
    """A count with its noun, in the plural with an s unless ``nouns`` says otherwise.

    Examples:
        >>> plural(1, "patient"), plural(1200, "slice")
        ('1 patient', '1,200 slices')
    """
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def method_names(models: pd.DataFrame) -> list[str]:
    """The methods of a study as a sentence names them."""
    n_norms = models.loc[models["method"] == "projection", "norm"].nunique()
    names = {method: label.lower() for method, label in METHODS.items()} | {
        "eqreg": METHODS["eqreg"],
        "projection": f"projection with {plural(n_norms, 'norm')}",
    }
    return [names[method] for method in models["method"].unique()]


def _what_was_run(results: StudyResults, models: pd.DataFrame, network: str) -> str:
    n = counts(results)
    methods = method_names(models)
    n_runs = int(models["n_seeds"].sum())
    named = ", ".join(methods[:-1]) + " and " + methods[-1] if len(methods) > 1 else methods[0]
    return (
        f"{plural(n_runs, 'model')} of the network “{network}” ({plural(len(models), 'setting')}: {named}; "
        f"{plural(n['n_seeds'], 'seed')}) {'was' if n_runs == 1 else 'were'} trained on "
        f"{plural(n['n_train_slices'], 'CT slice')} of {plural(n['n_train_patients'], 'patient')} with simulated metal "
        f"and tested on {plural(n['n_pairs'], 'pair')} of slice and metal from "
        f"{plural(n['n_tested_patients'], 'other patient')}."
    )


def _quality(best: dict[str, Any] | None, plain: dict[str, Any] | None, results: StudyResults) -> str:
    references = {row["reference"]: row for row in rows_of(results.references)}
    around = ", ".join(f"{name} {number(row['psnr_db_mean'])} dB" for name, row in references.items())
    if best is None:
        return f"No model with a projection penalty was trained; for orientation: {around}."
    text = f"{model_name(best)}, the setting that validation prefers, reaches {_psnr(best)}"
    if plain is None:
        return f"{text} ({around})."
    verdict = {
        "above": "better than plain training beyond the interval",
        "below": "worse than plain training beyond the interval",
        "undecided": "not distinguishable from plain training",
        "": "no interval, so undecided",
    }[judge_difference(best["psnr_diff_db_low"], best["psnr_diff_db_high"])]
    difference = number(best["psnr_diff_db_mean"], 2, signed=True)
    low, high = (number(best[f"psnr_diff_db_{bound}"], 2, signed=True) for bound in ("low", "high"))
    return (
        f"{text}, against {_psnr(plain)} for plain training: a paired difference of {difference} dB [{low}, {high}], "
        f"{verdict} ({around})."
    )


def _equivariance(models: pd.DataFrame, best: dict[str, Any] | None, plain: dict[str, Any] | None) -> str:
    if best is None:
        return "Equivariance was not regularised."
    swept = longest_sweep(models, best["norm"])
    if len(swept) < 2:
        first, last, where = plain or best, best, "From plain training to that setting"
    else:
        first, last = swept[0], swept[-1]
        name = series_label("projection", first["norm"], first["lam_equi"])
        where = f"{name}: from λ⊥ = {weight(first['lam_perp'])} to {weight(last['lam_perp'])}"
    text = (
        f"{where} the relative non-equivariance of the weights goes from "
        f"{scientific(first['relative_non_equivariance_mean'])} to "
        f"{scientific(last['relative_non_equivariance_mean'])} and the defect measured on turned test slices from "
        f"{scientific(first['defect_mean'])} to {scientific(last['defect_mean'])}"
    )
    if plain is None or first is plain:
        return f"{text}."
    return (
        f"{text}; plain training ends at {scientific(plain['relative_non_equivariance_mean'])} and "
        f"{scientific(plain['defect_mean'])}."
    )


def longest_sweep(models: pd.DataFrame, preferred_norm: str) -> list[dict[str, Any]]:
    """The projection models of the norm and λ_G with the most λ⊥, in order; a tie goes to the preferred norm."""
    sweeps: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for row in rows_of(models):
        if row["method"] == "projection" and row["lam_perp"] > 0:
            sweeps.setdefault((row["norm"], row["lam_equi"]), []).append(row)
    longest = max(sweeps.items(), key=lambda item: (len(item[1]), item[0][0] == preferred_norm), default=(None, []))[1]
    return sorted(longest, key=lambda row: float(row["lam_perp"]))


def _psnr(row: dict[str, Any]) -> str:
    return f"{number(row['psnr_db_mean'])} dB [{number(row['psnr_db_low'])}, {number(row['psnr_db_high'])}]"
