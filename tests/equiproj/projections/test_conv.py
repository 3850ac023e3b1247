import pytest
import torch

from equiproj.groups import O2, CubeGroup, CyclicGroup, DihedralGroup, SymmetricGroup, TranslationGroup
from equiproj.projections import ConvProjector, project_conv
from equiproj.representations import direct_sum, irreps, quotient, regular, standard, trivial
from equiproj.testing import assert_is_projection, full_weight

CASES = [
    (CyclicGroup(1), (3, 3)), (CyclicGroup(2), (5,)), (CyclicGroup(2), (4,)), (CyclicGroup(2), (3, 5)),
    (CyclicGroup(4), (1, 1)), (CyclicGroup(4), (2, 2)), (CyclicGroup(4), (3, 3)), (CyclicGroup(4), (4, 4)),
    (CyclicGroup(4), (5, 5)), (CyclicGroup(4), (2, 3, 3)), (DihedralGroup(1), (4,)), (DihedralGroup(1), (3, 2)),
    (DihedralGroup(4), (3, 3)), (DihedralGroup(4), (4, 4)), (CubeGroup(), (3, 3, 3)), (CubeGroup(), (2, 2, 2)),
]  # fmt: skip
both_routes = pytest.mark.parametrize("route", ["spatial", "spectral"])
every_case = pytest.mark.parametrize(("group", "kernel_shape"), CASES, ids=str)


def draw(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layers(group):
    permuting = regular(group) + 2 * trivial(group)
    mixed = quotient(group, group.generators[0]) + direct_sum(irreps(group)[1:] or irreps(group))
    return [(permuting, permuting), (permuting, mixed), (mixed, permuting)]


@both_routes
@every_case
def test_against_brute_force(group, kernel_shape, route, brute_force):
    for rho_in, rho_out in layers(group):
        weight = draw(rho_out.dim, rho_in.dim, *kernel_shape)
        expected = brute_force(weight, rho_in, rho_out)
        found = project_conv(weight, rho_in, rho_out, route)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
        single = project_conv(weight.float(), rho_in, rho_out, route)
        torch.testing.assert_close(single.double(), expected, atol=1e-6, rtol=0)


@both_routes
@every_case
def test_projection_theorems(group, kernel_shape, route):
    for rho_in, rho_out in layers(group):
        assert_is_projection(ConvProjector(rho_in, rho_out, kernel_shape, route=route))
        assert_is_projection(ConvProjector(rho_in, rho_out, kernel_shape, transposed=True, route=route))


@pytest.mark.parametrize("group", [CyclicGroup(8), SymmetricGroup(3), CyclicGroup(4)], ids=str)
def test_every_group_keeps_a_single_pixel(group, brute_force):
    rho = regular(group)
    weight = draw(group.order, group.order, 1, 1)
    expected = brute_force(weight[..., 0, 0], rho, rho)
    torch.testing.assert_close(project_conv(weight, rho, rho)[..., 0, 0], expected)


def test_lifting_closed_form():
    # trivial -> regular: channel k is the base kernel turned k times
    group = CyclicGroup(4)
    weight = draw(4, 1, 3, 3)
    base = torch.stack([torch.rot90(weight[k], -k, dims=(-2, -1)) for k in range(4)]).mean(0)
    expected = torch.stack([torch.rot90(base, k, dims=(-2, -1)) for k in range(4)])
    torch.testing.assert_close(project_conv(weight, trivial(group), regular(group)), expected)


def test_frozen_value():
    # trivial -> trivial on 3 x 3: centre, edges and corners are averaged
    image = trivial(CyclicGroup(4))
    weight = torch.arange(9.0).reshape(1, 1, 3, 3) ** 2
    corners, edges = (0 + 4 + 36 + 64) / 4, (1 + 9 + 25 + 49) / 4
    expected = torch.tensor([[corners, edges, corners], [edges, 16.0, edges], [corners, edges, corners]])
    torch.testing.assert_close(project_conv(weight, image, image)[0, 0], expected)


def test_transposed_swaps_the_channel_axes():
    group = DihedralGroup(4)
    rho_in, rho_out = 2 * regular(group), regular(group) + trivial(group)
    weight = draw(rho_in.dim, rho_out.dim, 3, 3)
    found = project_conv(weight, rho_in, rho_out, transposed=True)
    torch.testing.assert_close(found, project_conv(weight, rho_out, rho_in))


@pytest.mark.parametrize("route", ["spatial", "spectral"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("matrices", [False, True])
def test_blocks_that_the_group_keeps(route, transposed, matrices):
    # two blocks, each with its own fields: the projection works block by block
    group = DihedralGroup(4)
    part_in = standard(group) + trivial(group) if matrices else regular(group)
    part_out = regular(group) + trivial(group)
    rho_in, rho_out = part_in + part_in, part_out + part_out
    shape = (rho_in.dim, part_out.dim) if transposed else (rho_out.dim, part_in.dim)
    weight = draw(*shape, 3, 3)
    found = project_conv(weight, rho_in, rho_out, route, transposed=transposed, groups=2)
    blocks = [project_conv(w, part_in, part_out, transposed=transposed) for w in weight.chunk(2)]
    torch.testing.assert_close(found, torch.cat(blocks))
    projector = ConvProjector(rho_in, rho_out, (3, 3), transposed, 2, route)
    assert_is_projection(projector)


@pytest.mark.parametrize("route", ["spatial", "spectral"])
def test_depthwise_layers_on_regular_fields(route):
    # the group moves blocks onto blocks, so the full projection keeps the sparsity by itself
    group = CyclicGroup(4)
    rho = 2 * regular(group)
    weight = draw(8, 1, 3, 3)
    found = project_conv(weight, rho, rho, route, groups=8)
    full = project_conv(full_weight(weight, 8), rho, rho)
    torch.testing.assert_close(full_weight(found, 8), full)
    turned = torch.rot90(found[0], 1, dims=(-2, -1))
    torch.testing.assert_close(found[1], turned)


def test_blocks_that_the_group_breaks():
    # blocks of 6 cut fields of 4: entries whose orbit leaves the blocks vanish, the others are averaged
    group = CyclicGroup(4)
    rho = 3 * regular(group)
    projector = ConvProjector(rho, rho, (3, 3), n_blocks=2)
    assert_is_projection(projector)
    weight = draw(12, 6, 3, 3)
    # alternating projections onto {equivariant} and {block sparse} converge to the projection on the intersection
    mask = full_weight(torch.ones(12, 6, 3, 3).double(), 2)
    full = full_weight(weight, 2)
    for _ in range(200):
        full = project_conv(full, rho, rho) * mask
    torch.testing.assert_close(full_weight(projector(weight), 2), full, atol=1e-9, rtol=0)
    assert float(projector(weight).abs().max()) > 0
    with pytest.raises(ValueError, match="expected representations that keep the 2 channel groups"):
        ConvProjector(rho, rho, (3, 3), n_blocks=2, route="spectral")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: project_conv(draw(10, 12, 3, 3), 3 * regular(CyclicGroup(4)), 3 * regular(CyclicGroup(4))),
            r"expected 12 channels on weight axis 0 \(3\*regular of CyclicGroup\(4\)\), found 10",
        ),
        (
            lambda: project_conv(draw(8, 8, 3, 3), regular(CyclicGroup(8)), regular(CyclicGroup(8)), "spatial"),
            r"expected a grid that CyclicGroup\(8\) maps onto itself, found shape \(3, 3\)",
        ),
        (
            lambda: project_conv(draw(4, 4, 3, 5), regular(CyclicGroup(4)), regular(CyclicGroup(4))),
            r"2 equal axes for CyclicGroup.4., found .3, 5.: CyclicGroup.4. fits .5, 5.; .* DihedralGroup.2., fit",
        ),
        (
            lambda: project_conv(draw(4, 4, 3), regular(CyclicGroup(4)), regular(CyclicGroup(4))),
            r"expected 2 or 3 axes for CyclicGroup\(4\)",
        ),
        (
            lambda: project_conv(draw(3, 3, 3, 3), standard(SymmetricGroup(3)), standard(SymmetricGroup(3))),
            r"acts on space .*found SymmetricGroup\(3\)",
        ),
        (
            lambda: project_conv(
                draw(9, 9, 3, 3), regular(TranslationGroup((3, 3))), regular(TranslationGroup((3, 3)))
            ),
            "expected a group of turns or mirrors for a kernel",
        ),
        (
            lambda: project_conv(draw(4, 2, 3, 3), regular(CyclicGroup(4)), regular(CyclicGroup(4)), groups=3),
            "expected input channels divisible by groups=3, found 4",
        ),
        (
            lambda: project_conv(draw(4, 4, 3, 3), regular(CyclicGroup(4)), regular(CyclicGroup(4)), groups=0),
            "expected input channels divisible by groups=0, found 4",
        ),
        (
            lambda: project_conv(draw(4, 4), regular(CyclicGroup(4)), regular(CyclicGroup(4))),
            "expected a convolution weight with 3 to 5 axes",
        ),
        (
            lambda: ConvProjector(trivial(CyclicGroup(4)), trivial(CyclicGroup(4)), ()),
            "expected a kernel with 1 to 3 axes",
        ),
        (
            lambda: ConvProjector(trivial(O2()), trivial(O2()), (3, 5)),
            r"expected a kernel with 2 equal axes for O2\(\), found \(3, 5\)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_kernels_of_another_size():
    projector = ConvProjector(trivial(CyclicGroup(4)), trivial(CyclicGroup(4)), (3, 3))
    with pytest.raises(ValueError, match=r"expected kernels of shape \(3, 3\), found \(5, 5\)"):
        projector(draw(1, 1, 5, 5))
    with pytest.raises(ValueError, match=r"expected a weight with 4 axes, found shape \(3, 3\)"):
        projector(draw(3, 3))


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (3, 5), (2, 5), (4, 2)], ids=str)
@pytest.mark.parametrize("group", [CyclicGroup(2), DihedralGroup(1), DihedralGroup(2)], ids=str)
def test_kernels_of_unequal_axes_are_exact_for_groups_that_keep_the_axes(group, shape):
    rho = regular(group)
    projector = ConvProjector(trivial(group) + rho, rho, shape)
    assert not projector.is_sampled
    assert_is_projection(projector)
    # an oracle of flips alone: C_2 turns by half, D_1 mirrors the last axis, D_2 is both
    weight = draw(group.order, 1, *shape)
    found = ConvProjector(trivial(group), rho, shape)(weight)
    flips = {CyclicGroup(2): [(), (-2, -1)], DihedralGroup(1): [(), (-1,)]}.get(group, [(), (-2, -1), (-1,), (-2,)])
    base = torch.stack([weight[k].flip(axes) for k, axes in enumerate(flips)]).mean(0)
    torch.testing.assert_close(found, torch.stack([base.flip(axes) for axes in flips]))


@pytest.mark.parametrize("shape", [(1, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("group", [CyclicGroup(4), DihedralGroup(4), CyclicGroup(8)], ids=str)
def test_kernels_of_unequal_axes_are_refused_for_groups_that_turn_one_into_the_other(group, shape):
    size = max(shape)
    with pytest.raises(ValueError, match=rf"found \({shape[0]}, {shape[1]}\): .* fits \({size}, {size}\); groups that"):
        ConvProjector(trivial(group), regular(group), shape)
