"""The methods that the examples compare: one start, the same steps, and results that any number of processes gives."""

from dataclasses import replace
from functools import partial

import comparison
import digits
import harness
import pandas as pd
import pytest
import torch
from methods import Addition, Data, Unit
from scipy import stats
from torch import nn

from equiproj.baselines import StrictEquivariance
from equiproj.layers import typed_parameters


def few(dial: float, seed: int) -> Data:
    """Some images of each part."""
    return Data(*((images[:40], labels[:40]) for images, labels in digits.data(dial, seed)))


TINY = replace(digits.DOMAIN, data=few, n_steps=3, weights=(1e-3, 1.0), proximal_weights=(0.1, 1.0))
N_TRAININGS = {
    "plain": 1,
    "augmentation": 1,
    "test-time average": 1,
    "strict": 1,
    "penalty, tuned": 2,
    "proximal": 2,
    "penalty, adaptive": 3,
}


class Watched(nn.Module):
    """A network that keeps its first weights and counts its forward passes in training mode."""

    def __init__(self, network: nn.Module, all_of_them: list["Watched"]) -> None:
        super().__init__()
        self.inner, self.seen, self.first, self.batches = network, 0, {}, []
        all_of_them.append(self)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen += 1
            self.first = self.first or {name: value.clone() for name, value in self.state_dict().items()}
            self.batches.append(inputs.flatten(1).sum(dim=1).sort().values)  # turns keep the sum of an image
        return self.inner(inputs)


def test_every_method_has_the_same_start_and_batches_and_takes_as_many_steps():
    watched: list[Watched] = []
    layers = {f"inner.{name}": pair for name, pair in digits.declaration()["layers"].items()}
    domain = replace(TINY, network=lambda: Watched(digits.network(), watched), declaration=lambda: {"layers": layers})
    rows = pd.DataFrame(harness.rows_of(Unit(domain, 0.5, seed=3))).set_index("method")
    assert tuple(rows.index) == comparison.METHODS
    assert rows["trainings"].to_dict() == N_TRAININGS
    assert rows.loc["penalty, tuned", "weight"] in TINY.weights
    assert rows.loc["proximal", "weight"] in TINY.proximal_weights
    assert rows["value"].between(0, 100).all()
    # the test-time average is of the plain network, and the adaptive weights begin with the strict one
    assert len(watched) == rows["trainings"].sum() - 2
    assert {network.seen for network in watched} == {TINY.n_steps}
    for network in watched[1:]:
        for name, value in network.first.items():
            torch.testing.assert_close(value, watched[0].first[name], rtol=0, atol=0)
        for mine, plain in zip(network.batches, watched[0].batches, strict=True):
            torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-5)


def test_another_seed_is_another_start_and_the_same_seed_the_same():
    first, again, other = (Unit(TINY, 0.0, seed).start()[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_theorem_strict_steps_are_those_of_the_parametrised_network():
    unit, layers = Unit(replace(TINY, n_steps=20), 0.5, seed=1), digits.declaration()["layers"]
    data = unit.domain.data(unit.dial, unit.seed)

    def parametrised(network: nn.Module) -> Addition:
        StrictEquivariance(network, layers)
        return Addition()

    ours, theirs = (unit.train(data, method).network for method in (unit.strict, parametrised))
    images = data.test[0][:50]
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
    averaged = unit.domain.average(ours)
    torch.testing.assert_close(ours(images), averaged(images), rtol=1e-4, atol=1e-4)


def test_penalties_shrink_what_is_not_equivariant_and_none_is_plain():
    unit = Unit(replace(TINY, n_steps=30), 1.0, seed=0)
    data = unit.domain.data(unit.dial, unit.seed)

    def rest(method) -> float:
        network = unit.train(data, method).network
        parts = typed_parameters(network, include_bias=True, **digits.declaration())
        return sum((part.read() - part.projector(part.read())).square().sum().item() for part in parts) ** 0.5

    plain = rest(lambda network: Addition())
    assert rest(partial(unit.penalised, 0.0)) == plain
    assert rest(partial(unit.penalised, 1.0)) < 0.5 * plain
    assert rest(partial(unit.proximal, 10.0)) < 1e-3 * plain
    assert rest(unit.strict) < 1e-4 * plain


def test_results_do_not_depend_on_the_number_of_processes():
    domain = replace(TINY, dials=(0.5,), n_steps=1)
    alone, together = (
        harness.run(harness.units_of(domain, seeds=2), harness.rows_of, jobs).drop(columns="seconds") for jobs in (1, 2)
    )
    pd.testing.assert_frame_equal(alone, together)


def test_a_batch_holds_no_sample_twice_and_all_where_there_are_few():
    batches = list(Unit(replace(TINY, batch_size=5), 0.0, 0)._batches(8))
    assert [len(batch.unique()) for batch in batches] == [5] * TINY.n_steps
    assert [batch.tolist() for batch in Unit(TINY, 0.0, 0)._batches(4)] == [[0, 1, 2, 3]] * TINY.n_steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--figure", "digits.gif"], "ends in .png or .svg, found digits.gif"),
        (["--seeds", "1"], "--seeds of at least 2"),
    ],
)
def test_bad_options_end_in_one_line(options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        digits.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_intervals_are_those_of_scipy():
    differences = [0.3, -0.1, 0.4, 0.2, 0.7]
    mean, low, high = comparison.paired_interval(differences)
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((0.3, expected.low, expected.high))
    with pytest.raises(ValueError, match="two paired differences or more, found 1"):
        comparison.paired_interval([1.0])


def table_of(values: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {"metric": "RMSE", "dial": 0.5, "method": method, "seed": seed, "value": value}
        for method, of_method in values.items()
        for seed, value in enumerate(of_method)
    )


def test_gains_are_paired_by_seed_and_positive_where_a_method_is_better():
    table = table_of({"plain": [1.0, 2.0, 3.0], "strict": [0.5, 1.4, 2.6], "proximal": [1.2, 2.3, 3.25]})
    rows = comparison.summary(table.sample(frac=1, random_state=0), {"RMSE": -1}).set_index("method")
    assert rows.loc["strict", "over_plain"] == pytest.approx(0.5)
    assert rows.loc["proximal", "over_strict"] == pytest.approx(-0.75)
    marks = [comparison.verdict(rows.loc[method], "plain") for method in ("strict", "proximal")]
    assert marks == [comparison.BETTER, comparison.WORSE]
    assert comparison.cell(rows.reset_index().iloc[1], 1).startswith("+0.5 [+")


def test_data_splits_share_no_image():
    data = Data(*((batch[0].flatten(1), batch[1]) for batch in digits.data(1.0, seed=0)))
    whole = torch.cat([part[0] for part in data])
    assert sorted(whole.sum(dim=1).tolist()) == sorted(digits.digits()[0].flatten(1).sum(dim=1).tolist())
    assert [len(part[0]) for part in data] == [200, 200, 1397]
