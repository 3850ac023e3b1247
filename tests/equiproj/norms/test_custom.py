"""Norms of the user's own: their value and gradient, in a penalty, and what is refused."""

import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty, equivariance_report
from equiproj.groups import CyclicGroup
from equiproj.norms import CustomNorm, matrix_norm, operator_norm, parse_norm
from equiproj.testing import assert_norm

GROUP = CyclicGroup(4)


def nuclear(matrix: Tensor) -> Tensor:
    return torch.linalg.svdvals(matrix).sum(-1)


def largest_two(matrix: Tensor) -> Tensor:
    """The sum of the two largest singular values (Ky Fan)."""
    return torch.linalg.svdvals(matrix)[..., :2].sum(-1)


def test_value_and_gradient_are_those_of_the_same_norm_by_its_name():
    matrix = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    own = matrix_norm(matrix, CustomNorm("own", nuclear))
    named = matrix_norm(matrix, "nuclear")
    torch.testing.assert_close(own, named)
    gradients = [torch.autograd.grad(norms.sum(), matrix)[0] for norms in (own, named)]
    torch.testing.assert_close(*gradients)


def test_a_zero_matrix_has_norm_zero_and_gradient_zero():
    matrix = torch.zeros(2, 3, 3)
    matrix[0, 0, 0] = 2.0
    matrix.requires_grad_()
    norms = matrix_norm(matrix, CustomNorm("own", lambda m: m.square().sum((-2, -1)).sqrt()))
    norms.sum().backward()
    assert norms.tolist() == [2.0, 0.0]
    assert matrix.grad.tolist() == [[[1, 0, 0], [0, 0, 0], [0, 0, 0]], [[0] * 3] * 3]


def test_a_penalty_with_the_own_norm_is_that_with_the_named_one():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
    own = ProjectionPenalty(network, GROUP, norm=CustomNorm("mine", nuclear))
    named = ProjectionPenalty(network, GROUP, norm="nuclear", method="exact")
    torch.testing.assert_close(own(), named())
    report = equivariance_report(network, GROUP, norm=CustomNorm("mine", largest_two))
    assert [row.norm for row in report.rows] == ["mine", "mine"]


def test_a_custom_norm_passes_through_and_measures_no_operators():
    norm = CustomNorm("mine", nuclear)
    assert parse_norm(norm) is norm
    with pytest.raises(ValueError, match="norm 'mine' is one of matrices"):
        operator_norm(torch.ones(1, 1, 3, 3), norm, (8, 8))
    with pytest.raises(
        ValueError, match=r"norm 'mine': expected norms of shape \(2,\), one for each matrix, found \(\)"
    ):
        matrix_norm(torch.ones(2, 3, 3), CustomNorm("mine", lambda matrix: matrix.abs().sum()))


@pytest.mark.parametrize(
    "norm", [nuclear, largest_two, torch.linalg.matrix_norm], ids=["nuclear", "ky fan", "frobenius"]
)
def test_norms_are_norms(norm):
    assert_norm(norm)


@pytest.mark.parametrize(
    ("function", "law"),
    [
        (lambda m: m.square().sum((-2, -1)), r"‖cA‖ = \|c\|‖A‖"),
        (lambda m: m.sum((-2, -1)), "‖A‖ > 0"),
        (lambda m: m.abs().sqrt().sum((-2, -1)).square(), r"‖A \+ B‖ ≤ ‖A‖ \+ ‖B‖"),
        (lambda m: m.diagonal(dim1=-2, dim2=-1).abs().sum(-1), "‖A‖ > 0"),
        (lambda m: m.abs().sum(), "one norm for each matrix"),
        (lambda m: m.abs().sum((-2, -1)) + 1e-3, r"‖cA‖ = \|c\|‖A‖"),
    ],
    ids=["square", "sum", "p below one", "blind to entries", "no batch", "offset"],
)
def test_what_is_no_norm_is_refused_by_its_law(function, law):
    with pytest.raises(AssertionError, match=law):
        assert_norm(function)
