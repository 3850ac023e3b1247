"""The study in a few plain sentences, computed from its tables."""

import math
from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pandas as pd

from ctmar.config.labels import model_label, number, scientific, series_label, setting_label, weight
from ctmar.config.methods import METHODS, Kind
from ctmar.evaluation.verdicts import NEARLY_EQUIVARIANT
from ctmar.reporting.choice import Identity, shown_settings
from ctmar.reporting.missing_runs import n_missing
from ctmar.reporting.required_columns import IDENTITY
from ctmar.reporting.shown_tables import judge_difference
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.wording import from_to, listing, plural

VERDICTS = {
    "above": "better than plain training",
    "below": "worse than plain training",
    "undecided": "not distinguishable from plain training",
    "": "no interval, so undecided",
}
_METHODS = "methods and norms"
_OTHER_WAY_ROUND = ("ssim_mean", "psnr_db_mean", "SSIM", "PSNR")
_NEARLY_PLAIN = 0.9  # of the measured defect of the plain network
_OTHER_MEASURES = (  # column, words before, decimals, unit
    ("psnr_official_db_mean", "PSNR under the protocol official is", 2, " dB"),
    ("rmse_soft_hu_mean", "the error in soft tissue (RMSE)", 1, " HU"),
    ("rmse_near_metal_hu_mean", "the error near the metal", 1, " HU"),
)


@dataclass(frozen=True)
class Fact:
    """A number of the study that a reader wants at once."""

    value: str
    name: str


def counts(results: StudyTables) -> dict[str, int]:
    """Numbers of patients, slices, test pairs, models and seeds."""
    # in several folds a patient is in several subsets; each counts once in each
    split = results.split.drop_duplicates(["patient", "subset"])
    per_subset = split.groupby("subset")["n_slices"].sum()
    patients = split.groupby("subset")["patient"].nunique()
    subsets = ("train", "validation", "test")
    return {
        "n_patients": int(split["patient"].nunique()),
        "n_slices": int(split.drop_duplicates("patient")["n_slices"].sum()),
        **{f"n_{subset}_slices": int(per_subset.get(subset, 0)) for subset in subsets},
        **{f"n_{subset}_patients": int(patients.get(subset, 0)) for subset in subsets},
        # of no model, where every run diverged
        "n_pairs": int(results.models["n_pairs"].max() if len(results.models) else 0),
        "n_tested_patients": int(results.models["n_patients"].max() if len(results.models) else 0),
        "n_runs": len(results.runs),
        "n_diverged": len(results.diverged),
        "n_settings": len(results.models),
        "n_seeds": int(results.models["n_seeds"].max() if len(results.models) else 0),
        "n_planned": len(results.planned),
        "n_missing": n_missing(results),
    }


def patients_in_words(split: pd.DataFrame, subset: str) -> str:
    """How many patients a subset has; where folds share them out anew, how many of them a model saw.

    Examples:
        >>> split = pd.DataFrame({"fold": [0, 0, 1], "subset": ["train"] * 3, "patient": ["a", "b", "c"]})
        >>> patients_in_words(split, "train"), patients_in_words(split[split["fold"] == 1], "train")
        ('1 to 2 patients in each of 2 folds, 3 in all', '1 patient')
    """
    own = split[split["subset"] == subset]
    every, of_each = own["patient"].nunique(), own.groupby("fold")["patient"].nunique()
    if len(of_each) < 2:
        return plural(every, "patient")
    return f"{from_to(of_each, 'patient')} in each of {len(of_each)} folds, {every} in all"


def facts(results: StudyTables) -> list[Fact]:
    """The counts that head the page."""
    n = counts(results)
    every = [
        Fact(str(n["n_patients"]), "patients"),
        Fact(str(n["n_slices"]), "CT slices"),
        Fact(str(n["n_pairs"]), "test pairs"),
        Fact(str(n["n_settings"]), "settings compared"),
        Fact(*from_to(results.models["n_seeds"], "seed").rsplit(" ", 1)),
        Fact(str(n["n_runs"]), "models compared"),
        Fact(str(n["n_diverged"]), "diverged"),
        Fact(str(n["n_missing"]), "planned and missing"),
    ]
    return [fact for fact in every if fact.value != "0"]


def sentences(results: StudyTables, network: str) -> list[str]:
    """What was run on which data, what came out, against what, and at which cost, for one network."""
    models = results.models[results.models["network"] == network]
    rows = {tuple(row[key] for key in IDENTITY): row for row in rows_of(models)}
    penalties = [key for key in shown_settings(results.models, network) if METHODS[key[1]].kind is Kind.PENALTY]
    best = rows[penalties[0]] if penalties else None
    plain = _plain_row(models)
    said = [
        _what_was_run(results, models, network),
        _quality(best, plain, models, results),
        _other_measures(best, plain),
        _disagreement(models),
        _equivariance(models, best, plain),
        _against_others(results, network, rows, best),
    ]
    return [sentence for sentence in said if sentence]


def claims_sentence(claims: list[dict[str, str]]) -> str:
    """How many of the paper's claims this study agrees with.

    Examples:
        >>> claims_sentence([{"verdict": "agrees"}, {"verdict": "agrees"}])
        'Of the paper’s 2 claims, this study supports 2, contradicts none and cannot decide none.'
    """
    n = Counter(claim["verdict"] for claim in claims)
    return (
        f"Of the paper’s {plural(len(claims), 'claim')}, this study supports {_few(n['agrees'])}, contradicts "
        f"{_few(n['disagrees'])} and cannot decide {_few(n['not decided'])}."
    )


def _few(n: int) -> str:
    return str(n or "none")


def primary_sentence(rows: list[dict[str, str]]) -> str:
    """How many of the primary comparisons are decided, and which.

    Examples:
        >>> primary_sentence([{"verdict": "agrees", "claim": "A is better."}])
        'Of 1 primary comparison 1 is decided: A is better (agrees).'
        >>> primary_sentence([])
        'The configuration names no primary comparison.'
    """
    if not rows:
        return "The configuration names no primary comparison."
    decided = [f"{row['claim'].rstrip('.')} ({row['verdict']})" for row in rows if row["verdict"] != "not decided"]
    text = (
        f"Of {plural(len(rows), 'primary comparison')} {len(decided) or 'none'} {'are' if len(decided) > 1 else 'is'}"
    )
    return f"{text} decided: {'; '.join(decided)}." if decided else f"{text} decided."


def method_names(models: pd.DataFrame) -> list[str]:
    """The methods of a study as a sentence names them."""
    names = []
    for method, norms in models.groupby("method", sort=False)["norm"]:
        facts = METHODS[str(method)]
        names.append(facts.in_a_sentence + (f" with {plural(norms.nunique(), 'norm')}" if facts.reads_norm else ""))
    return names


def _what_was_run(results: StudyTables, models: pd.DataFrame, network: str) -> str:
    n = counts(results)
    methods = method_names(models)
    n_runs = int(models["n_seeds"].sum())
    named = listing(methods)
    trained = (
        f"{plural(n_runs, 'model')} of the network “{network}” ({plural(len(models), 'setting')}: {named}; "
        f"{from_to(models['n_seeds'], 'seed')}) {'was' if n_runs == 1 else 'were'} trained on "
    )
    if results.split.empty:  # what is known of the patients is missing, and the banner says so
        return f"{trained}CT slices with simulated metal and tested on {_tested(n)}."
    n_folds = results.split["fold"].nunique()
    if n_folds > 1:
        return (
            f"{trained}CT slices of {patients_in_words(results.split, 'train')}, with simulated metal: the models of a "
            "seed belong to one fold and were tested on the patients that neither trained nor validated them, in all "
            f"on {_tested(n)}."
        )
    return (
        f"{trained}"
        f"{plural(n['n_train_slices'], 'CT slice')} of {plural(n['n_train_patients'], 'patient')} with simulated metal "
        f"and tested on {_tested(n, 'other ')}."
    )


def _tested(n: dict[str, int], other: str = "") -> str:
    return f"{plural(n['n_pairs'], 'pair')} of slice and metal from {plural(n['n_tested_patients'], other + 'patient')}"


def _without_penalty(models: pd.DataFrame) -> str:
    """Why no penalty is told of."""
    if not any(METHODS[method].kind is Kind.PENALTY for method in models["method"]):
        return "No model with a projection penalty was trained"
    return "Of the models with a projection penalty validation prefers none: its PSNR is no number"


def _quality(
    best: dict[str, Any] | None, plain: dict[str, Any] | None, models: pd.DataFrame, results: StudyTables
) -> str:
    references = {row["reference"]: row for row in rows_of(results.references)}
    around = ", ".join(f"{name} {number(row['psnr_db_mean'])} dB" for name, row in references.items())
    beside = f" ({around})" if around else ""
    if best is None:
        return f"{_without_penalty(models)}; for orientation: {around}." if around else f"{_without_penalty(models)}."
    text = (
        f"{model_name(best)}, the setting that validation prefers{_in_all_but_name(best, plain)}, reaches {_psnr(best)}"
    )
    if plain is None:
        return f"{text}{beside}."
    difference = number(best["psnr_diff_db_mean"], 2, signed=True) + " dB" + _limits(best, "psnr_diff_db", signed=True)
    verdict = VERDICTS[judge_difference(best["psnr_diff_db_low"], best["psnr_diff_db_high"])]
    return f"{text}, against {_psnr(plain)} for plain training: a paired difference of {difference}, {verdict}{beside}."


def _in_all_but_name(row: dict[str, Any], plain: dict[str, Any] | None) -> str:
    """What to call a network whose penalty left nothing of the broken symmetry, or next to all of it."""
    if row["relative_non_equivariance_mean"] < NEARLY_EQUIVARIANT:
        return " and a strictly equivariant network in all but name"
    is_plain = plain is not None and row["defect_mean"] > _NEARLY_PLAIN * plain["defect_mean"]
    return f" and a plain network in all but name (with {_NEARLY_PLAIN:.0%} of its measured defect or more)" * is_plain


def _other_measures(best: dict[str, Any] | None, plain: dict[str, Any] | None) -> str:
    """The same comparison under the other protocol, and in Hounsfield units."""
    if best is None or plain is None:
        return ""
    clauses = [
        f"{before} {number(best[column], digits)}{unit} against {number(plain[column], digits)}{unit}"
        for column, before, digits, unit in _OTHER_MEASURES
        if math.isfinite(best.get(column, math.nan)) and math.isfinite(plain.get(column, math.nan))
    ]
    return f"On the same images, {listing(clauses)}." if clauses else ""


def _disagreement(models: pd.DataFrame) -> str:
    """A method that is last by PSNR and first by SSIM, or the other way round: no single number ranks the methods."""
    own = [
        row
        for row in rows_of(models[models["chosen"] & models["standard"]])
        if math.isfinite(row["psnr_db_mean"]) and math.isfinite(row["ssim_mean"])
    ]
    for measure, other, last, first in (("psnr_db_mean", "ssim_mean", "PSNR", "SSIM"), _OTHER_WAY_ROUND):
        worst, best = min(own, key=itemgetter(measure), default=None), max(own, key=itemgetter(other), default=None)
        if len(own) > 2 and worst is not None and worst is best:
            return (
                f"The measures disagree about {model_name(worst)}: of {plural(len(own), 'method and norm', _METHODS)}"
                f" it has the lowest {last} and the highest {first} ({_psnr(worst)}, SSIM"
                f" {number(worst['ssim_mean'], 4)})."
                " PSNR counts large errors most, wherever they are; SSIM compares structure place by place."
            )
    return ""


def _against_others(
    results: StudyTables, network: str, rows: dict[Identity, dict[str, Any]], best: dict[str, Any] | None
) -> str:
    """The best sample-based and weight-based settings beside the projection penalty: quality, defect, step time."""
    shown = [rows[identity] for identity in shown_settings(results.models, network)]
    others = [row for row in shown if METHODS[row["method"]].kind not in (Kind.PLAIN, Kind.PENALTY)]
    if not others:
        return ""
    clauses = [f"of the {METHODS[row['method']].kind.lower()} methods {_in_short(results, row)}" for row in others]
    text = f"Validation prefers {listing(clauses)}"
    step = _step_time(results.cost, best) if best is not None else ""
    if best is None or not step:
        return f"{text}."
    return f"{text}; a step with {series_label(best['method'], best['norm'])} takes {step}."


def _step_time(cost: pd.DataFrame, row: dict[str, Any]) -> str:
    """Step time of a model relative to the plain step, in words; empty where it was not measured."""
    own = cost[(cost["network"] == row["network"]) & (cost["method"] == row["method"]) & (cost["norm"] == row["norm"])]
    return f"{number(float(own['ratio_to_plain'].iloc[0]))} × the plain step" if len(own) else ""


def _in_short(results: StudyTables, row: dict[str, Any]) -> str:
    difference = row["psnr_diff_db_mean"]
    facts = [f"{number(difference, 2, signed=True)} dB to plain"] if math.isfinite(difference) else []
    facts += [f"defect {scientific(row['defect_mean'])}", _step_time(results.cost, row)]
    return f"{model_name(row)} ({', '.join(filter(None, facts))})"


def _equivariance(models: pd.DataFrame, best: dict[str, Any] | None, plain: dict[str, Any] | None) -> str:
    if best is None:
        only_plain = all(METHODS[method].kind is Kind.PLAIN for method in models["method"])
        return "Equivariance was not regularised." if only_plain else ""
    swept = longest_sweep(models, best["method"], best["norm"])
    if len(swept) < 2 and plain is None:
        return (
            f"The relative non-equivariance of its weights is {scientific(best['relative_non_equivariance_mean'])}, the"
            f" defect measured on turned test slices {scientific(best['defect_mean'])}."
        )
    if len(swept) < 2:
        first, last, where = plain or best, best, "From plain training to that setting"
    else:
        first, last = swept[0], swept[-1]
        name = setting_label(first)
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


def longest_sweep(models: pd.DataFrame, method: str, preferred_norm: str = "none") -> list[dict[str, Any]]:
    """A method's models of the norm, power and λᴳ with the most λ⊥, in order; a tie goes to the preferred norm."""
    sweeps: dict[tuple[str, int, float], list[dict[str, Any]]] = {}
    for row in rows_of(models):
        if row["method"] == method and row["lam_perp"] > 0 and row["standard"]:
            sweeps.setdefault((row["norm"], row["power"], row["lam_equi"]), []).append(row)
    longest = max(sweeps.items(), key=lambda item: (len(item[1]), item[0][0] == preferred_norm), default=(None, []))[1]
    return sorted(longest, key=lambda row: float(row["lam_perp"]))


def _psnr(row: dict[str, Any]) -> str:
    return f"{number(row['psnr_db_mean'])} dB{_limits(row, 'psnr_db')}"


def _limits(row: dict[str, Any], measure: str, signed: bool = False) -> str:
    """An interval in brackets; nothing where there is none."""
    low, high = row[f"{measure}_low"], row[f"{measure}_high"]
    return f" [{number(low, 2, signed)}, {number(high, 2, signed)}]" if math.isfinite(low) else ""


def model_name(row: dict[str, Any]) -> str:
    """Full name of the model of a row of ``models.csv``."""
    return model_label(row)


def _plain_row(models: pd.DataFrame) -> dict[str, Any] | None:
    """The plain model that methods are compared with, if there is one."""
    return next((row for row in rows_of(models) if row["method"] == "plain" and row["standard"]), None)
