"""The figure of broken symmetry: every method at every strength, and a sentence that the numbers carry."""

import itertools
import re
from dataclasses import replace

import pandas as pd
import pytest
import vl_convert

from ctmar.config import Config, Run
from ctmar.evaluation.columns import IDENTITY, dial_columns
from ctmar.reporting.dial_section import DialSection, dial_section
from ctmar.reporting.marks import assign_marks
from ctmar.reporting.page import render_page
from ctmar.reporting.study_files import StudyTables

STRENGTHS = (0.0, 0.2, 0.4, 0.7, 1.0)
LOST = {  # PSNR of each method that falls with ε: at 0, and by how much at 1 [dB]
    ("plain", "none"): (38.0, 2.0),
    ("augmentation", "none"): (38.2, 3.5),
    ("strict", "none"): (38.4, 4.0),
    ("projection", "frobenius"): (38.35, 2.6),
    ("proximal", "none"): (38.3, 2.5),
    ("test_time_average", "none"): (38.5, 4.2),
}
MARKS = assign_marks(LOST)


def dial_table(half_width_db: float, n_slices: tuple[int, ...] = (4, 0)) -> pd.DataFrame:
    """A study with the same half width of every difference; few slices cost every method but strict 1 dB."""
    rows = []
    for slices, strength, (method, norm) in itertools.product(n_slices, STRENGTHS, LOST):
        values = {key: start - fall * strength for key, (start, fall) in LOST.items()}
        values = {key: value - (slices > 0 and key[0] != "strict") for key, value in values.items()}
        row = dict.fromkeys(dial_columns(), float("nan")) | {
            "asymmetry": strength,
            "slices": slices,
            "network": "dncnn",
            "method": method,
            "norm": norm,
            "lam_perp": {"projection": 1e-3, "proximal": 30.0}.get(method, 0.0),
            **{name: Run.model_fields[name].get_default() for name in IDENTITY[4:]},
            "n_compared": 50,
            "n_seeds": 10,
            "n_patients": 9,
        }
        value = values[method, norm]
        row |= interval("psnr_db", value, 0.8)
        if method != "plain":
            row |= interval("psnr_diff_db", value - values["plain", "none"], half_width_db)
        if method != "strict":
            row |= interval("psnr_to_strict_db", value - values["strict", "none"], half_width_db)
        rows.append(row)
    return pd.DataFrame(rows)


def interval(measure: str, mean: float, half: float) -> dict[str, float]:
    return {f"{measure}_mean": mean, f"{measure}_low": mean - half, f"{measure}_high": mean + half}


def section_of(table: pd.DataFrame) -> DialSection:
    section = dial_section(table, "dncnn", MARKS, 0.1)
    assert section is not None
    return section


def test_each_panel_draws_every_method_at_every_strength():
    section = section_of(dial_table(0.1))
    assert [caption for caption, _ in section.charts] == [
        "PSNR difference to plain, trained on 4 slices of each patient (9 patients, 10 seeds)",
        "PSNR, trained on 4 slices of each patient (9 patients, 10 seeds)",
        "PSNR difference to plain, trained on all slices (9 patients, 10 seeds)",
        "PSNR, trained on all slices (9 patients, 10 seeds)",
    ]
    for _, spec in section.charts:
        svg = vl_convert.vegalite_to_svg(spec | {"width": 400})
        assert svg.count('aria-roledescription="point"') == len(LOST) * len(STRENGTHS)
        assert "NaN" not in svg
        for strength in STRENGTHS:
            assert f">{strength:g}<" in svg
    assert [label for label, _ in section.legend] == [
        "Plain",
        "Rotation augmentation",
        "Strictly equivariant",
        "Projection, Frobenius",
        "Proximal step",
        "Test-time average",
    ]


def test_all_panels_share_the_axis_of_values():
    domains = [
        layer["encoding"]["y"]["scale"]["domain"]
        for caption, spec in section_of(dial_table(0.1)).charts
        if caption.startswith("PSNR,")
        for layer in spec["layer"]
    ]
    assert len({tuple(domain) for domain in domains}) == 1


def test_marks_of_one_strength_stand_side_by_side():
    _, spec = section_of(dial_table(0.1)).charts[0]
    (rows,) = spec["datasets"].values()
    places = {row["place"] for row in rows if row["asymmetry"] == 0.4}
    assert len(places) == len(LOST)
    assert max(places) - min(places) < 0.1
    assert sum(places) / len(places) == pytest.approx(0.4)


def test_the_sentence_names_where_the_penalty_is_better_than_both():
    said = section_of(dial_table(0.06, n_slices=(0,))).sentences
    assert said[0].startswith(
        "Trained on all slices, these are better than both plain training and strict equivariance, both "
    )
    # by the lines of LOST: projection − plain is 0.35 − 0.6 ε, projection − strict −0.05 + 1.4 ε
    assert re.findall(r"“Projection[^”]*” at ε = ([\d.]+) ", said[0]) == ["0.2", "0.4"]
    assert (
        "“Projection, Frobenius, λ⊥\xa0=\xa010⁻³” at ε = 0.4 (+0.11 dB [+0.05, +0.17] to plain, +0.51 dB [+0.45, +0.57]"
        " to strict)"
    ) in said[0]
    assert said[1] == (
        "At ε = 0 “Projection, Frobenius, λ⊥\xa0=\xa010⁻³” has a difference to strict equivariance of −0.05 dB"
        " [−0.11, +0.01]: a loss of 0.1 dB or more is not excluded."
    )


def test_a_smaller_loss_is_excluded():
    assert section_of(dial_table(0.04, n_slices=(0,))).sentences[1].endswith("a loss of 0.1 dB or more is excluded.")


def test_wide_intervals_carry_no_such_sentence():
    said = section_of(dial_table(0.5, n_slices=(0,))).sentences
    assert said[0].startswith(
        "Trained on all slices, at no ε is a penalty better than both plain training and strict equivariance"
    )
    assert re.search("; the nearest is “Projection.* at ε = 0.2 ", said[0])
    assert said[1].endswith("not excluded.")


def test_without_intervals_nothing_is_decided():
    table = dial_table(0.1, n_slices=(0,))
    table[[column for column in table if column.endswith(("_low", "_high"))]] = float("nan")
    assert section_of(table).sentences == [
        "Trained on all slices, no penalty has intervals of its differences to plain and to strict, so nothing is"
        " decided."
    ]
    assert section_of(table[~table["method"].isin(["projection", "proximal"])]).sentences == []


def test_each_number_of_slices_speaks_for_itself():
    said = section_of(dial_table(0.05)).sentences
    assert [text.partition(", ")[0] for text in said[::2]] == [
        "Trained on 4 slices of each patient",
        "Trained on all slices",
    ]
    assert said[1].endswith("is certain.")
    assert "at ε = 0.2" not in said[0]  # with few slices strict keeps its 1 dB longer


def test_a_study_of_one_strength_has_no_figure():
    table = dial_table(0.1)
    assert dial_section(table[table["asymmetry"] == 0], "dncnn", MARKS, 0.1) is None
    assert dial_section(table, "another", MARKS, 0.1) is None


def test_methods_of_one_strength_are_left_out():
    table = dial_table(0.1)
    table = table[(table["method"] != "augmentation") | (table["asymmetry"] == 0)]
    assert "Rotation augmentation" not in dict(section_of(table).legend)


def test_the_page_begins_with_the_figure(results: StudyTables, config: Config, page: str):
    assert 'id="dial"' not in page
    turned = render_page(replace(results, dial=dial_table(0.1)), config)
    assert turned.index('id="summary"') < turned.index('id="dial"') < turned.index('id="results"')
    assert '<a href="#dial">Broken symmetry</a>' in turned


def test_a_study_that_turns_the_dial_needs_its_table(results: StudyTables, config: Config):
    runs = [group.model_copy(update={"asymmetry": [0.0, 0.4]}) for group in config.study.runs]
    turned = config.model_copy(update={"study": config.study.model_copy(update={"runs": runs})})
    assert "dial.csv: expected rows for 2 strengths" in render_page(results, turned)
