import numpy as np
import pytest
import torch

from equiproj.groups import O2, O3, SO2, SO3, CyclicGroup, DihedralGroup
from equiproj.projections import ConvProjector, Sampling, project_conv, project_linear, steerable_basis
from equiproj.projections.steerable import sampled_kernels
from equiproj.representations import from_matrices, irrep, irreps, regular, standard, trivial
from equiproj.testing import assert_equivariant, assert_is_projection
from equiproj.testing.moves import grid_elements, move_weight

LAYERS = {
    "SO2 scalar": (trivial(SO2()), trivial(SO2()), (5, 5)),
    "SO2 mixed": (trivial(SO2()) + irrep(SO2(), 1), 2 * irrep(SO2(), 2) + standard(SO2()), (5, 5)),
    "SO2 even": (trivial(SO2()) + irrep(SO2(), 1), irrep(SO2(), 1), (4, 4)),
    "SO2 pixel": (irrep(SO2(), 1), irrep(SO2(), 1), (1, 1)),
    "O2": (trivial(O2()) + irrep(O2(), (1, 0)), irrep(O2(), (0, -1)) + irrep(O2(), (2, 0)), (5, 5)),
    "SO3": (trivial(SO3()) + irrep(SO3(), 1), irrep(SO3(), 1) + irrep(SO3(), 2), (3, 3, 3)),
    "O3": (trivial(O3()) + irrep(O3(), (1, -1)), irrep(O3(), (0, -1)) + irrep(O3(), (2, 1)), (3, 3, 3)),
}
every_layer = pytest.mark.parametrize(("rho_in", "rho_out", "shape"), LAYERS.values(), ids=LAYERS)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@every_layer
def test_projection_theorems(rho_in, rho_out, shape):
    assert_is_projection(ConvProjector(rho_in, rho_out, shape))
    assert_is_projection(ConvProjector(rho_in, rho_out, shape, transposed=True))


@every_layer
def test_basis_is_orthonormal_and_spans_the_image(rho_in, rho_out, shape):
    basis = steerable_basis(rho_in, rho_out, shape)
    flat = basis.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(len(flat)).double())
    weight = draw(rho_out.dim, rho_in.dim, *shape)
    expected = (flat.T @ (flat @ weight.flatten())).reshape(weight.shape)
    torch.testing.assert_close(project_conv(weight, rho_in, rho_out), expected)


@every_layer
def test_kernels_turn_with_the_grid(rho_in, rho_out, shape):
    for kernel in steerable_basis(rho_in, rho_out, shape):
        for g in grid_elements(rho_in.group):
            torch.testing.assert_close(move_weight(kernel, rho_out, rho_in, g), kernel, atol=1e-12, rtol=0)


def test_sampled_kernels_lie_among_all_kernels_of_the_quarter_turns():
    # C_4 ⊂ SO(2): what commutes with every turn commutes with quarter turns
    angle = {g: g * np.pi / 2 for g in range(4)}
    group, psi = CyclicGroup(4), irrep(SO2(), 1)
    turn = from_matrices(group, {g: psi(angle[g]) for g in group.elements})
    kernels = steerable_basis(trivial(SO2()), psi, (5, 5))
    for kernel in kernels:
        torch.testing.assert_close(project_conv(kernel, trivial(group), turn), kernel, atol=1e-12, rtol=0)


@pytest.mark.parametrize("frequency", [0, 1, 2, 3])
def test_kernels_from_scalars_are_circular_harmonics(frequency):
    # closed form: κ(r, φ) = R(r) times a turned (cos mφ, sin mφ)
    psi = irreps(SO2(), 3)[frequency]
    kernels = torch.from_numpy(sampled_kernels(trivial(SO2()), psi, (7, 7), Sampling()).copy())[:, :, 0]
    row, column = np.indices((7, 7)) - 3.0
    angle, radius = np.arctan2(-row, column).ravel(), np.hypot(row, column).ravel()
    wave = np.stack([np.cos(frequency * angle), np.sin(frequency * angle)])
    if frequency == 0:
        wave = wave[:1]
    for kernel in kernels.numpy():
        # undo the angle: what is left depends on the radius alone
        complex_kernel = kernel[0] + (1j * kernel[1] if frequency else 0)
        profile = complex_kernel * np.exp(-1j * frequency * angle)
        for r in np.unique(radius.round(9)):
            if r or not frequency:
                values = profile[np.isclose(radius, r)]
                np.testing.assert_allclose(values, values[0], atol=1e-12)
        if frequency:
            assert np.abs(kernel[:, radius == 0]).max() < 1e-12


@pytest.mark.parametrize(("size", "n_scalar", "n_vector"), [(1, 1, 0), (3, 2, 2), (5, 3, 4), (7, 4, 6)])
def test_number_of_kernels(size, n_scalar, n_vector):
    # one per ring for m = 0; two per ring (complex multiples) for m = 1, none at the centre
    shape = (size, size)
    assert len(steerable_basis(trivial(SO2()), trivial(SO2()), shape)) == n_scalar
    assert len(steerable_basis(trivial(SO2()), irrep(SO2(), 1), shape)) == n_vector
    assert len(steerable_basis(trivial(O2()), standard(O2()), shape)) == n_vector // 2


def test_single_pixels_reduce_to_linear_layers():
    rho = 2 * irrep(SO2(), 1) + trivial(SO2())
    weight = draw(5, 5, 1, 1)
    torch.testing.assert_close(project_conv(weight, rho, rho)[..., 0, 0], project_linear(weight[..., 0, 0], rho, rho))


def test_smooth_images_turn_by_any_angle():
    # sampled kernels are equivariant up to sampling: on a smooth image any turn agrees to about a percent
    psi = irrep(SO2(), 1)
    kernel = project_conv(draw(2, 1, 9, 9), trivial(SO2()), psi)
    size, angle = 61, 0.5
    row, column = (np.indices((size, size)) - size // 2).astype(float)

    def image(turn):
        x, y = column * np.cos(turn) - row * np.sin(turn), -column * np.sin(turn) - row * np.cos(turn)
        blobs = np.exp(-((x - 6) ** 2 + (y - 2) ** 2) / 60) + 0.5 * np.exp(-((x + 5) ** 2 + (y - 7) ** 2) / 40)
        return torch.from_numpy(blobs)[None, None]

    straight = torch.nn.functional.conv2d(image(0.0), kernel)
    turned = torch.nn.functional.conv2d(image(angle), kernel)
    centre = straight.shape[-1] // 2
    expected = psi(angle) @ straight[0, :, centre, centre]
    error = (turned[0, :, centre, centre] - expected).norm() / straight.flatten(2).norm(dim=1).max()
    assert float(error) < 0.01
    # a kernel that is not projected does not
    other = [torch.nn.functional.conv2d(image(t), draw(2, 1, 9, 9))[0, :, centre, centre] for t in (0.0, angle)]
    assert float((other[1] - psi(angle) @ other[0]).norm() / other[0].norm()) > 0.1


def test_finite_groups_have_all_their_kernels():
    group = DihedralGroup(4)
    rho = regular(group)
    basis = steerable_basis(trivial(group), rho, (3, 3))
    assert len(basis) == 9  # a free base kernel, turned and mirrored into the other seven
    weight = draw(8, 1, 3, 3)
    flat = basis.flatten(1)
    expected = (flat.T @ (flat @ weight.flatten())).reshape(weight.shape)
    torch.testing.assert_close(project_conv(weight, trivial(group), rho), expected)


def test_layers_with_steerable_kernels():
    rho_in, rho_out = trivial(SO2()) + irrep(SO2(), 1), irrep(SO2(), 2) + trivial(SO2())
    kernel = project_conv(draw(3, 3, 3, 3), rho_in, rho_out).float()
    layer = lambda x: torch.nn.functional.conv2d(x, kernel, padding=1)  # noqa: E731
    assert_equivariant(layer, rho_in, rho_out, image_shape=(8, 8), elements=grid_elements(SO2()))


def test_frozen_value():
    # the scalar kernels of 3 x 3 are two rings, at radius 0 and 1
    kernel = project_conv(torch.eye(3).double()[None, None], trivial(SO2()), trivial(SO2()))[0, 0]
    corner, edge, centre = 0.1346403, 0.3009392, 0.7907078
    expected = torch.tensor([[corner, edge, corner], [edge, centre, edge], [corner, edge, corner]]).double()
    torch.testing.assert_close(kernel, expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("group", "shape"), [(SO2(), (3, 5)), (SO2(), (3,)), (SO2(), (5, 5, 3)), (SO3(), (3, 3))], ids=str
)
def test_bad_kernels(group, shape):
    with pytest.raises(
        ValueError, match=rf"expected a kernel with {group.standard_axes} equal axes for {group.__class__.__name__}"
    ):
        steerable_basis(trivial(group), trivial(group), shape)


def test_groups_have_to_agree():
    with pytest.raises(ValueError, match="of one group"):
        steerable_basis(trivial(SO2()), trivial(O2()), (3, 3))
