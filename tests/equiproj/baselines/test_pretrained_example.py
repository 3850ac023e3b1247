"""The example of a pretrained denoiser, on a tiny version of its study."""

import pandas as pd
import pretrained
import pytest
import torch


def test_parts_of_a_photograph_do_not_overlap():
    ends = [end for share in pretrained.SHARES for end in share]
    assert ends == sorted(ends)
    assert (ends[0], ends[-1]) == (0.0, 1.0)


def test_patches_are_pieces_of_the_photographs_with_noise():
    noisy, clean = pretrained.drawn((0.75, 1.0), 40, torch.Generator().manual_seed(0))
    assert (noisy - clean).std().item() == pytest.approx(pretrained.NOISE, rel=0.05)
    photograph = pretrained.grey("china.jpg")
    first = round(0.75 * photograph.shape[1])
    size = pretrained.N_PIXELS
    windows = photograph[:, first:].unfold(0, size, 1).unfold(1, size, 1)
    assert (windows == clean[0, 0]).all(dim=-1).all(dim=-1).any()


@pytest.fixture
def tiny(monkeypatch):
    """Two steps on a few patches."""
    monkeypatch.setattr(pretrained, "N_PRETRAINING_STEPS", 2)
    monkeypatch.setattr(pretrained, "N_PATCHES", (20, 20, 20))
    pretrained.pretrained.cache_clear()
    yield
    pretrained.pretrained.cache_clear()


def test_every_method_begins_with_the_pretrained_network(tiny):
    unit = pretrained.FineTuning(pretrained.DOMAIN, 0.0, 0)
    drawn, start = pretrained.Pretraining(pretrained.DOMAIN, 0.0, 0).start(), unit.start()
    assert not torch.equal(drawn.noise[0].weight, start.noise[0].weight)
    with torch.no_grad():
        start.noise[0].weight.zero_()
    assert unit.start().noise[0].weight.abs().max() > 0


def test_tiny_study_from_the_command_line(tmp_path, tiny, capsys):
    table, figure = tmp_path / "tiny.csv", tmp_path / "tiny.svg"
    pretrained.main(["--seeds", "2", "--steps", "2", "--jobs", "1", "--table", str(table), "--figure", str(figure)])
    rows = pd.read_csv(table)
    assert rows.groupby(["method", "weight"])["rmse"].count().eq(2).all()
    strict = rows[rows["method"].str.startswith(("projected", "trained on, averaged"))]
    assert strict["defect"].max() < 1e-5
    assert rows.loc[rows["method"] == "as it is", "defect"].min() > 1e-2
    assert "| projected, trained on |" in capsys.readouterr().out
    assert figure.read_text().startswith("<svg")


def test_a_gain_is_paired_by_seed():
    rows = [
        {
            "method": method,
            "weight": 0.0,
            "seed": seed,
            "rmse": rmse,
            "defect": 0.1,
            "share": 0.2,
            "rmse_projected": rmse,
        }
        for method, values in (("as it is", (40.0, 50.0)), ("trained on", (39.0, 49.0)))
        for seed, rmse in enumerate(values)
    ]
    found = pretrained.summary(pd.DataFrame(rows)).set_index("method")
    assert found.loc["trained on", ["gain", "gain_low", "gain_high"]].tolist() == [1.0, 1.0, 1.0]
    assert found.loc["as it is", "rmse"] == 45.0
