import pytest
import torch

from equiproj.groups import SO2, CyclicGroup, DihedralGroup, SymmetricGroup
from equiproj.projections import ConvProjector, LinearProjector, ScaleProjector, equivariant_dimension
from equiproj.representations import character, direct_sum, grid, irrep, irreps, regular, standard, trivial

C4, D4, C8 = CyclicGroup(4), DihedralGroup(4), CyclicGroup(8)


@pytest.mark.parametrize(
    "projector",
    [
        LinearProjector(2 * regular(C4) + trivial(C4), regular(C4)),
        ConvProjector(regular(D4), trivial(D4), (3, 3)),
        ConvProjector(direct_sum(irreps(D4)), regular(D4), (3, 3)),
        ConvProjector(regular(C4), direct_sum(irreps(C4)), (3, 3), route="spectral"),
        ConvProjector(regular(C8), regular(C8), (1, 1)),
        LinearProjector(64 * regular(C4) + 8 * trivial(C4), 65 * regular(C4)),
        LinearProjector(direct_sum(irreps(C4)) + 300 * trivial(C4), 65 * regular(C4) + direct_sum(irreps(C4))),
    ],
    ids=["matrix", "orbits", "average", "irreps", "pixel", "fields", "fields of several kinds"],
)
def test_by_characters(projector):
    # dim = mean over g of χ_out(g) χ_in(g) χ_grid(g)
    group = projector.rho_in.group
    pixels = grid(group, projector.weight_shape[2:]) if len(projector.weight_shape) > 2 else trivial(group)
    products = [
        character(projector.rho_in, g) * character(projector.rho_out, g) * character(pixels, g) for g in group.elements
    ]
    assert equivariant_dimension(projector) == round(sum(products) / group.order)


@pytest.mark.parametrize(
    "projector",
    [
        LinearProjector(irrep(SO2(), 1) + trivial(SO2()), 2 * irrep(SO2(), 1)),
        ConvProjector(trivial(C8), regular(C8), (3, 3)),
        ConvProjector(3 * regular(C4), 3 * regular(C4), (2, 2), n_blocks=2),
        ConvProjector(2 * regular(C4), 2 * regular(C4), (2, 2), n_blocks=2, route="spectral"),
        ScaleProjector(2 * regular(C4) + trivial(C4)),
        LinearProjector(standard(SymmetricGroup(3)), direct_sum(irreps(SymmetricGroup(3)))),
    ],
    ids=["SO2", "sampled", "broken blocks", "blocks", "scales", "permutations"],
)
def test_by_the_rank_of_projected_draws(projector):
    n_entries = torch.Size(projector.weight_shape).numel()
    draws = torch.randn(n_entries, *projector.weight_shape, generator=torch.Generator().manual_seed(0)).double()
    assert equivariant_dimension(projector) == torch.linalg.matrix_rank(projector(draws).flatten(1), rtol=1e-9)
