"""Gram and power iteration against the SVD, at rest and along a training run."""

import math

import pytest
import torch
from torch import Tensor, nn

from equiproj.norms import gram_iteration, matrix_norm, power_iteration, start_block
from equiproj.norms.gram import RELATIVE_EXCESS


def random_matrix(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def assert_is_upper_bound_within(bound: Tensor, exact: Tensor, excess: float) -> None:
    assert (bound >= exact * (1 - 1e-5)).all()
    assert (bound <= exact * (1 + excess)).all()


@pytest.mark.parametrize("shape", [(36, 900), (900, 36), (64, 64), (8, 9), (1, 5), (3, 1)])
def test_gram_iteration_bounds_the_spectral_norm(shape: tuple[int, int]) -> None:
    matrices = random_matrix(5, *shape) * torch.logspace(-8, 4, 5)[:, None, None]
    exact = torch.linalg.matrix_norm(matrices, 2)
    assert_is_upper_bound_within(gram_iteration(matrices)[0], exact, RELATIVE_EXCESS)


def test_gram_iteration_meets_its_bound_where_all_singular_values_are_equal() -> None:
    """The worst case: r equal values exceed σ₁ by r^(1/(2N+2)), and no gradient may favour one of them."""
    for rank in (2, 36, 300):
        value, gradient = gram_iteration(torch.eye(rank, dtype=torch.float64))
        assert 1 < value.item() <= 1 + RELATIVE_EXCESS
        torch.testing.assert_close(gradient, torch.eye(rank, dtype=torch.float64) * gradient[0, 0])


def test_gram_iteration_is_a_schatten_norm_with_its_exact_gradient() -> None:
    matrix = random_matrix(4, 6, dtype=torch.float64)
    matrix[1] = matrix[0]
    sigma = torch.linalg.svdvals(matrix)
    value, gradient = gram_iteration(matrix)
    order = next(2 * 2**k + 2 for k in range(20) if 4 ** (1 / (2 * 2**k + 2)) <= 1 + RELATIVE_EXCESS)
    expected = sigma[0] * (sigma / sigma[0]).pow(order).sum().pow(1 / order)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    wanted = matrix.clone().requires_grad_()
    singular = torch.linalg.svd(wanted, full_matrices=False).S
    (singular[0] * (singular / singular[0]).pow(order).sum().pow(1 / order)).backward()
    torch.testing.assert_close(gradient, wanted.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, math.inf])
@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (5, 3)])
def test_power_iteration_from_the_svd_is_exact(p: float, shape: tuple[int, int]) -> None:
    matrices = random_matrix(3, *shape, dtype=torch.float64)
    exact = matrices.clone().requires_grad_()
    value = matrix_norm(exact, f"schatten:{p}")
    value.sum().backward()
    iterate = power_iteration(matrices, start_block(matrices, p), p)
    torch.testing.assert_close(iterate.value, value.detach(), rtol=2e-4, atol=0)
    close = (iterate.subgradient - exact.grad).norm() / exact.grad.norm()
    assert close < 0.02


@pytest.mark.parametrize("p", [1.0, math.inf])
def test_power_iteration_converges_from_anywhere(p: float) -> None:
    matrix = random_matrix(20, 60, dtype=torch.float64)
    left = torch.linalg.qr(random_matrix(20, 20 if p == 1 else 8, seed=5, dtype=torch.float64))[0]
    iterate = power_iteration(matrix, left, p, n_iterations=60)
    assert iterate.value.item() == pytest.approx(matrix_norm(matrix, f"schatten:{p}").item(), rel=5e-4)


@pytest.mark.parametrize("p", [1.0, math.inf])
def test_power_iteration_survives_zero_and_recovers(p: float) -> None:
    """A layer that is exactly equivariant for a while must not lose its singular vectors, nor give NaN."""
    zero, matrix = torch.zeros(2, 10, 30), random_matrix(2, 10, 30)
    left = start_block(zero, p)
    for _ in range(5):
        iterate = power_iteration(zero, left, p)
        left = iterate.left
        assert torch.equal(iterate.value, torch.zeros(2))
        assert torch.equal(iterate.subgradient, torch.zeros(2, 10, 30))
    recovered = power_iteration(matrix, left, p, n_iterations=40)
    torch.testing.assert_close(recovered.value, matrix_norm(matrix, f"schatten:{p}"), rtol=1e-3, atol=0)


def test_power_iteration_keeps_an_orthonormal_block_for_rank_deficient_matrices() -> None:
    matrix = torch.outer(random_matrix(10), random_matrix(30, seed=1))
    iterate = power_iteration(matrix, start_block(matrix), n_iterations=20)
    torch.testing.assert_close(iterate.left.mT @ iterate.left, torch.eye(8), rtol=0, atol=1e-5)
    torch.testing.assert_close(iterate.value, matrix_norm(matrix, "frobenius"), rtol=1e-3, atol=0)


def test_the_iteration_is_a_pure_function() -> None:
    matrix = random_matrix(6, 9)
    left = start_block(matrix)
    before = left.clone()
    first, second = power_iteration(matrix, left), power_iteration(matrix, left)
    assert torch.equal(left, before)
    assert torch.equal(first.value, second.value)


@pytest.mark.slow
def test_all_methods_follow_the_svd_along_a_training_run() -> None:
    """Within 1e-3 at each of 150 Adam steps of a small denoiser, warm-started from the step before."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 5, padding=2), nn.ReLU())
    network.append(nn.Conv2d(16, 1, 5, padding=2))
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    blocks: dict[tuple[int, float], Tensor] = {}
    worst = {"spectral power": 0.0, "spectral gram": 0.0, "nuclear power": 0.0, "nuclear gram": 0.0}
    start = network[2].weight.detach().clone()
    for _ in range(150):
        rough = torch.randn(2, 1, 10, 10, generator=generator)
        smooth = nn.functional.avg_pool2d(rough, 3, 1, 1)
        loss = (network(smooth + 0.1 * rough) - smooth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        for index in (0, 2, 4):
            matrix = network[index].weight.detach().flatten(1)
            for name, p in (("spectral", math.inf), ("nuclear", 1.0)):
                exact = matrix_norm(matrix.double(), name)
                iterate = power_iteration(matrix, blocks.setdefault((index, p), start_block(matrix, p)), p)
                blocks[index, p] = iterate.left
                for method, value in (("power", iterate.value), ("gram", matrix_norm(matrix, name, "gram"))):
                    error = abs(value.item() / exact.item() - 1)
                    worst[f"{name} {method}"] = max(worst[f"{name} {method}"], error)
    # The run has to be a real one: weights must have moved far, or a frozen block would pass too.
    moved = (network[2].weight - start).norm() / start.norm()
    assert moved > 0.3
    assert max(worst.values()) < 1e-3, worst
