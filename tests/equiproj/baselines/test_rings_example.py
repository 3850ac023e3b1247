"""The worked example docs/examples/rings.py, on a tiny version of its study."""

import math

import pandas as pd
import pytest
import rings as example
import torch


@pytest.fixture
def rings():
    return example


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def runs_of(*weights):
    return pd.DataFrame(weights, columns=["lam_equi", "lam_perp"])


def test_rings_have_the_radii_they_should(rings):
    points, labels = rings.noisy_rings(4000, 0.5, seeded())
    radii, angles = points.norm(dim=1), torch.atan2(points[:, 1], points[:, 0])
    left = radii - (1 + labels) - 0.5 * torch.sin(5 * angles)
    assert labels.mean() == 0.5
    assert abs(left.mean()) < 5 * 0.1 / 4000**0.5
    assert left.std().item() == pytest.approx(0.1, rel=0.05)


def test_theorem_projected_weights_give_an_invariant_network(rings):
    parameters = rings.initial_parameters([0, 1])
    points, labels = rings.noisy_rings(50, 1.0, seeded())
    turns = torch.tensor([0.3, 1.0, 2.5])
    batch = points.expand(2, -1, -1), labels.expand(2, -1), turns
    assert rings.measured(parameters, *batch)["relative_defect"].min() > 0.1
    projected = {
        name: rings.projectors()[name](value) if name.startswith("weight") else value
        for name, value in parameters.items()
    }
    found = rings.measured(projected, *batch)
    assert found["relative_defect"].max() < 1e-5
    assert found["perpendicular_share"].max() < 1e-6


def test_defect_of_a_linear_function_in_closed_form(rings, monkeypatch):
    # f(x, y) = x on the points (1, 0), (0, 1): a turn by t changes f by cos t − 1 and − sin t.
    monkeypatch.setattr(rings, "logits", lambda parameters, points: points[..., 0])
    points, labels = torch.eye(2).unsqueeze(0), torch.tensor([[1.0, 0.0]])
    turns = torch.tensor([0.0, 1.0, math.pi / 2])
    found = rings.measured(rings.initial_parameters([0]), points, labels, turns)
    assert found["defect"].item() == pytest.approx(1.0, rel=1e-6)  # sqrt((1 + 1) / 2), at the quarter turn
    assert found["relative_defect"].item() == pytest.approx(2**0.5, rel=1e-6)
    assert found["accuracy"].item() == 1.0


def test_runs_do_not_see_each_other(rings):
    points, labels = rings.noisy_rings(40, 0.5, seeded())
    runs = runs_of((0.1, 0.0), (0.0, 0.1))
    together = rings.train(
        rings.initial_parameters([0, 0]), runs, points.expand(2, -1, -1), labels.expand(2, -1), n_epochs=5
    )
    for position in range(2):
        alone = rings.train(
            rings.initial_parameters([0]), runs.iloc[[position]], points[None], labels[None], n_epochs=5
        )
        for name, value in alone.items():
            torch.testing.assert_close(together[name][position], value[0], atol=1e-5, rtol=1e-4)


def test_both_penalties_shrink_what_they_weigh(rings):
    points, labels = rings.noisy_rings(100, 0.5, seeded())
    runs = runs_of((0.0, 0.0), (0.1, 0.0), (0.0, 0.1))
    data = points.expand(3, -1, -1), labels.expand(3, -1)
    equivariant, perpendicular = rings.penalties(rings.train(rings.initial_parameters([0] * 3), runs, *data, 60))
    assert equivariant[1] < 0.9 * equivariant[0]
    assert perpendicular[2] < 0.9 * perpendicular[0]


@pytest.mark.slow
def test_tiny_study_from_the_command_line(rings, tmp_path, capsys):
    figure, table = tmp_path / "rings.svg", tmp_path / "rings.csv"
    rings.main(["--epochs", "2", "--seeds", "1", "--sigmas", "0", "1", "--figure", str(figure), "--table", str(table)])
    rows = pd.read_csv(table)
    assert len(rows) == 2 * 4 * 4
    assert rows[["accuracy", "defect", "relative_defect"]].notna().all(axis=None)
    assert figure.read_text().startswith("<svg")
    printed = capsys.readouterr().out
    assert "32 runs" in printed
    assert "defect_factor" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rings.csv", "rings.svg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--figure", "rings.gif"], "ends in .png or .svg, found rings.gif"), (["--seeds", "0"], "at least 1")],
)
def test_bad_options_end_in_one_line(rings, options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        rings.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_trend_in_closed_form(rings):
    rows = [
        {"sigma": 0.5, "lam_equi": g, "seed": 0, "lam_perp": p, "defect": d, "relative_defect": d / 2, "accuracy": a}
        for g, values in ((0.0, (8.0, 4.0, 2.0, 1.0)), (0.1, (4.0, 5.0, 2.0, 2.0)))
        for p, d, a in zip((0.0, 1e-3, 1e-2, 1e-1), values, (0.9, 0.9, 0.8, 0.7), strict=True)
    ]
    (row,) = rings.trend(pd.DataFrame(rows)).reset_index().to_dict("records")
    assert row["defect_factor"] == pytest.approx((8 * 2) ** 0.5)
    assert (row["defect_factor_min"], row["defect_factor_max"]) == (2.0, 8.0)
    assert (row["falls_at_every_step"], row["n_series"]) == (1, 2)
    assert row["accuracy_cost"] == pytest.approx(20.0)
