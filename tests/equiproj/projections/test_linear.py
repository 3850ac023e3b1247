import numpy as np
import pytest
import torch

from equiproj.groups import (
    O2,
    O3,
    SO2,
    SO3,
    CubeGroup,
    CyclicGroup,
    DihedralGroup,
    DirectProduct,
    QuaternionGroup,
    SymmetricGroup,
    TranslationGroup,
)
from equiproj.projections import LinearProjector, project_bias, project_linear
from equiproj.representations import (
    character,
    direct_sum,
    grid,
    irrep,
    irreps,
    quotient,
    regular,
    standard,
    tensor_product,
    trivial,
)
from equiproj.testing import assert_equivariant, assert_is_projection

GROUPS = [
    CyclicGroup(1), CyclicGroup(4), CyclicGroup(7), DihedralGroup(1), DihedralGroup(5), SymmetricGroup(3),
    CubeGroup(), QuaternionGroup(), DirectProduct(CyclicGroup(3), CyclicGroup(3)), TranslationGroup((3, 2)),
]  # fmt: skip
both_routes = pytest.mark.parametrize("route", ["spatial", "spectral"])
every_group = pytest.mark.parametrize("group", GROUPS, ids=str)


def draw(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def layers(group):
    permuting = 2 * regular(group) + trivial(group)
    mixed = quotient(group, group.generators[0]) + direct_sum(irreps(group))
    return [(permuting, permuting), (permuting, mixed), (mixed, permuting), (mixed, mixed)]


@both_routes
@every_group
def test_against_brute_force(group, route, brute_force):
    for rho_in, rho_out in layers(group):
        weight = draw(rho_out.dim, rho_in.dim)
        expected = brute_force(weight, rho_in, rho_out)
        torch.testing.assert_close(project_linear(weight, rho_in, rho_out, route), expected, atol=1e-12, rtol=0)
        single = project_linear(weight.float(), rho_in, rho_out, route)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), expected, atol=1e-6, rtol=0)


@both_routes
@every_group
def test_projection_theorems(group, route):
    for rho_in, rho_out in layers(group):
        assert_is_projection(LinearProjector(rho_in, rho_out, route))


@both_routes
@every_group
def test_projected_layers_are_equivariant(group, route):
    for rho_in, rho_out in layers(group):
        weight = project_linear(draw(rho_out.dim, rho_in.dim, dtype=torch.float32), rho_in, rho_out, route)
        bias = project_bias(draw(rho_out.dim, dtype=torch.float32), rho_out)
        assert_equivariant(lambda x, w=weight, b=bias: x @ w.T + b, rho_in, rho_out)


@both_routes
@pytest.mark.parametrize("group", [CyclicGroup(4), DihedralGroup(3), QuaternionGroup()], ids=str)
def test_rank_is_the_mean_product_of_characters(group, route):
    for rho_in, rho_out in layers(group):
        size = rho_out.dim * rho_in.dim
        basis = torch.eye(size).double().reshape(size, rho_out.dim, rho_in.dim)
        trace = LinearProjector(rho_in, rho_out, route)(basis).flatten(1).trace()
        expected = np.mean([character(rho_in, g) * character(rho_out, g) for g in group.elements])
        assert float(trace) == pytest.approx(expected, abs=1e-9)


def test_image_against_a_null_space():
    group = DihedralGroup(4)
    rho_in, rho_out = regular(group) + standard(group), standard(group) + trivial(group)
    rows = [
        torch.kron(rho_out(g), torch.eye(rho_in.dim).double())
        - torch.kron(torch.eye(rho_out.dim).double(), rho_in(g).T.contiguous())
        for g in group.elements
    ]
    _, singular, right = torch.linalg.svd(torch.cat(rows))
    null = right[singular < 1e-9]
    weight = draw(rho_out.dim, rho_in.dim)
    expected = (null.T @ (null @ weight.flatten())).reshape(weight.shape)
    torch.testing.assert_close(project_linear(weight, rho_in, rho_out), expected)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_circulant_closed_form(n):
    # k_out x k_in blocks, each replaced by the circulant of the means of its wrapped diagonals
    weight = draw(2 * n, 3 * n)
    blocks = weight.reshape(2, n, 3, n)
    shift = (torch.arange(n)[:, None] - torch.arange(n)) % n
    means = torch.stack([(blocks * (shift == s)[:, None]).sum((1, 3)) / n for s in range(n)], dim=-1)
    expected = means[..., shift].permute(0, 2, 1, 3).reshape(2 * n, 3 * n)
    group = CyclicGroup(n)
    torch.testing.assert_close(project_linear(weight, 3 * regular(group), 2 * regular(group)), expected)


@pytest.mark.parametrize("n", [2, 5, 40])
def test_permutation_equivariant_closed_form(n):
    # on R^n: equal diagonal, equal off-diagonal (Zaheer et al. 2017, lemma 3), for any n, without listing n! elements
    points = standard(SymmetricGroup(n))
    weight = draw(n, n)
    diagonal = weight.diagonal().mean()
    rest = (weight.sum() - weight.diagonal().sum()) / (n * (n - 1))
    expected = rest + (diagonal - rest) * torch.eye(n).double()
    torch.testing.assert_close(project_linear(weight, points, points), expected)
    fields = project_linear(draw(2 * n, 3 * n), 3 * points, 2 * points)
    block = draw(2 * n, 3 * n)[n:, :n]
    torch.testing.assert_close(fields[n:, :n], project_linear(block, points, points))
    to_trivial = project_linear(draw(1, n), points, trivial(points.group))
    torch.testing.assert_close(to_trivial, draw(1, n).mean().expand(1, n))


def test_second_order_permutation_layers_have_15_parameters():
    # Maron et al. 2019: equivariant maps of n x n matrices, Bell(4) of them for n ≥ 4
    points = standard(SymmetricGroup(8))
    pairs = tensor_product(points, points)
    projected = project_linear(draw(64, 64), pairs, pairs)
    assert len(projected.unique()) == 15


def test_translation_equivariant_layers_are_circular_convolutions():
    group = TranslationGroup((4, 5))
    pixels = grid(group, (4, 5))
    weight = project_linear(draw(20, 20), pixels, pixels)
    image = draw(1, 1, 4, 5)
    kernel = weight.T[0].reshape(4, 5)  # response to a point at the origin
    spectrum = torch.fft.fft2(image[0, 0]) * torch.fft.fft2(kernel)
    torch.testing.assert_close((weight @ image.flatten()).reshape(4, 5), torch.fft.ifft2(spectrum).real)


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=str)
def test_continuous_groups(group):
    signal = direct_sum(irreps(group, 2))
    rho_in = 2 * signal + standard(group)
    rho_out = signal + tensor_product(standard(group), standard(group))
    assert_is_projection(LinearProjector(rho_in, rho_out))
    weight = project_linear(draw(rho_out.dim, rho_in.dim), rho_in, rho_out)
    assert_equivariant(lambda x: x.double() @ weight.T, rho_in, rho_out)


@pytest.mark.slow
@pytest.mark.parametrize(("group", "label"), [(SO2(), 2), (O2(), (1, 0)), (SO3(), 1)], ids=str)
def test_monte_carlo_haar_average(group, label):
    rho_in, rho_out = irrep(group, label) + trivial(group), 2 * irrep(group, label)
    weight = draw(rho_out.dim, rho_in.dim)
    elements = group.sample(4000, torch.Generator().manual_seed(1))
    samples = torch.stack([rho_out(g) @ weight @ rho_in(g).T for g in elements])
    error = (samples.mean(0) - project_linear(weight, rho_in, rho_out)).abs()
    assert bool((error <= 5 * samples.std(0) / 4000**0.5 + 1e-12).all())


def test_so2_closed_form():
    # between irreps of one frequency: the mean of the diagonal and of the antisymmetric part
    rho = irrep(SO2(), 3)
    expected = torch.tensor([[2.5, -0.5], [0.5, 2.5]]).double()
    torch.testing.assert_close(project_linear(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).double(), rho, rho), expected)
    assert project_linear(draw(2, 2), rho, irrep(SO2(), 2)).abs().max() == 0


def test_quaternionic_closed_form():
    # on ψ = ℍ only multiplications from the right commute with Q_8: four parameters of sixteen
    psi = irreps(QuaternionGroup())[-1]
    projected = project_linear(draw(4, 4), psi, psi, "spectral")
    torch.testing.assert_close(projected.T @ projected, torch.eye(4).double() * (projected**2).sum() / 4)


def test_bias():
    group = CyclicGroup(4)
    bias = draw(9)
    expected = torch.cat([bias[:1], bias[1:5].mean().expand(4), bias[5:].mean().expand(4)])
    torch.testing.assert_close(project_bias(bias, trivial(group) + 2 * regular(group)), expected)
    assert project_bias(draw(2), standard(group)).abs().max() < 1e-15
    rho = trivial(SO2()) + irrep(SO2(), 1)
    torch.testing.assert_close(project_bias(draw(3), rho), draw(3) * torch.tensor([1.0, 0.0, 0.0]).double())


def test_frozen_value():
    rho = regular(CyclicGroup(3))
    weight = torch.arange(9.0).reshape(3, 3) ** 2
    # wrapped diagonals: 0+16+64, 9+49+4, 36+1+25
    a, b, c = 80 / 3, 62 / 3, 62 / 3
    torch.testing.assert_close(project_linear(weight, rho, rho), torch.tensor([[a, c, b], [b, a, c], [c, b, a]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: project_linear(draw(10, 12), 3 * regular(CyclicGroup(4)), 3 * regular(CyclicGroup(4))),
            r"expected 12 channels on weight axis 0 \(3\*regular of CyclicGroup\(4\)\), found 10",
        ),
        (
            lambda: project_linear(draw(12, 10), 3 * regular(CyclicGroup(4)), 3 * regular(CyclicGroup(4))),
            "expected 12 channels on weight axis 1",
        ),
        (
            lambda: project_linear(draw(8, 4), regular(CyclicGroup(4)), regular(DihedralGroup(4))),
            r"of one group, found DihedralGroup\(4\) and CyclicGroup\(4\)",
        ),
        (
            lambda: LinearProjector(irrep(SO2(), 1), irrep(SO2(), 1), "spatial"),
            r"expected a finite group on the spatial route, found SO2\(\)",
        ),
        (
            lambda: LinearProjector(regular(SymmetricGroup(7)), trivial(SymmetricGroup(7)), "spectral"),
            "expected n ≤ 6 to list the elements",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
