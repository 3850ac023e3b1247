"""What of a module is covered, and that nothing is silent about the rest."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from equiproj import ProjectionPenalty, ProximalPenalty, equivariance_report, project_
from equiproj.groups import CyclicGroup
from equiproj.layers import coverage, typed_parameters
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
RHO, ONE = regular(GROUP), trivial(GROUP)


class Mixed(nn.Module):
    """A linear layer, and a matrix, a token and a scalar that nobody knows; 16 + 24 entries of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.table = nn.Parameter(torch.randn(6, 4))
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cdist(self.temperature * self.inner(x + self.token), self.table)


def test_the_share_and_the_names() -> None:
    network = Mixed()
    with pytest.warns(UserWarning, match=r"covered: 40 % .* not covered: table \(6, 4\)") as caught:
        report = equivariance_report(network, GROUP)
    assert len(caught) == 1
    assert (report.coverage.n_covered, report.coverage.n_entries) == (16, 40)
    assert report.coverage.names == ("table",)
    assert report.coverage.missing_vectors == ("token", "temperature", "inner.bias")
    assert str(report).splitlines()[-1] == (
        "covered: 40 % of matrix parameters (16 of 40); not covered: table (6, 4); 0 of 3 vectors"
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda network, **more: ProjectionPenalty(network, GROUP, **more),
        lambda network, **more: ProximalPenalty(network, GROUP, **more),
        lambda network, **more: equivariance_report(network, GROUP, **more),
        lambda network, **more: project_(network, GROUP, **more),
    ],
    ids=["penalty", "proximal", "report", "project"],
)
def test_everyone_warns_once_raises_if_strict_and_takes_patterns(use: object) -> None:
    with pytest.warns(UserWarning, match="not covered: table") as caught:
        use(Mixed())
    assert len(caught) == 1
    with pytest.raises(ValueError, match=r"expected every matrix parameter to be covered, found 40 % .*table"):
        use(Mixed(), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use(Mixed(), strict=True, skip="tab*")
        use(Mixed(), strict=True, parameters={"table": (6 * ONE, RHO)})


def test_a_penalty_says_what_it_covers() -> None:
    penalty = ProjectionPenalty(Mixed(), GROUP, skip=["table"])
    assert penalty.coverage.skipped == ("table",)
    assert "100 % of matrix parameters (16 of 16); skipped: table; 0 of 3 vectors" in repr(penalty)
    assert penalty.breakdown().coverage == penalty.coverage


def test_a_skipped_layer_is_neither_projected_nor_counted() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    before = network[1].weight.detach().clone()
    project_(network, GROUP, skip="1.*")
    assert torch.equal(network[1].weight, before)
    assert equivariance_report(network, GROUP, skip="1.*").coverage.n_entries == 16


def test_layers_that_are_chosen_are_no_surprise_but_strict_says_so() -> None:
    network = Mixed()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = equivariance_report(network, layers={"inner": (RHO, RHO)})
    assert report.coverage.names == ("table",)
    with pytest.raises(ValueError, match="not covered: table"):
        equivariance_report(network, layers={"inner": (RHO, RHO)}, strict=True)
    assert equivariance_report(network, layers={"inner": (RHO, RHO)}, strict=True, skip="*").coverage.share == 1


def test_tied_and_parametrised_weights_count_once() -> None:
    network = nn.Sequential(nn.Linear(4, 4, bias=False), weight_norm(nn.Linear(4, 4, bias=False)))
    tied = nn.Linear(4, 4, bias=False)
    tied.weight = network[0].weight
    network.append(tied)
    found = coverage(network, typed_parameters(network, layers={"0": (RHO, RHO)}))
    assert (found.n_entries, found.names) == (32, ("1.weight",))


def test_just_short_of_everything_is_not_called_everything() -> None:
    network = Mixed()
    network.inner, network.table = nn.Linear(400, 400), nn.Parameter(torch.ones(2, 2))
    found = coverage(network, typed_parameters(network, layers={"inner": (100 * RHO, 100 * RHO)}))
    assert str(found).startswith("99 % of matrix parameters (160,000 of 160,004); not covered: table")


def test_many_names_are_counted() -> None:
    network = nn.ParameterList([nn.Parameter(torch.ones(2, 2)) for _ in range(11)])
    assert str(coverage(network, [])).count("(2, 2)") == 8
    assert "and 3 more" in str(coverage(network, []))


def test_a_lazy_layer_is_named() -> None:
    with pytest.raises(ValueError, match=r"'1\.weight': expected one with a shape, found a lazy one"):
        coverage(nn.Sequential(nn.ReLU(), nn.LazyLinear(4)), [])


def test_affine_parameters_are_vectors_and_counted_with_the_biases() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3, bias=False))
    found = equivariance_report(network, GROUP)
    assert found.coverage.missing_vectors == ("1.weight", "1.bias")
    with_vectors = equivariance_report(network, GROUP, include_bias=True)
    assert [row.name for row in with_vectors.rows] == ["0.weight", "1.weight", "1.bias", "2.weight"]
    assert not with_vectors.coverage.missing_vectors
