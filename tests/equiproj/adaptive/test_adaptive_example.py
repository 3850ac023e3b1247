"""docs/examples/adaptive.py on a tiny version of its study, its solver, and the tables of its page."""

import importlib
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from equiproj import ProjectionPenalty

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return lambda name: importlib.import_module(name)


@pytest.mark.parametrize(("norm", "power"), [("frobenius", 2), ("nuclear", 1), ("entrywise:1", 1)])
def test_no_step_away_lowers_the_penalised_loss(example, norm, power):
    """The solver of the example against the penalty of the library, along random directions."""
    norms = example("adaptive_norms")
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, norms.N_PIXELS, generator=generator)
    targets = inputs @ torch.randn(norms.N_PIXELS, norms.N_PIXELS, generator=generator)
    weight, n = 0.3, len(inputs)
    found = norms.penalised(
        (inputs.T @ inputs / n)[None], (targets.T @ inputs / n)[None], torch.tensor([[weight]]), norm
    )[0, 0]
    layer = nn.Linear(norms.N_PIXELS, norms.N_PIXELS, bias=False)
    penalty = ProjectionPenalty(
        layer, layers={"": (norms.TWELVE, norms.TWELVE)}, norm=norm, power=power, weight_perpendicular=weight
    )

    def value(matrix: torch.Tensor) -> float:
        layer.weight.data = matrix
        return float((targets - inputs @ matrix.T).square().sum() / n + penalty().detach())

    least = value(found)
    steps = 0.02 * torch.randn(20, *found.shape, generator=generator)
    assert all(value(found + step) > least for step in [*steps, *(step - norms.CIRCULANT(step) for step in steps)])
    assert value(found + 1e-3 * (norms.CIRCULANT(found) - found)) > least - 1e-4 * least


@pytest.mark.slow
def test_tiny_study_from_the_command_line(example, tmp_path, capsys, monkeypatch):
    study, weights = example("adaptive"), example("adaptive_weights")
    monkeypatch.setattr(weights, "N_STEPS", 2)
    monkeypatch.setattr(example("adaptive_norms"), "N_ITERATIONS", 2)
    monkeypatch.setattr(example("adaptive_norms"), "N_DRAWS", 39)
    figure, table = tmp_path / "adaptive.svg", tmp_path / "adaptive.csv"
    options = ["--seeds", "2", "--shares", "0.3", "--strengths", "2", "--processes", "1"]
    study.main([*options, "--figure", str(figure), "--table", str(table)])
    rows = pd.read_csv(table)
    assert rows.notna().all(axis=None)
    assert set(rows["problem"]) == {"linear", "network", "norms", "inputs"}
    assert "norms chosen" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adaptive.csv", "adaptive.svg"]


def test_the_page_shows_the_table_that_is_kept(example):
    study = example("adaptive")
    page = (EXAMPLES / "adaptive.md").read_text(encoding="utf-8")
    table = pd.read_csv(EXAMPLES / "adaptive.csv")
    for problem in study.REFERENCES:
        assert study.markdown(table, problem) in page, problem


def test_bad_options_end_in_one_line(example, capsys):
    for options, message in ((["--figure", "a.gif"], "ends in .png or .svg"), (["--seeds", "1"], "at least 2")):
        with pytest.raises(SystemExit) as stopped:
            example("adaptive").main(options)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
