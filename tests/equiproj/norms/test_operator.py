"""Norms of convolution operators against the dense matrix of the layer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from equiproj.norms import kernel_spectrum, map_spectral_norm, operator_norm, operator_norm_bound

BruteForce = Callable[[Tensor, str], float]


def random_kernel(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def dense_matrix(layer: Callable[[Tensor], Tensor], c_in: int, *image: int) -> Tensor:
    """Column j is the layer's answer to the j-th unit image."""
    n = c_in * int(torch.tensor(image).prod())
    units = torch.eye(n, dtype=torch.float64).reshape(n, c_in, *image)
    return layer(units).flatten(1).mT


@pytest.mark.parametrize("image", [(5, 5), (4, 6), (3, 3)])
def test_circular_norms_are_those_of_the_dense_operator(
    norm: str, image: tuple[int, int], brute_force_norm: BruteForce
) -> None:
    kernel = random_kernel(3, 2, 3, 3)
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(kernel)
    expected = brute_force_norm(dense_matrix(layer, 2, *image), norm)
    assert operator_norm(kernel, norm, image).item() == pytest.approx(expected, rel=1e-10)
    assert operator_norm(kernel, norm, image, "gram").item() == pytest.approx(expected, rel=1.1e-3)


def test_one_and_three_axes(norm: str, brute_force_norm: BruteForce) -> None:
    line = random_kernel(2, 3, 3)
    dense = dense_matrix(lambda x: nn.functional.conv1d(nn.functional.pad(x, (1, 1), "circular"), line), 3, 6)
    assert operator_norm(line, norm, (6,)).item() == pytest.approx(brute_force_norm(dense, norm), rel=1e-10)
    volume = random_kernel(1, 2, 3, 3, 3)
    pad = (1, 1, 1, 1, 1, 1)
    dense = dense_matrix(lambda x: nn.functional.conv3d(nn.functional.pad(x, pad, "circular"), volume), 2, 3, 4, 3)
    assert operator_norm(volume, norm, (3, 4, 3)).item() == pytest.approx(brute_force_norm(dense, norm), rel=1e-10)


@pytest.mark.parametrize("image", [(5, 5), (4, 6)])
def test_gradient_is_the_derivative(norm: str, image: tuple[int, int]) -> None:
    kernel = random_kernel(2, 2, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda k: operator_norm(k, norm, image), kernel)


def test_zero_has_value_and_gradient_zero(norm: str) -> None:
    kernel = torch.zeros(3, 2, 3, 3, requires_grad=True)
    value = operator_norm(kernel, norm, (5, 5))
    value.backward()
    assert value.item() == 0
    assert torch.equal(kernel.grad, torch.zeros(3, 2, 3, 3))


def test_batches_of_kernels(norm: str) -> None:
    kernels = random_kernel(4, 3, 2, 3, 3)
    values = operator_norm(kernels, norm, (5, 4))
    single = torch.stack([operator_norm(kernel, norm, (5, 4)) for kernel in kernels])
    torch.testing.assert_close(values, single, rtol=1e-12, atol=0)


def test_the_spectrum_holds_half_of_the_frequencies() -> None:
    kernel = random_kernel(3, 2, 3, 3)
    full = torch.fft.fft2(kernel, s=(4, 5))
    torch.testing.assert_close(kernel_spectrum(kernel, (4, 5))[3 * 1 + 2], full[..., 1, 2])


def test_zero_padding_is_bounded_by_the_circle_of_full_size() -> None:
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False, dtype=torch.float64)
    exact = torch.linalg.matrix_norm(dense_matrix(layer, 2, 6, 6), 2).item()
    assert exact <= operator_norm(layer.weight, "spectral", (8, 8)).item()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 3, 3, padding=1),
        nn.Conv2d(2, 4, 3, padding=2, stride=2, dilation=2, groups=2),
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1),
    ],
    ids=["zeros", "stride, dilation, groups", "reflect", "transposed"],
)
def test_power_iteration_through_any_layer(layer: nn.Module) -> None:
    torch.manual_seed(0)
    layer = layer.double()
    layer.reset_parameters()  # the parameters of a test are made before any seed
    dense = dense_matrix(lambda x: layer(x) - layer(torch.zeros_like(x)), 2, 6, 6)
    exact = torch.linalg.matrix_norm(dense, 2)
    start = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    value, right = map_spectral_norm(layer, start, n_iterations=300)
    assert value.item() == pytest.approx(exact.item(), rel=1e-3)
    assert value.item() <= exact.item() * (1 + 1e-12)
    # Warm start: the vector that came out needs one more product only.
    assert map_spectral_norm(layer, right, n_iterations=1).value.item() >= value.item() * (1 - 1e-12)


def test_the_norm_of_a_map_is_differentiable_in_its_parameters() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 4, dtype=torch.float64)
    value, _ = map_spectral_norm(layer, torch.randn(1, 5, dtype=torch.float64), n_iterations=500)
    value.backward()
    left, _, right = torch.linalg.svd(layer.weight.detach())
    torch.testing.assert_close(layer.weight.grad, torch.outer(left[:, 0], right[0]), rtol=0, atol=1e-6)
    assert layer.bias.grad is None or layer.bias.grad.abs().max() == 0


def test_a_zero_map_has_norm_zero() -> None:
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)
    value, right = map_spectral_norm(layer, torch.ones(1, 3))
    assert value.item() == 0
    assert right.isfinite().all()


@pytest.mark.parametrize(("kernel", "image"), [((2, 2, 5, 5), (4, 8)), ((2, 3), (4,)), ((2, 2, 3), ())])
def test_an_image_that_does_not_hold_the_kernel_is_refused(kernel: tuple[int, ...], image: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no larger than the image"):
        operator_norm(torch.zeros(kernel), "spectral", image)


@pytest.mark.parametrize("shape", [(3, 2, 5, 5), (2, 2, 3, 3), (4, 1, 2, 2), (2, 3, 1, 1), (2, 2, 4)])
def test_the_bound_holds_for_every_image_size_and_is_close(shape: tuple[int, ...]) -> None:
    """Against a frequency grid far finer than the one the bound looks at, and against zero padding."""
    kernel = random_kernel(*shape)
    n_axes = len(shape) - 2
    bound = operator_norm_bound(kernel, n_axes).item()
    finest = operator_norm(kernel, "spectral", (128,) * n_axes).item()
    assert finest <= bound <= finest * 1.02**n_axes
    for size in range(shape[-1], 14):
        assert operator_norm(kernel, "spectral", (size,) * n_axes).item() <= bound
    if n_axes == 2 and shape[-1] % 2:
        dense = dense_matrix(lambda x: nn.functional.conv2d(x, kernel, padding=shape[-1] // 2), shape[1], 7, 7)
        assert torch.linalg.matrix_norm(dense, 2).item() <= bound


def test_the_bound_is_attained_by_a_sharp_peak_between_grid_points() -> None:
    """Kernels turned by a phase have their peak anywhere: no shift of the peak may slip through the grid."""
    for shift in torch.linspace(0, 1, 23):
        kernel = torch.cos((torch.arange(5.0, dtype=torch.float64) - 2) * shift)[None, None]
        finest = operator_norm(kernel, "spectral", (4096,)).item()
        assert finest <= operator_norm_bound(kernel, 1).item() <= 1.02 * finest
