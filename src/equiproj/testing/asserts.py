"""The theorems of the method as assertions, for our tests and for the tests of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from equiproj.groups import FiniteGroup, Group
from equiproj.groups.group import Element
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import Representation, band_limit
from equiproj.testing.moves import full_weight, grid_elements, move_field, move_weight
from equiproj.testing.quadrature import haar_quadrature

_N_SAMPLES = 24  # elements drawn from groups that are continuous or have more elements than this
Projector = LinearProjector | ConvProjector


def some_elements(group: Group, seed: int = 0) -> list[Element]:
    """All elements of a small finite group, otherwise the generators and a random sample.

    Examples:
        >>> from equiproj.groups import CyclicGroup, SO2
        >>> some_elements(CyclicGroup(3)), len(some_elements(SO2()))
        ([0, 1, 2], 25)
    """
    if isinstance(group, FiniteGroup) and group.order <= _N_SAMPLES:
        return list(group.elements)
    return [*group.generators, *group.sample(_N_SAMPLES, torch.Generator().manual_seed(seed))]


def assert_orthogonal(rho: Representation, tolerance: float = 1e-10) -> None:
    """ρ(g) ρ(g)ᵀ = 1 for the elements of :func:`some_elements` (equation 2.1).

    Raises:
        AssertionError: naming the element and the deviation.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> assert_orthogonal(regular(CyclicGroup(4)))
    """
    for g in some_elements(rho.group):
        close(rho(g) @ rho(g).T, torch.eye(rho.dim).double(), tolerance, f"{rho}: ρ(g)ρ(g)ᵀ = 1 at g = {g}")


def assert_is_representation(rho: Representation, tolerance: float = 1e-10) -> None:
    """ρ(1) = 1, ρ(gh) = ρ(g) ρ(h) and ρ(g⁻¹) = ρ(g)⁻¹ (equation 2.1).

    Every generator is multiplied with every element of :func:`some_elements`, which for a small finite group
    proves the law for all pairs.

    Raises:
        AssertionError: naming the law, the elements and the deviation.

    Examples:
        >>> from equiproj.groups import SO3
        >>> from equiproj.representations import irrep
        >>> assert_is_representation(irrep(SO3(), 2))
    """
    group, unit = rho.group, torch.eye(rho.dim).double()
    close(rho(group.identity), unit, tolerance, f"{rho}: ρ(1) = 1")
    for g in some_elements(group):
        close(rho(group.inverse(g)) @ rho(g), unit, tolerance, f"{rho}: ρ(g⁻¹)ρ(g) = 1 at g = {g}")
        for s in (*group.generators, *some_elements(group, seed=1)[-2:]):
            product = rho(group.multiply(s, g))
            close(product, rho(s) @ rho(g), tolerance, f"{rho}: ρ(sg) = ρ(s)ρ(g) at s = {s}, g = {g}")


def assert_is_projection(projector: Projector, tolerance: float = 1e-10) -> None:
    """P P = P, ⟨P V, W⟩ = ⟨V, P W⟩, P(W) is equivariant, and P fixes what is equivariant (equations 3.2, 3.3).

    The last law is checked on an independent dense average over the group (a quadrature for continuous ones).
    For sampled kernels, which are equivariant up to sampling, those elements that map the grid onto itself stand for
    the group and the last law is left out; a layer in several blocks keeps only equivariant maps of that sparsity.

    Raises:
        AssertionError: naming the law and the deviation.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(4))
        >>> assert_is_projection(ConvProjector(rho, rho, (3, 3)))
    """
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, *projector.weight_shape, generator=generator, dtype=torch.float64)
    projected = projector(first)
    close(projector(projected), projected, tolerance, f"{projector}: P P = P")
    products = ((projected * second).sum(), (first * projector(second)).sum())
    close(*products, tolerance * projected.numel(), f"{projector}: self-adjoint")
    n_blocks = getattr(projector, "n_blocks", 1)
    full = full_weight(projected, n_blocks)
    group = projector.rho_in.group
    is_sampled = isinstance(projector, ConvProjector) and projector.is_sampled
    for g in grid_elements(group) if is_sampled else some_elements(group):
        moved = move_weight(full, *projector.axes, g)
        close(moved, full, tolerance, f"{projector}: P(W) is equivariant at g = {g}")
    if n_blocks == 1 and not is_sampled:
        average = _haar_average(projector, first)
        close(projector(average), average, tolerance, f"{projector}: P fixes what is equivariant")


def assert_equivariant(
    function: Callable[[Tensor], Tensor],
    rho_in: Representation,
    rho_out: Representation,
    *,
    image_shape: tuple[int, ...] | None = None,
    elements: Iterable[Element] | None = None,
    tolerance: float = 1e-5,
) -> None:
    """f(g x) = g f(x) on random input, relative to the largest |f(x)| (equations 1.1 and 1.2).

    Args:
        function: maps ``(batch, c_in)`` to ``(batch, c_out)``, or images ``(batch, c_in, *image)`` to images.
        rho_in: representation on the input channels.
        rho_out: representation on the output channels.
        image_shape: pixels per axis of the input images; None for plain features.
        elements: group elements to try; by default those of :func:`some_elements`.
        tolerance: largest allowed relative deviation.

    Raises:
        AssertionError: naming the element and the measured deviation.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = 2 * regular(CyclicGroup(4))
        >>> assert_equivariant(torch.relu, rho, rho, image_shape=(5, 5))
    """
    shape = (2, rho_in.dim, *(image_shape or ()))
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = function(features)
        for g in some_elements(rho_in.group) if elements is None else elements:
            expected, found = move_field(output, rho_out, g), function(move_field(features, rho_in, g))
            scale = float(output.abs().max()) or 1.0
            close(found / scale, expected / scale, tolerance, f"f(gx) = g f(x) at g = {g}")


def _haar_average(projector: Projector, full: Tensor) -> Tensor:
    """The Reynolds average of a full weight, written out as a sum over group elements."""
    limit = sum(band_limit(rho) for rho in projector.axes)
    nodes = haar_quadrature(projector.rho_in.group, limit)
    return torch.stack([w * move_weight(full, *projector.axes, g) for w, g in nodes]).sum(0)


def close(found: Tensor, expected: Tensor, tolerance: float, law: str) -> None:
    """Raise unless two tensors agree within the tolerance; NaN never agrees."""
    deviation = float((found - expected).abs().max())
    if not deviation <= tolerance:
        raise AssertionError(f"{law}: expected a deviation of at most {tolerance:g}, found {deviation:.3g}")
