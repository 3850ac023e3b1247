"""`matrix_norm`: values against definitions, gradients against finite differences, and what happens at the edges."""

import inspect
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from equiproj.norms import matrix_norm
from equiproj.norms.singular import schatten_norm

BruteForce = Callable[[Tensor, str], float]
SHAPES = [(4, 7), (7, 4), (5, 5), (1, 6), (6, 1)]


def random_matrix(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def value_and_gradient(matrix: Tensor, norm: str, method: str = "exact") -> tuple[Tensor, Tensor]:
    matrix = matrix.clone().requires_grad_()
    value = matrix_norm(matrix, norm, method)
    value.sum().backward()
    return value.detach(), matrix.grad


def assert_is_subgradient(matrix: Tensor, norm: str, subgradient: Tensor) -> None:
    """‖B‖ ≥ ‖A‖ + ⟨g, B − A⟩ for every B, and ⟨g, A⟩ = ‖A‖: together the definition for a norm."""
    value = matrix_norm(matrix, norm)
    torch.testing.assert_close((subgradient * matrix).sum(), value, rtol=1e-9, atol=1e-12)
    for seed in range(40):
        other = random_matrix(*matrix.shape, seed=seed)
        # Near and far points, and sparse ones, where the unit balls of norms have their corners.
        for candidate in (other, matrix + 1e-2 * other, other * (other.abs() > 1), -matrix, 3 * matrix):
            bound = value + (subgradient * (candidate - matrix)).sum()
            assert matrix_norm(candidate, norm) >= bound - 1e-9 * (1 + bound.abs())


@pytest.mark.parametrize("shape", SHAPES)
def test_value_is_the_definition(norm: str, shape: tuple[int, int], brute_force_norm: BruteForce) -> None:
    matrix = random_matrix(*shape)
    assert matrix_norm(matrix, norm).item() == pytest.approx(brute_force_norm(matrix, norm), rel=1e-12)
    assert matrix_norm(matrix, norm, "gram").item() == pytest.approx(brute_force_norm(matrix, norm), rel=1e-3)


def test_closed_forms() -> None:
    matrix = torch.tensor([[3.0, 0.0, -4.0], [0.0, 5.0, 0.0]], dtype=torch.float64)
    expected = {
        "frobenius": math.sqrt(50),
        "spectral": 5,
        "nuclear": 10,
        "schatten:4": (2 * 5**4) ** 0.25,
        "entrywise:1": 12,
        "entrywise:inf": 5,
        "induced:1": 5,
        "induced:inf": 7,
        "mixed:1,inf": 5,
        "mixed:2,1": 12,
        "mixed:inf,2": math.sqrt(50),
    }
    for norm, value in expected.items():
        assert matrix_norm(matrix, norm).item() == pytest.approx(value, rel=1e-14), norm


def test_mixed_takes_p_inside_each_column() -> None:
    column = torch.tensor([[3.0], [4.0]])
    assert matrix_norm(column, "mixed:2,1").item() == pytest.approx(5)
    assert matrix_norm(column.mT, "mixed:2,1").item() == pytest.approx(7)


def test_frozen_values() -> None:
    matrix = torch.arange(12, dtype=torch.float64).reshape(3, 4).sin()
    frozen = {"nuclear": 3.4179178689627343, "schatten:3": 2.2107026016876006, "mixed:3,1.5": 2.7373687513132676}
    for norm, value in frozen.items():
        assert matrix_norm(matrix, norm).item() == pytest.approx(value, rel=1e-12), norm


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_is_the_derivative(norm: str, shape: tuple[int, int]) -> None:
    matrix = random_matrix(*shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: matrix_norm(a, norm), matrix)


def test_gradient_agrees_with_autograd_through_the_svd() -> None:
    matrix = random_matrix(2, 5, 9).requires_grad_()
    (expected,) = torch.autograd.grad(torch.linalg.svdvals(matrix).pow(3).sum(-1).pow(1 / 3).sum(), matrix)
    torch.testing.assert_close(value_and_gradient(matrix.detach(), "schatten:3")[1], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["exact", "gram"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_zero_has_value_and_gradient_zero(norm: str, method: str, dtype: torch.dtype) -> None:
    value, gradient = value_and_gradient(torch.zeros(3, 4, 6, dtype=dtype), norm, method)
    assert torch.equal(value, torch.zeros_like(value))
    assert torch.equal(gradient, torch.zeros(3, 4, 6, dtype=dtype))


def test_a_zero_in_the_batch_does_not_disturb_the_others(norm: str) -> None:
    matrices = random_matrix(3, 4, 6)
    matrices[1] = 0
    value, gradient = value_and_gradient(matrices, norm)
    alone = value_and_gradient(matrices[2], norm)
    torch.testing.assert_close(value[2], alone[0])
    torch.testing.assert_close(gradient[2], alone[1])
    assert gradient[1].abs().max() == 0


@pytest.mark.parametrize("method", ["exact", "gram"])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
def test_a_matrix_that_is_not_finite_has_no_finite_norm_and_does_not_disturb_the_others(
    norm: str, method: str, broken: float, shape: tuple[int, int]
) -> None:
    matrices = random_matrix(3, *shape)
    alone = value_and_gradient(matrices[2], norm, method)
    matrices[1, 2, 3] = broken
    value, gradient = value_and_gradient(matrices, norm, method)
    assert not value[1].isfinite()
    torch.testing.assert_close(value[2], alone[0])
    torch.testing.assert_close(gradient[2], alone[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "matrix",
    [
        torch.eye(4),
        -torch.ones(3, 5),
        torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 2.0]]),
        torch.outer(torch.arange(4.0), torch.arange(1.0, 6)),
        torch.diag(torch.tensor([2.0, 2.0, 0.0])),
    ],
    ids=["identity", "constant", "tied columns", "rank one", "tied and deficient"],
)
def test_ties_and_rank_deficiency_give_a_subgradient(norm: str, matrix: Tensor) -> None:
    gradient = value_and_gradient(matrix.double(), norm)[1]
    assert gradient.isfinite().all()
    assert_is_subgradient(matrix.double(), norm, gradient)


def test_generic_matrices_give_a_subgradient(norm: str) -> None:
    matrix = random_matrix(4, 5, seed=99)
    assert_is_subgradient(matrix, norm, value_and_gradient(matrix, norm)[1])


def test_ties_are_shared_and_not_decided() -> None:
    identity = torch.eye(4, dtype=torch.float64)
    for norm in ("spectral", "schatten:inf"):
        torch.testing.assert_close(value_and_gradient(identity, norm)[1], identity / 4)
    torch.testing.assert_close(value_and_gradient(-torch.ones(2, 3), "entrywise:inf")[1], -torch.ones(2, 3) / 6)
    torch.testing.assert_close(value_and_gradient(torch.ones(2, 3), "induced:1")[1], torch.ones(2, 3) / 3)
    # Columns (1, 1) and (0, 2) tie; the shortest combination weighs them 1 : 2.
    tied = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    torch.testing.assert_close(value_and_gradient(tied, "induced:1")[1], torch.tensor([[1.0, 0.0], [1.0, 2.0]]) / 3)


def test_the_subgradient_is_the_shortest_one() -> None:
    """At a tie every convex combination of one-sided gradients is a subgradient; none may be shorter than ours."""
    matrix = torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=torch.float64))
    for norm in ("spectral", "entrywise:inf", "induced:1", "induced:inf", "mixed:1,inf"):
        ours = value_and_gradient(matrix, norm)[1].norm()
        sided = [value_and_gradient(matrix + 1e-7 * random_matrix(3, 3, seed=s), norm)[1] for s in range(30)]
        weights = torch.softmax(3 * random_matrix(200, 30), -1)
        combinations = torch.einsum("ws,sij->wij", weights, torch.stack(sided))
        assert (combinations.norm(dim=(-2, -1)) >= ours - 1e-6).all(), norm


def test_orthogonally_invariant_norms_turn_their_gradient_along() -> None:
    """A gradient that does not depend on the basis an SVD picks: also where singular values are equal or zero."""
    matrix = torch.diag(torch.tensor([2.0, 2.0, 1.0, 0.0], dtype=torch.float64))
    left, right = (torch.linalg.qr(random_matrix(4, 4, seed=s))[0] for s in (1, 2))
    for norm in ("frobenius", "spectral", "nuclear", "schatten:3"):
        turned = value_and_gradient(left @ matrix @ right, norm)[1]
        torch.testing.assert_close(turned, left @ value_and_gradient(matrix, norm)[1] @ right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(norm: str, dtype: torch.dtype) -> None:
    matrix = random_matrix(6, 50, dtype=torch.float32).to(dtype)
    value, gradient = value_and_gradient(matrix, norm)
    wide_value, wide_gradient = value_and_gradient(matrix.float(), norm)
    assert value.dtype == torch.float32
    assert gradient.dtype == dtype
    assert torch.equal(value, wide_value)
    assert torch.equal(gradient, wide_gradient.to(dtype))


def test_float16_sums_do_not_overflow() -> None:
    matrix = torch.full((300, 300), 300.0, dtype=torch.float16)
    assert matrix_norm(matrix, "entrywise:1").item() == pytest.approx(2.7e7)
    assert matrix_norm(matrix, "frobenius").item() == pytest.approx(9e4)


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e18, 1e30])
@pytest.mark.parametrize("method", ["exact", "gram"])
def test_norms_scale_over_the_range_of_float32(norm: str, scale: float, method: str) -> None:
    matrix = random_matrix(4, 7, dtype=torch.float32)
    value, gradient = value_and_gradient(matrix, norm, method)
    scaled, scaled_gradient = value_and_gradient(matrix * scale, norm, method)
    torch.testing.assert_close(scaled / scale, value, rtol=1e-5, atol=0)
    torch.testing.assert_close(scaled_gradient, gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["spectral", "nuclear", "schatten:1.5"])
def test_gram_matches_the_svd_of_ill_conditioned_float32_matrices(norm: str) -> None:
    left, right = (torch.linalg.qr(random_matrix(n, 6, seed=n))[0] for n in (6, 40))
    matrix = ((left * torch.logspace(0, -5, 6)) @ right.mT).float()
    exact, by_gram = (value_and_gradient(matrix.double(), norm), value_and_gradient(matrix, norm, "gram"))
    assert by_gram[0].item() == pytest.approx(exact[0].item(), rel=1e-3 if norm == "spectral" else 1e-6)
    torch.testing.assert_close(by_gram[1].double(), exact[1], rtol=0, atol=2e-2 if norm == "spectral" else 1e-2)


def test_complex_matrices_have_real_norms_and_gradients() -> None:
    matrix = torch.randn(3, 5, dtype=torch.complex128, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for norm in ("frobenius", "spectral", "nuclear", "schatten:3", "entrywise:3", "induced:1", "mixed:2,1"):
        assert torch.autograd.gradcheck(lambda a, norm=norm: matrix_norm(a, norm), matrix)


def test_batches_are_batches(norm: str) -> None:
    matrices = random_matrix(2, 3, 4, 5)
    values = matrix_norm(matrices, norm)
    assert values.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(values[i, j], matrix_norm(matrices[i, j], norm), rtol=1e-12, atol=0)


def test_vmap_and_functional_gradients_work(norm: str) -> None:
    matrices = random_matrix(3, 4, 5)
    per_matrix = torch.func.vmap(torch.func.grad(lambda a: matrix_norm(a, norm)))(matrices)
    torch.testing.assert_close(per_matrix, value_and_gradient(matrices, norm)[1])


def test_autocast_does_not_lower_the_precision(norm: str) -> None:
    matrix = random_matrix(6, 50, dtype=torch.float32)
    for method in ("exact", "gram"):
        with torch.autocast("cpu", torch.bfloat16):
            inside = matrix_norm(matrix, norm, method)
        assert torch.equal(inside, matrix_norm(matrix, norm, method))


def test_a_second_derivative_is_refused_and_not_zero() -> None:
    matrix = random_matrix(2, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(matrix_norm(matrix, "frobenius"), matrix, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once"):
        gradient.sum().backward()


@pytest.mark.parametrize("shape", [(3,), (0, 3), (3, 0), ()])
def test_what_is_no_matrix_is_refused(shape: tuple[int, ...]) -> None:
    # Without the annotations' check, as users run it.
    with pytest.raises(ValueError, match=r"expected a matrix with axes .* found shape"):
        inspect.unwrap(matrix_norm)(torch.zeros(shape), "frobenius")


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="'exact' or 'gram', found 'svd'"):
        matrix_norm(torch.ones(2, 2), "spectral", "svd")


@pytest.mark.parametrize(("norm", "p"), [("spectral", math.inf), ("nuclear", 1.0), ("schatten:3", 3.0)])
@pytest.mark.parametrize("shape", [(10, 24, 90), (4, 60, 60)])
def test_exact_in_single_precision_is_closer_than_an_svd_in_single_precision(
    norm: str, p: float, shape: tuple[int, ...]
) -> None:
    matrices = random_matrix(*shape, dtype=torch.float32)
    value, gradient = value_and_gradient(matrices, norm)
    wanted_value, wanted = value_and_gradient(matrices.double(), norm)
    torch.testing.assert_close(value.double(), wanted_value, rtol=4 * torch.finfo(torch.float32).eps, atol=0)
    by_svd = schatten_norm(matrices, p)[1]
    assert (gradient - wanted).norm() < 0.5 * (by_svd - wanted).norm()
