"""What the page opens with: the answer of the study, the paper's own penalty, and what the study cannot show."""

import math
from statistics import median
from typing import Any

import pandas as pd

from ctmar.config import Judgement
from ctmar.config.labels import model_label, number, series_label
from ctmar.config.study import base_condition
from ctmar.evaluation.verdicts import condition_text
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.wording import capital, from_to, listing, plural, verb

DIFFERENCE = "psnr_diff_db"
_MINOR = 5  # test slices of a patient, below which a reader should know it
Row = dict[str, Any]


def opening(results: StudyTables, network: str, judgement: Judgement) -> list[str]:
    """The answer for one network, the paper's own penalty beside its alternatives, and a scale to see both on.

    Args:
        results: the study.
        network: name of the network.
        judgement: level of the intervals.
    """
    models = results.models[results.models["network"] == network]
    said = [
        capital(_condition(results.dial) + _answer(models, 1 - judgement.confidence)),
        _paper_penalty(models, judgement),
        _scale(results.references, _of_method(models, "plain")),
    ]
    return [sentence for sentence in said if sentence]


def limits(results: StudyTables, network: str) -> list[str]:
    """What the study cannot show for one network: other patients, other seeds, small differences.

    Args:
        results: the study.
        network: name of the network.
    """
    models = results.models[results.models["network"] == network]
    return [sentence for sentence in (_patients(results, models), _seeds(models), _power(models)) if sentence]


def _compared(models: pd.DataFrame) -> list[Row]:
    """One row for each method and norm that is compared with plain training and has an interval."""
    own = models[models["chosen"] & models["standard"] & (models["method"] != "plain")]
    return rows_of(own[own[f"{DIFFERENCE}_low"].notna()])


def _answer(models: pd.DataFrame, alpha: float) -> str:
    compared = _compared(models)
    if _of_method(models, "plain") is None:
        return "this study has no plain training, so no method is compared with it."
    if not compared:
        return "no difference to plain training has an interval, so this study decides nothing about quality."
    above = [row for row in compared if row[f"{DIFFERENCE}_low"] > 0]
    below = [row for row in compared if row[f"{DIFFERENCE}_high"] < 0]
    n = plural(len(compared), "method and norm", "methods and norms")
    worse = f"; {listing([_named(row) for row in below])} {verb(len(below), 'is', 'are')} worse" if below else ""
    if not above:
        return f"no method is distinguishably better than plain training: of {n}, no interval lies above 0{worse}."
    corrected = [row for row in above if row["p_value_holm"] < alpha]
    counted = f"once all {plural(len(models), 'setting')} compared are counted (Holm)"
    alone = f"taken alone, {len(above)} of {n} {verb(len(above), 'has an interval', 'have intervals')} above 0"
    shown = f"{alone}: {'; '.join(map(_named, above))}{worse}"
    if not corrected:
        return f"no method is distinguishably better than plain training {counted}; {shown}."
    better = f"{listing([model_label(row) for row in corrected])} {verb(len(corrected), 'has', 'have')}"
    return f"{better} a higher PSNR than plain training, also {counted}; {shown}."


def _condition(dial: pd.DataFrame) -> str:
    """Where the answer holds, in a study that turns the dial of broken symmetry."""
    conditions = set(zip(dial["asymmetry"].tolist(), dial["slices"].tolist(), strict=True))
    return f"where {condition_text(*base_condition(sorted(conditions)))}, " if len(conditions) > 1 else ""


def _paper_penalty(models: pd.DataFrame, judgement: Judgement) -> str:
    """The penalty of the paper, in its loss and with its norm, beside plain, strict and augmented training."""
    penalty = _of_method(models, "projection", "frobenius")
    if penalty is None:
        return "The paper’s penalty with the Frobenius norm was not trained."
    if math.isnan(penalty[f"{DIFFERENCE}_mean"]):
        return ""
    others = [(name, _of_method(models, name)) for name in ("strict", "augmentation")]
    clauses = [f"{series_label(name, 'none').lower()} by {_change(row)}" for name, row in others if row is not None]
    text = (
        f"The paper’s penalty ({model_label(penalty)}, as validation prefers it) changes the PSNR of plain training by"
        f" {_change(penalty, f'{number(100 * judgement.confidence, 0)} % interval ')}"
    )
    return f"{text}; {listing(clauses)}." if clauses else f"{text}."


def _scale(references: pd.DataFrame, plain: Row | None) -> str:
    names = {"Input": "uncorrected", "LI": "linear interpolation"}
    found = [(names.get(row["reference"], row["reference"]), row["psnr_db_mean"]) for row in rows_of(references)]
    found += [("plain training", plain["psnr_db_mean"])] if plain is not None else []
    return f"For scale: {', '.join(f'{name} {number(value, 1)}' for name, value in found)} dB." if found else ""


def _patients(results: StudyTables, models: pd.DataFrame) -> str:
    tested = results.split[results.split["subset"] == "test"].drop_duplicates("patient")["n_slices"]
    n_pairs, n_patients = int(models["n_pairs"].max()), int(models["n_patients"].max())
    text = f"Other patients: {plural(n_pairs, 'test pair')} come from {plural(n_patients, 'patient')}"
    few = int((tested < _MINOR).sum())
    if len(tested) == n_patients and few:
        least, most = int(tested.min()), int(tested.max())
        text += f" with {least} to {most} slices each, {few} with fewer than {_MINOR}, and a patient counts once"
    if n_patients == 1:
        text += ", so nothing is said about others"
    return f"{text}. The metal is simulated."


def _seeds(models: pd.DataFrame) -> str:
    seeds = models["n_seeds"]
    fewer = int((seeds < seeds.max()).sum())
    if not fewer:
        return f"Other seeds: every setting has {plural(int(seeds.max()), 'seed')}."
    return (
        f"Other seeds: settings have {from_to(seeds, 'seed')};"
        f" {fewer} of {len(models)} have fewer than {int(seeds.max())}."
    )


def _power(models: pd.DataFrame) -> str:
    halves = [(row[f"{DIFFERENCE}_high"] - row[f"{DIFFERENCE}_low"]) / 2 for row in _compared(models)]
    if not halves:
        return ""
    least, middle, most = (number(value) for value in (min(halves), median(halves), max(halves)))
    return (
        f"Small differences: intervals of a difference to plain training reach ±{least} to ±{most} dB, the median"
        f" ±{middle} dB; what is smaller cannot be seen, which does not show that it is not there."
    )


def _of_method(models: pd.DataFrame, method: str, norm: str | None = None) -> Row | None:
    """The standard setting of a method that validation prefers, if the study has one."""
    own = models[(models["method"] == method) & models["chosen"] & models["standard"]]
    return next(iter(rows_of(own if norm is None else own[own["norm"] == norm])), None)


def _named(row: Row) -> str:
    return f"{model_label(row)}, {_change(row)}"


def _change(row: Row, words: str = "") -> str:
    """A difference to plain with its interval; ``words`` stand before the limits."""
    mean, low, high = (number(row[f"{DIFFERENCE}_{part}"], 2, signed=True) for part in ("mean", "low", "high"))
    known = math.isfinite(row[f"{DIFFERENCE}_low"])
    return f"{mean} dB ({words}{low} to {high})" if known else f"{mean} dB (no interval)"
