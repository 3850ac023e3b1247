"""The report shows what evaluation chose, in its own order."""

import pandas as pd

from ctmar.config import Run
from ctmar.config.methods import METHODS, Kind
from ctmar.reporting import choice
from ctmar.reporting.required_columns import IDENTITY


def identity_of(method: str, **settings: object) -> tuple:
    run = Run(network="dncnn", method=method, **settings)
    return tuple(getattr(run, name) for name in IDENTITY)


def test_one_setting_of_each_method_and_norm_in_the_order_of_the_study(results):
    models = results.models
    chosen = choice.chosen_settings(models, "dncnn")
    assert [identity[1:3] for identity in chosen] == list(
        dict.fromkeys(zip(models["method"], models["norm"], strict=True))
    )
    assert {identity[1] for identity in chosen} == set(METHODS)
    assert [identity for identity in chosen if identity[1] == "softness"] == [identity_of("softness", softness=0.5)]


def test_few_are_shown_one_of_each_kind_in_the_order_of_the_page(results):
    for models in (results.models, results.models[::-1]):
        shown = choice.shown_settings(models, "dncnn")
        assert [METHODS[identity[1]].kind for identity in shown] == list(Kind)


def test_the_report_filters_by_the_columns_and_chooses_nothing_itself(results):
    worst = results.models.assign(chosen=False, chosen_of_kind=False)
    worst.loc[worst["lam_perp"] == 1e-1, ["chosen", "chosen_of_kind"]] = True
    found = [choice.chosen_settings(worst, "dncnn"), choice.shown_settings(worst, "dncnn")]
    assert found == [[identity_of("projection", norm="frobenius", lam_perp=1e-1)]] * 2


def test_networks_are_chosen_apart(results):
    both = pd.concat([results.models, results.models.assign(network="wide")], ignore_index=True)
    assert choice.chosen_settings(both, "dncnn") == choice.chosen_settings(results.models, "dncnn")
    assert [identity[0] for identity in choice.shown_settings(both, "wide")] == ["wide"] * len(Kind)
