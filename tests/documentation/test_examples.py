"""Every example of the documentation: tiny runs of it, what its symmetry claims, and the table over all of them."""

import math
from dataclasses import replace
from importlib import import_module

import comparison
import ct
import digits
import domains
import dynamics
import harness
import pandas as pd
import pytest
import rule
import torch
from methods import Data, Unit

from equiproj.representations.action import act

N_SAMPLES = 20  # two trajectories of ten steps, where samples are states


def few(data: Data) -> Data:
    """The first samples of each part."""
    return Data(*((inputs[:N_SAMPLES], targets[:N_SAMPLES]) for inputs, targets in data))


@pytest.mark.parametrize("name", domains.EXAMPLES)
def test_tiny_study_from_the_command_line(name, tmp_path, capsys):
    module, figure, table = import_module(name), tmp_path / "out.svg", tmp_path / "out.csv"
    dial = str(module.DOMAIN.dials[-1])
    options = ["--steps", "1", "--seeds", "2", "--jobs", "1", "--dials", dial]
    fewer = replace(module.DOMAIN, data=lambda dial, seed: few(module.DOMAIN.data(dial, seed)))
    harness.main(fewer, module.__doc__, [*options, "--figure", str(figure), "--table", str(table)])
    rows, whole = pd.read_csv(table), pd.read_csv(domains.FOLDER / f"{name}.csv")
    assert list(rows.columns) == list(whole.columns)
    assert rows["value"].notna().all()
    assert set(rows["method"]) == set(whole["method"])
    assert figure.read_text().startswith("<svg")
    assert "Gain over plain" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.svg"]


@pytest.mark.parametrize("name", domains.EXAMPLES)
def test_committed_tables_are_of_the_example_as_it_is(name):
    domain, table = import_module(name).DOMAIN, pd.read_csv(domains.FOLDER / f"{name}.csv")
    assert sorted(table["dial"].unique()) == sorted(domain.dials)
    assert set(table["metric"]) == set(domain.metrics)
    n_seeds = table["seed"].nunique()
    assert n_seeds >= 5
    assert set(table["seed"]) == set(range(domain.first_seed, domain.first_seed + n_seeds))
    assert not table.duplicated(["dial", "method", "seed", "metric"]).any()
    assert (domains.FOLDER / f"{name}.png").is_file()


@pytest.mark.parametrize("name", domains.EXAMPLES)
def test_theorem_the_start_commutes_with_augmentation_and_is_its_own_average(name):
    domain = import_module(name).DOMAIN
    network = Unit(domain, domain.dials[-1], seed=0).start().eval()
    inputs = domain.data(domain.dials[-1], 0).train[0][:32]
    with torch.no_grad():
        outputs = network(inputs)
        moved, expected = domain.augment((inputs, outputs), torch.Generator().manual_seed(0))
        assert not torch.allclose(moved, inputs)
        scale = outputs.abs().max().item()
        torch.testing.assert_close(network(moved), expected, rtol=0, atol=1e-4 * scale)
        torch.testing.assert_close(domain.average(network)(inputs), outputs, rtol=0, atol=1e-4 * scale)


def states(n=2, seed=0):
    return dynamics.first_states(n, torch.Generator().manual_seed(seed))


def fields(vorticity, temperature):
    return torch.stack([torch.fft.ifft2(f).real for f in (temperature, *dynamics.velocity(vorticity))], dim=1)


def after(state, buoyancy):
    """The next fields of given ones, by the curl of their velocity."""
    upward, right = dynamics.waves()
    temperature, u, v = (torch.fft.fft2(part) for part in state.unbind(1))
    return fields(*dynamics.next_state(1j * right * v - 1j * upward * u, temperature, buoyancy))


@pytest.mark.parametrize(("buoyancy", "kept"), [(0.0, set(range(8))), (1.0, {0, 4})])
def test_theorem_buoyancy_leaves_the_left_right_flip_alone(buoyancy, kept):
    state, group = fields(*states()), dynamics.GROUP
    for element in group.elements:
        moved = act(state, element, group, dynamics.STATE)
        change = after(moved, buoyancy) - act(after(state, buoyancy), element, group, dynamics.STATE)
        assert (change.abs().max() < 1e-4) == (element in kept), element


def test_warm_columns_set_a_flow_off_as_in_closed_form():
    # θ = cos x, at rest: nothing is advected, ω = −β t e^{−κt} sin x
    x = torch.arange(dynamics.N_PIXELS) * (2 * math.pi / dynamics.N_PIXELS)
    temperature = torch.fft.fft2(x.cos().expand(1, dynamics.N_PIXELS, -1))
    vorticity, later = dynamics.next_state(torch.zeros_like(temperature), temperature, 0.7)
    decay = math.exp(-dynamics.DIFFUSIVITY * dynamics.STEP)
    wanted = -0.7 * dynamics.STEP * decay * x.sin().expand(1, dynamics.N_PIXELS, -1)
    torch.testing.assert_close(torch.fft.ifft2(vorticity).real, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.fft.ifft2(later).real[0, 0], decay * x.cos(), rtol=0, atol=1e-5)


def test_a_taylor_green_vortex_decays_as_in_closed_form():
    x = torch.arange(dynamics.N_PIXELS) * (2 * math.pi / dynamics.N_PIXELS)
    vorticity = torch.fft.fft2((x.cos().unsqueeze(1) * x.cos()).unsqueeze(0))
    later, _ = dynamics.next_state(vorticity, torch.zeros_like(vorticity), 1.0)
    torch.testing.assert_close(
        later, vorticity * math.exp(-2 * dynamics.VISCOSITY * dynamics.STEP), rtol=1e-4, atol=1e-3
    )


def test_ten_steps_of_the_true_map_have_no_error():
    batch = dynamics.data(0.3, seed=0).validation
    one, ten = dynamics.scores(lambda state: after(state, 0.3), batch)
    assert one < 1e-5
    assert ten < 1e-4


@pytest.mark.parametrize(("upright", "unturned"), [(1.0, 1.0), (0.0, 0.25), (0.6, 0.7)])
def test_share_of_digits_that_stay_upright(upright, unturned):
    images = digits.digits()[0]
    moved = digits.turned(images, upright, torch.Generator().manual_seed(0))
    same = (moved == images).flatten(1).all(dim=1).double().mean().item()
    assert same == pytest.approx(unturned, abs=4 * (unturned * (1 - unturned) / len(images)) ** 0.5 + 1e-9)


def test_rows_of_ct_are_those_of_the_study(tmp_path):
    (tmp_path / "summary").mkdir()
    (tmp_path / "provenance.json").write_text('{"code": {"commit": "abc"}}')
    ends = [f"{column}_{end}" for column in ("psnr_diff_db", "psnr_to_strict_db") for end in ("mean", "low", "high")]
    columns = ["asymmetry", "slices", "method", "norm", "lam_perp", "n_seeds", "psnr_db_mean", *ends]
    kept = [1.0, 0, "projection", "frobenius", 1e-5, 10, 35.0, *range(6)]
    other = [[1.0, 2, *kept[2:]], [1.0, 0, "projection", "spectral", *kept[4:]], [1.0, 0, "eqreg", *kept[3:]]]
    pd.DataFrame([kept, *other], columns=columns).to_csv(tmp_path / "summary" / "dial.csv", index=False)
    (row,) = ct.rows_of(tmp_path).to_dict("records")
    assert (row["method"], row["dial"], row["seeds"], row["commit"]) == ("penalty, tuned", 1.0, 10, "abc")
    assert [row[f"over_{of}{end}"] for of in ("plain", "strict") for end in ("", "_low", "_high")] == list(range(6))


def test_pages_are_in_step_with_the_tables():
    pages = domains.pages()
    assert len(pages) == 1 + len(domains.EXAMPLES)
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_a_page_without_its_marks_is_refused(tmp_path, monkeypatch):
    (tmp_path / "rings_methods.md").write_text("# Rings\n")
    (tmp_path / "rings_methods.csv").write_bytes((domains.FOLDER / "rings_methods.csv").read_bytes())
    monkeypatch.setattr(domains, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"rings_methods\.md: expected the lines"):
        domains.page_of("rings_methods")


def made_up(marks: dict[str, tuple[str, str]]) -> rule.Row:
    """A row whose methods are better, worse or neither than plain and than strict."""
    limits = {comparison.BETTER: (1, 2), comparison.WORSE: (-2, -1), "": (-1, 1)}
    methods = {"plain": {"method": "plain"}}
    for method, (over_plain, over_strict) in marks.items():
        row = {"method": method}
        for reference, mark in (("plain", over_plain), ("strict", over_strict)):
            row[f"over_{reference}_low"], row[f"over_{reference}_high"] = limits[mark]
        methods[method] = row
    return rule.Row(title="made up", dial=0.5, methods=methods, seeds=None, regime=rule.PARTLY)


UP, DOWN = comparison.BETTER, comparison.WORSE


def test_the_counts_are_of_what_the_intervals_say():
    rows = [
        made_up({"strict": (UP, ""), "penalty, tuned": (UP, UP)}),
        made_up({"strict": (DOWN, ""), "penalty, tuned": ("", UP)}),
        made_up({"strict": ("", "")}),
    ]
    _, _, plain, strict = rule.counts_of(rows).splitlines()
    assert plain == "| it is partly broken | plain | 1 ▲ 1 ▼ of 3 | 1 ▲ 0 ▼ of 2 |"
    assert strict == "| it is partly broken | strict | – | 2 ▲ 0 ▼ of 2 |"
    undecided = rule.undecided_of(rows)
    assert "Not told apart from plain: strict in 1 of 3; penalty, tuned in 1 of 2." in undecided
    assert "Penalty, tuned is better than plain and than strict at once in 1 (made up at 0.5)" in undecided
    assert "No method is told apart from plain in 1 (made up at 0.5)" in undecided


@pytest.mark.parametrize(
    ("strict", "penalty", "taken"),
    [
        ((UP, ""), (UP, ""), "take strict"),
        ((UP, ""), ("", DOWN), "take strict"),
        ((UP, ""), (UP, UP), "take the tuned penalty"),
        ((DOWN, ""), (UP, UP), "take the tuned penalty"),
        ((DOWN, ""), ("", UP), "train plain"),
        (("", ""), ("", ""), "nothing is decided"),
        ((UP, ""), ("", UP), "let validation choose"),
    ],
)
def test_the_rule_takes_what_pays_and_what_nothing_speaks_against(strict, penalty, taken):
    assert rule.recommended([made_up({"strict": strict, "penalty, tuned": penalty})]).startswith(f"**{taken}**")


def test_a_dial_that_leaves_the_group_alone_breaks_nothing():
    assert [rule.regime(dial, 3.0) for dial in (0.0, 1.0, 3.0)] == [rule.HOLDS, rule.PARTLY, rule.MOST]
    assert rule.regime(3.0, 3.0, broken=False) == rule.HOLDS


def test_ratio_of_losses_is_the_geometric_mean_over_seeds():
    seeds = pd.DataFrame(
        {"method": ["plain", "plain", "strict", "strict"], "seed": [0, 1, 0, 1], "validation": [1.0, 2.0, 4.0, 2.0]}
    )
    row = rule.Row(title="made up", dial=0.0, methods={}, seeds=seeds)
    assert rule.loss_ratio(row) == pytest.approx(2.0)
    assert rule.span([2.0]) == "2.00"
    assert rule.span([2.0, 1.0]) == "1.00 to 2.00"


def test_a_choice_by_validation_takes_strict_where_its_loss_is_smaller():
    values = {"plain": [0.9, 0.8], "strict": [0.7, 0.9], "proximal": [0.8, 1.0]}
    losses = {"plain": [1.0, 2.0], "strict": [2.0, 1.0], "proximal": [0.0, 0.0]}
    seeds = pd.DataFrame(
        {"method": method, "seed": seed, "value": values[method][seed], "validation": losses[method][seed]}
        for method in values
        for seed in range(2)
    )
    row = rule.Row(title="made up", dial=0.0, methods={}, seeds=seeds, sign=1)
    assert rule.chosen_gains(row, "proximal")[0] == pytest.approx((-0.1 + 0.1) / 2)
    assert rule.chosen_gains(row, "plain")[0] == pytest.approx((0.0 - 0.1) / 2)
