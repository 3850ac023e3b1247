"""The same study under several settings of kernels: verdicts side by side, spreads beside half-widths."""

import json

import pytest

from ctmar.errors import InputError
from ctmar.evaluation.columns import IDENTITY, interval_columns
from ctmar.evaluation.kernels import compare_kernels
from ctmar.store.tables import read_rows, write_rows


def _summary(folder, values, verdict, claim="Plain is best."):
    """Tables of two models: PSNR with an interval of half-width 0.5, a difference that only the second has."""
    folder.mkdir()
    columns = [*IDENTITY, *interval_columns("psnr_db"), *interval_columns("psnr_diff_db"), "n_seeds"]
    rows = []
    for method, value in values.items():
        identity = dict.fromkeys(IDENTITY, "0") | {"network": "n", "method": method}
        low, high = (value - 0.5, value + 0.5)
        # no difference to itself; no interval of the other's
        gap = ["nan", "nan", "nan"] if method == "plain" else [value - values["plain"], "nan", ""]
        numbers = dict(zip(columns[len(IDENTITY) :], [value, low, high, *gap, 3], strict=True))
        rows.append(identity | numbers)
    write_rows(folder / "models.csv", columns, rows)
    write_rows(folder / "diverged.csv", IDENTITY, [])
    row = {"claim": claim, "role": "primary", "verdict": verdict, "measured": f"{values['strict']:g} dB"}
    (folder / "questions.json").write_text(json.dumps([row]))
    (folder / "claims.json").write_text("[]")
    return folder


def test_spreads_and_verdicts_by_hand(tmp_path):
    found = compare_kernels(
        {
            "own": _summary(tmp_path / "a", {"plain": 36.0, "strict": 37.0}, "agrees"),
            "other": _summary(tmp_path / "b", {"plain": 36.25, "strict": 36.5}, "not decided"),
            "third": _summary(tmp_path / "c", {"plain": 36.0, "strict": 37.0}, "agrees"),
        }
    )
    assert found["settings"] == ["own", "other", "third"]
    (verdict,) = found["verdicts"]
    assert verdict["verdict"] == ["agrees", "not decided", "agrees"]
    assert verdict["measured"] == ["37 dB", "36.5 dB", "37 dB"]
    figures = {(row["method"], row["measure"]): row for row in found["figures"]}
    # plain has no difference to itself
    assert set(figures) == {("plain", "psnr_db"), ("strict", "psnr_db"), ("strict", "psnr_diff_db")}
    assert figures["plain", "psnr_db"]["spread"] == 0.25
    assert figures["strict", "psnr_db"]["values"] == [37.0, 36.5, 37.0]
    assert figures["strict", "psnr_diff_db"]["spread"] == 0.75  # 1 dB against 0.25 dB
    assert figures["strict", "psnr_diff_db"]["half_width"] is None
    measures = {row["measure"]: row for row in found["measures"]}
    # half-widths are 0.5: the shares are 0.5 and 1
    assert measures["psnr_db"] == {"measure": "psnr_db", "n_models": 2, "largest_spread": 0.5, "median_share": 0.75}
    assert measures["psnr_diff_db"]["median_share"] is None


def test_a_model_that_diverged_under_one_setting_has_no_figure(tmp_path):
    own = _summary(tmp_path / "a", {"plain": 36.0, "strict": 37.0}, "agrees")
    other = _summary(tmp_path / "b", {"plain": 36.5, "strict": 37.5}, "agrees", "Another question.")
    rows = read_rows(other / "models.csv", IDENTITY)
    write_rows(other / "models.csv", list(rows[0]), rows[:1])
    with pytest.raises(InputError, match="found others"):
        compare_kernels({"own": own, "other": other})
    write_rows(other / "diverged.csv", IDENTITY, [{name: rows[1][name] for name in IDENTITY}] * 2)
    for order in ({"own": own, "other": other}, {"other": other, "own": own}):
        found = compare_kernels(order)
        assert [found["diverged"][list(order).index(name)] for name in ("own", "other")] == [0, 2]
        assert {row["method"] for row in found["figures"]} == {"plain"}
        assert found["verdicts"] == []


def test_other_models_or_claims_are_not_compared(tmp_path):
    own = _summary(tmp_path / "a", {"plain": 36.0, "strict": 37.0}, "agrees")
    fewer = _summary(tmp_path / "b", {"plain": 36.0, "strict": 37.0, "softness": 35.0}, "agrees")
    with pytest.raises(InputError, match=r"b/models\.csv: expected the models of .*a/models\.csv, found others"):
        compare_kernels({"own": own, "other": fewer})
    claims = _summary(tmp_path / "c", {"plain": 36.0, "strict": 37.0}, "agrees", "Strict is best.")
    with pytest.raises(InputError, match=r"c/questions\.json: expected the claims of"):
        compare_kernels({"own": own, "other": claims})
    with pytest.raises(InputError, match="under two settings of kernels or more, found 1"):
        compare_kernels({"own": own})
