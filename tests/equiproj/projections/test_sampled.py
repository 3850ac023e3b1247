"""Kernels of turns off the pixel grid: what is exact of them, how they relate to exact ones, how far they err."""

import math

import numpy as np
import pytest
import torch

from equiproj.groups import O2, SO2, CubeGroup, CyclicGroup, DihedralGroup
from equiproj.projections import (
    ConvProjector,
    Ring,
    Sampling,
    escnn_rings,
    project_conv,
    project_linear,
    steerable_basis,
    turning_error,
)
from equiproj.representations import direct_sum, irrep, irreps, quotient, regular, trivial
from equiproj.testing import assert_is_projection
from equiproj.testing.moves import move_weight

C3, C4, C8, D4, D8 = CyclicGroup(3), CyclicGroup(4), CyclicGroup(8), DihedralGroup(4), DihedralGroup(8)
LAYERS = {
    "C8 lifting": (trivial(C8), regular(C8), (3, 3)),
    "C8 regular": (regular(C8), regular(C8), (3, 3)),
    "C8 irreps": (direct_sum(irreps(C8)), trivial(C8) + irrep(C8, 1), (5, 5)),
    "C8 even": (regular(C8), trivial(C8), (4, 4)),
    "C8 in depth": (trivial(C8), regular(C8), (2, 3, 3)),
    "C3": (trivial(C3) + regular(C3), regular(C3), (3, 3)),
    "D8 regular": (trivial(D8), regular(D8), (5, 5)),
    "D8 irreps": (direct_sum(irreps(D8)), trivial(D8) + irrep(D8, (1, 0)), (3, 3)),
    "D8 quotient": (quotient(D8, 8), quotient(D8, 8), (3, 3)),
}
every_layer = pytest.mark.parametrize(("rho_in", "rho_out", "shape"), LAYERS.values(), ids=LAYERS)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def finest_rings(kernel_size):
    """Rings so narrow that each is one orbit of pixels at most, with frequencies that tell its pixels apart."""
    row, column = np.indices((kernel_size, kernel_size)) - (kernel_size - 1) / 2
    return tuple(Ring(radius, 0.02, 5) for radius in np.unique(np.hypot(row, column).round(9)).tolist())


@every_layer
def test_projection_theorems(rho_in, rho_out, shape):
    assert_is_projection(ConvProjector(rho_in, rho_out, shape))
    assert_is_projection(ConvProjector(rho_in, rho_out, shape, transposed=True))


@every_layer
def test_the_projection_is_onto_the_span_of_the_basis(rho_in, rho_out, shape):
    flat = steerable_basis(rho_in, rho_out, shape).flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(len(flat)).double())
    weight = draw(rho_out.dim, rho_in.dim, *shape)
    torch.testing.assert_close(
        project_conv(weight, rho_in, rho_out), (flat.T @ (flat @ weight.flatten())).view_as(weight)
    )


def test_projectors_say_whether_they_are_sampled():
    sampled = [ConvProjector(trivial(g), trivial(g), (3, 3)).is_sampled for g in (C3, C4, C8, D4, D8, SO2(), O2())]
    assert sampled == [True, False, True, False, True, True, True]
    assert not ConvProjector(regular(C8), regular(C8), (1, 1)).is_sampled
    assert ConvProjector(regular(C4), regular(C4), (3, 3), route=Sampling()).is_sampled


@pytest.mark.parametrize(
    ("group", "size"), [(C4, 3), (C4, 4), (D4, 3), (D4, 4), (CyclicGroup(2), 3), (CubeGroup(), 3)], ids=str
)
def test_sampled_kernels_are_a_subspace_of_the_exact_ones(group, size):
    # the exact kernels are all that commute with the group; sampled ones do where the group keeps the grid
    shape = (size,) * group.standard_axes
    for rho_in, rho_out in [(trivial(group), regular(group)), (direct_sum(irreps(group)), trivial(group))]:
        kernels = steerable_basis(rho_in, rho_out, shape, Sampling())
        torch.testing.assert_close(ConvProjector(rho_in, rho_out, shape)(kernels), kernels, atol=1e-10, rtol=0)
        assert 0 < len(kernels) < len(steerable_basis(rho_in, rho_out, shape))


@pytest.mark.parametrize("group", [C4, D4], ids=str)
@pytest.mark.parametrize("size", [3, 4])
def test_the_finest_rings_give_the_exact_projection(group, size):
    for rho in (regular(group), direct_sum(irreps(group))):
        weight = draw(rho.dim, rho.dim, size, size)
        sampled = project_conv(weight, rho, rho, Sampling(rings=finest_rings))
        torch.testing.assert_close(sampled, project_conv(weight, rho, rho), atol=1e-10, rtol=0)


def test_kernels_of_a_group_are_kernels_of_its_subgroups():
    angle = 2 * np.pi / 8
    restricted = {g: 2 * g for g in range(4)}  # C_4 in C_8
    for kernel in steerable_basis(trivial(C8), regular(C8), (5, 5)):
        for quarter, eighth in restricted.items():
            turned = torch.rot90(kernel, quarter, dims=(-2, -1))
            moved = torch.einsum("ij,jkyx->ikyx", regular(C8)(eighth), turned)
            torch.testing.assert_close(moved, kernel, atol=1e-12, rtol=0)
    for frequency in (1, 2, 3):  # C_8 in SO(2): irrep m of SO(2) is irrep m of C_8
        torch.testing.assert_close(irrep(SO2(), frequency)(angle), irrep(C8, frequency)(1))
        kernels = steerable_basis(trivial(SO2()), irrep(SO2(), frequency), (5, 5))
        found = ConvProjector(trivial(C8), irrep(C8, frequency), (5, 5))(kernels)
        torch.testing.assert_close(found, kernels, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("group", "size", "n_functions"), [(C4, 3, 1 + 5), (C4, 5, 1 + 5 + 9), (C8, 5, 15), (D4, 3, 6), (D8, 3, 6)], ids=str
)
def test_number_of_kernels_between_regular_fields(group, size, n_functions):
    # averages over G of all matrices times all functions of position: |G|² n / |G|, if these are independent
    assert len(steerable_basis(regular(group), regular(group), (size, size), Sampling())) == group.order * n_functions


@pytest.mark.parametrize(
    ("frequency", "n_kernels"),
    # rings carry 0, 0…2 and 0…4; irreps 1 to 3 are planar with two maps each, irrep 4 is a sign that cos and sin share
    [(0, 3), (1, 4), (2, 4), (3, 2), (4, 2)],
)
def test_number_of_kernels_from_a_scalar(frequency, n_kernels):
    assert len(steerable_basis(trivial(C8), irrep(C8, frequency), (5, 5))) == n_kernels


@pytest.mark.parametrize(("group", "n_turns"), [(CyclicGroup(4), 4), (CyclicGroup(8), 8)], ids=str)
@pytest.mark.parametrize("size", [3, 5])
def test_escnn_kernels_with_its_rings_are_ours(escnn, group, n_turns, size):
    space = escnn.gspaces.rot2dOnR2(n_turns)
    field = escnn.nn.FieldType(space, [space.regular_repr])
    torch.manual_seed(0)
    layer = escnn.nn.R2Conv(field, field, size, bias=False)
    kernels = []
    for position in range(layer.weights.numel()):
        layer.weights.data = torch.eye(layer.weights.numel())[position]
        kernels.append(layer.expand_parameters()[0].detach().double())
    theirs = torch.stack(kernels)
    ours = ConvProjector(regular(group), regular(group), (size, size), route=Sampling(rings=escnn_rings))
    torch.testing.assert_close(ours(theirs), theirs, atol=1e-5 * float(theirs.abs().max()), rtol=0)
    basis = steerable_basis(regular(group), regular(group), (size, size), Sampling(rings=escnn_rings))
    assert len(basis) == torch.linalg.matrix_rank(theirs.flatten(1), rtol=1e-4)
    if n_turns == 4:  # and a strict subspace of the exact ones
        assert len(basis) < len(steerable_basis(regular(group), regular(group), (size, size)))


def test_rings_are_configurable():
    assert Sampling().rings_of(4) == (Ring(0.5, 0.6, 1), Ring(1.5, 0.6, 3))
    assert [ring.max_frequency for ring in Sampling(frequencies_per_radius=1.0).rings_of(5)] == [0, 1, 2]
    weight = draw(8, 1, 5, 5)
    wide, narrow = (project_conv(weight, trivial(C8), regular(C8), Sampling(ring_width=w)) for w in (0.9, 0.3))
    assert float((wide - narrow).norm() / wide.norm()) > 0.1
    masked = project_conv(weight, trivial(C8), regular(C8), Sampling(circular_mask=True))
    corners = masked[..., [0, 0, 4, 4], [0, 4, 0, 4]]
    assert float(corners.abs().max()) < 1e-12
    assert float(masked[..., 0, 2].abs().max()) > 0.0
    for made in (lambda: Ring(-1.0, 0.6, 0), lambda: Ring(1.0, 0.0, 0), lambda: Ring(1.0, 0.6, -1)):
        with pytest.raises(ValueError, match="expected radius ≥ 0"):
            made()
    with pytest.raises(ValueError, match="expected ring_width > 0"):
        Sampling(ring_width=0.0)


def test_a_sampling_is_of_kernels():
    with pytest.raises(ValueError, match=r"or for a kernel a Sampling, found Sampling"):
        project_linear(draw(8, 8), regular(C8), regular(C8), Sampling())


def test_depth_slices_are_planar_kernels():
    weight = draw(8, 1, 2, 3, 3)
    found = project_conv(weight, trivial(C8), regular(C8))
    for depth in range(2):
        expected = project_conv(weight[:, :, depth], trivial(C8), regular(C8))
        torch.testing.assert_close(found[:, :, depth], expected)


def test_turning_error_in_closed_form():
    # exact kernels do not err, and a kernel that is not projected errs by about √2 on all turns but none
    rho = regular(C4)
    exact = project_conv(draw(4, 4, 3, 3), rho, rho)
    assert turning_error(exact, rho, rho) < 1e-12
    assert turning_error(torch.zeros(4, 4, 3, 3), rho, rho) == 0.0
    free = [turning_error(draw(4, 4, 3, 3, seed=seed), rho, rho) for seed in range(5)]
    assert abs(np.mean(free) - math.sqrt(2 * 3 / 4)) < 0.1
    # one pixel off the centre, at (1, 0): κ̂(q) = exp(−i q_x), and the error is |exp(−iq_x) − exp(−iq_y)| for a quarter
    dot = torch.zeros(1, 1, 3, 3)
    dot[..., 1, 2] = 1.0
    image, largest, n = trivial(C4), 1.0, 400
    x, y = np.meshgrid(*[(np.arange(n) + 0.5) / n * 2 - 1] * 2)
    inside = np.hypot(x, y) < 1
    wave = lambda q: np.exp(-1j * largest * q[inside])  # noqa: E731
    errors = [np.mean(np.abs(wave(q) - wave(x)) ** 2) for q in (x, y, -x, -y)]
    assert math.isclose(turning_error(dot, image, image, largest), math.sqrt(np.mean(errors)), rel_tol=2e-2)


def test_turning_error_is_that_of_a_convolution_on_turned_waves():
    # an oracle that knows nothing of spectra: plane waves, drawn upright and turned by formula, through conv2d
    kernel = project_conv(draw(8, 1, 5, 5), trivial(C8), regular(C8))
    y, x = (2 - np.indices((5, 5))[0]).astype(float), (np.indices((5, 5))[1] - 2).astype(float)
    squares, sizes = 0.0, 0.0
    for radius in (np.arange(8) + 0.5) / 8 * math.pi / 2:
        for angle in 2 * math.pi * np.arange(32) / 32:
            waves = []
            for turn in range(8):
                q = radius * np.array([math.cos(angle + turn * math.pi / 4), math.sin(angle + turn * math.pi / 4)])
                image = np.stack([np.cos(q[0] * x + q[1] * y), np.sin(q[0] * x + q[1] * y)])
                waves.append(torch.nn.functional.conv2d(torch.from_numpy(image)[:, None], kernel)[:, :, 0, 0])
            for turn in range(8):
                expected = waves[0] @ regular(C8)(turn).T
                squares += radius * float((waves[turn] - expected).square().sum()) / 8
            sizes += radius * float(waves[0].square().sum())
    assert math.isclose(turning_error(kernel, trivial(C8), regular(C8)), math.sqrt(squares / sizes), rel_tol=1e-9)


def test_turning_errors_are_refused_for_other_shapes():
    with pytest.raises(ValueError, match=r"expected a kernel of shape \(4, 4, height, width\)"):
        turning_error(draw(4, 4, 3), regular(C4), regular(C4))


def test_projection_makes_kernels_turn_on_a_grid_that_the_group_does_not_keep():
    rho_in, rho_out = trivial(C8), regular(C8)
    kernel = project_conv(draw(8, 1, 5, 5), rho_in, rho_out)
    # by the group's own action where it has one (quarter turns), by the closed form where it has none
    torch.testing.assert_close(move_weight(kernel, rho_out, rho_in, 2), kernel, atol=1e-12, rtol=0)
    assert turning_error(kernel, rho_in, rho_out) < 0.25 * turning_error(draw(8, 1, 5, 5), rho_in, rho_out)


def twice_as_fine(kernel_size):
    """Two rings whose radii and widths grow with the kernel: one shape, sampled by more and more pixels."""
    half = (kernel_size - 1) / 2
    return Ring(0.0, 0.25 * half, 0), Ring(0.5 * half, 0.25 * half, 2)


SAMPLINGS = {
    "default": (Sampling(), (0.083, 0.123, 0.107, 0.096)),
    "mask": (Sampling(circular_mask=True), (0.083, 0.046, 0.077, 0.017)),
    "escnn": (Sampling(rings=escnn_rings), (0.027, 0.035, 0.037, 0.026)),
    "margin": (Sampling(edge_margin=1.0), (0.001, 0.009, 0.017, 0.011)),
    "finer": (Sampling(rings=twice_as_fine), (0.303, 0.012, 0.005, 0.005)),
}


def error_of(sampling, kernel_size):
    """Root mean square over three draws, of lifting kernels of C_8, on waves up to π/2."""
    projector = ConvProjector(trivial(C8), regular(C8), (kernel_size, kernel_size), route=sampling)
    draws = [draw(*projector.weight_shape, seed=seed) for seed in range(3)]
    return math.sqrt(np.mean([turning_error(projector(each), trivial(C8), regular(C8)) ** 2 for each in draws]))


@pytest.mark.parametrize(("sampling", "errors"), SAMPLINGS.values(), ids=SAMPLINGS)
def test_measured_errors_of_the_documented_table(sampling, errors):
    # docs/derivation.md 4.4; the default rings do not err less on larger kernels, because the square cuts the last ring
    found = [error_of(sampling, kernel_size) for kernel_size in (3, 5, 7, 9)]
    assert found == pytest.approx(errors, abs=6e-4)


def test_one_shape_sampled_more_finely_errs_less():
    found = [error_of(Sampling(rings=twice_as_fine), kernel_size) for kernel_size in (3, 5, 7)]
    assert found[0] > 5 * found[1] > 10 * found[2]
