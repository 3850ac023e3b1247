"""Dictionaries of filters: sums, adjoints, gradients, and filters that turn."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from ctmar.models.dictionaries import analyse, correlate, filter_layer, gaussian_filters, mean_filters, synthesise
from ctmar.models.fourier_filters import turned_fourier_basis


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("per_image", [False, True])
def test_synthesis_is_the_sum_of_correlations(per_image):
    maps, filters = draw(3, 2, 7, 8), draw(3 if per_image else 1, 2, 5, 5)
    artefact = synthesise(maps, filters)
    for k in range(3):
        pairs = zip(maps[k].numpy(), filters[k if per_image else 0].numpy(), strict=True)
        expected = sum(correlate2d(image, kernel, mode="same") for image, kernel in pairs)
        np.testing.assert_allclose(artefact[k, 0], expected, atol=1e-12)


@pytest.mark.parametrize("per_image", [False, True])
def test_analysis_is_the_adjoint(per_image):
    maps, filters, image = draw(3, 4, 6, 7), draw(3 if per_image else 1, 4, 9, 9), draw(3, 1, 6, 7)
    left, right = (synthesise(maps, filters) * image).sum(), (maps * analyse(image, filters)).sum()
    torch.testing.assert_close(left, right)


def test_correlation_is_the_gradient_with_respect_to_the_weights_of_the_atoms():
    maps, atoms, image = draw(2, 3, 7, 8), draw(1, 4, 5, 5), draw(2, 1, 7, 8)
    weights = draw(2, 3, 4).requires_grad_()
    filters = torch.einsum("bne,exy->bnxy", weights, atoms[0])
    (synthesise(maps, filters) * image).sum().backward()
    torch.testing.assert_close(correlate(maps, image, atoms), weights.grad)


def test_correlation_equals_convolving_every_map_with_every_atom():
    maps, atoms, image = draw(1, 2, 6, 6), draw(1, 3, 5, 5), draw(1, 1, 6, 6)
    for n in range(2):
        for e in range(3):
            response = correlate2d(maps[0, n].numpy(), atoms[0, e].numpy(), mode="same")
            expected = (response * image[0, 0].numpy()).sum()
            assert correlate(maps, image, atoms)[0, n, e].item() == pytest.approx(expected)


def test_correlation_stays_in_range_in_half_precision():
    maps, image = torch.full((1, 1, 64, 64), 200.0), torch.full((1, 1, 64, 64), 200.0)
    with torch.autocast("cpu", dtype=torch.float16):
        value = correlate(maps.half(), image.half(), torch.ones(1, 1, 1, 1))
    assert value.item() == 200.0**2 * 64**2  # far above 65504, where float16 ends


@pytest.mark.parametrize("function", [synthesise, lambda maps, filters: analyse(maps[:, :1], filters)])
def test_gradients_of_filters_per_image(function):
    maps, filters = draw(2, 2, 5, 5).requires_grad_(), draw(2, 2, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(function, (maps, filters))


def test_first_filters():
    filters = gaussian_filters(8)
    assert filters.shape == (1, 8, 9, 9)
    torch.testing.assert_close(filters.sum(dim=(2, 3)), torch.ones(1, 8))
    torch.testing.assert_close(torch.rot90(filters, 1, (2, 3)), filters)
    widths = (filters * torch.arange(-4, 5).square()).sum(dim=(2, 3)).sqrt()[0]
    assert widths[0].item() == pytest.approx(0.5, rel=0.1)
    assert (widths.diff() > 0).all()


def test_filter_layers_hold_what_they_are_given():
    weight = torch.randn(2, 3, 5, 5)
    layer = filter_layer(weight)
    assert torch.equal(layer.weight, weight)
    assert layer(torch.zeros(1, 3, 6, 7)).shape == (1, 2, 6, 7)
    output = mean_filters(3)(torch.ones(1, 1, 3, 3))
    torch.testing.assert_close(output[0, :, 1, 1], torch.ones(3))


@pytest.mark.parametrize("n_rotations", [4, 8, 12])
def test_fourier_basis_turns_exactly_by_quarter_turns(n_rotations):
    basis, _ = turned_fourier_basis(9, 5, n_rotations)
    step = n_rotations // 4
    for r in range(n_rotations):
        turned = torch.rot90(basis[:, :, r], 1, (0, 1))
        torch.testing.assert_close(turned, basis[:, :, (r + step) % n_rotations], atol=1e-5, rtol=0)


def test_fourier_basis_is_orthogonal_with_norms_of_the_emphasis():
    basis, emphasis = turned_fourier_basis(9, 5, 8)
    gram = basis.flatten(0, 2).T @ basis.flatten(0, 2)
    torch.testing.assert_close(gram, torch.diag(emphasis**2), atol=1e-5, rtol=0)
    assert basis.shape == (9, 9, 8, 25)  # frozen: the 25 coefficients per filter of the published counts
    assert emphasis.max() == pytest.approx(1)
    assert (emphasis > 0).all()


def test_fourier_basis_spans_band_limited_filters():
    """The plane wave cos(v x) of the smallest frequency, windowed, is a combination of the basis functions."""
    basis, _ = turned_fourier_basis(9, 5, 1)
    line = torch.linspace(-1, 1, 9)
    window = torch.exp(-5 * (line[:, None] ** 2 + line**2 - 1).clamp(min=0))
    wave = torch.cos(torch.pi * 4 / 5 * line)[None, :] * window
    functions = basis[:, :, 0].flatten(0, 1)
    functions = functions / functions.norm(dim=0)
    coefficients = functions.T @ wave.flatten()
    torch.testing.assert_close(functions @ coefficients, wave.flatten(), atol=1e-4, rtol=0)
