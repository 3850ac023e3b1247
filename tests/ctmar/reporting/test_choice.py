import pandas as pd
import pytest

from ctmar.config.methods import METHODS, Kind
from ctmar.reporting import choice


@pytest.fixture(scope="module")
def runs(results):
    return results.runs


def test_one_setting_of_each_method_and_norm_in_the_order_of_the_study(runs):
    chosen = choice.choose_settings(runs, "dncnn")
    series = list(dict.fromkeys(zip(runs["method"], runs["norm"], strict=True)))
    assert [identity[1:3] for identity in chosen] == series
    assert {identity[1] for identity in chosen} == set(METHODS)


def test_settings_are_chosen_by_validation_not_by_test(runs):
    best_on_test = runs.loc[runs["norm"] == "frobenius"].groupby("lam_perp")["psnr_db"].mean().idxmax()
    wanted = (runs["norm"] == "frobenius") & (runs["lam_perp"] == 1e-1)
    changed = runs.assign(validation_psnr=runs["validation_psnr"].where(~wanted, 100.0))
    chosen = {identity[2]: identity for identity in choice.choose_settings(changed, "dncnn")}
    assert best_on_test != 1e-1
    assert chosen["frobenius"][3] == 1e-1


def test_a_lucky_single_seed_is_never_preferred(runs):
    single = ~(runs["norm"].eq("frobenius") & runs["lam_perp"].eq(1e-1)) | runs["seed"].eq(0)
    lucky = runs["validation_psnr"].where(~runs["lam_perp"].eq(1e-1), 100.0)
    changed = runs.assign(validation_psnr=lucky)
    for table, expected in ((changed, True), (changed[single], False)):
        settings = [choice.choose_settings(table, "dncnn"), choice.choose_shown(table, "dncnn")]
        assert [any(identity[3] == 1e-1 for identity in chosen) for chosen in settings] == [expected, expected]


def test_few_are_shown_one_of_each_kind(runs):
    shown = choice.choose_shown(runs, "dncnn")
    assert [METHODS[identity[1]].kind for identity in shown] == list(Kind)
    means = choice.preference(runs, "dncnn")
    for identity in shown:
        rivals = [other for other in means if METHODS[other[1]].kind is METHODS[identity[1]].kind]
        assert means[identity] == max(means[rival] for rival in rivals)


def test_softness_tells_settings_apart(runs):
    (chosen,) = [identity for identity in choice.choose_settings(runs, "dncnn") if identity[1] == "softness"]
    assert chosen[-1] == 0.5


def test_an_absent_method_has_no_choice(runs):
    plain = runs[runs["method"] == "plain"]
    assert [identity[1] for identity in choice.choose_shown(plain, "dncnn")] == ["plain"]


def test_networks_are_chosen_apart(runs):
    wide = runs.assign(network="wide", validation_psnr=-runs["validation_psnr"])
    both = pd.concat([runs, wide], ignore_index=True)
    assert choice.choose_settings(both, "dncnn") == choice.choose_settings(runs, "dncnn")
    assert [identity[0] for identity in choice.choose_shown(both, "wide")] == ["wide"] * len(Kind)
