"""Compare the spatial and the spectral route for every group: ``python -m equiproj.testing.compare_routes``.

For continuous groups an exact quadrature over the group stands in for the spatial route.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from equiproj.groups import (
    O2,
    O3,
    SO2,
    SO3,
    CubeGroup,
    CyclicGroup,
    DihedralGroup,
    DirectProduct,
    FiniteGroup,
    Group,
    QuaternionGroup,
    SymmetricGroup,
    TranslationGroup,
)
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.projections.routes import Route
from equiproj.representations import (
    Representation,
    band_limit,
    direct_sum,
    grid,
    irreps,
    quotient,
    regular,
    standard,
    tensor_product,
    trivial,
)
from equiproj.testing.moves import move_weight
from equiproj.testing.quadrature import haar_quadrature

_TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


@dataclass(frozen=True)
class Case:
    """One layer: its representations and, for a convolution, its kernel shape.

    Examples:
        >>> Case(trivial(SO2()), trivial(SO2())).kernel_shape
        ()
    """

    rho_in: Representation
    rho_out: Representation
    kernel_shape: tuple[int, ...] = ()


def cases() -> Iterator[Case]:
    """Layers for every group, chosen so that every kind of representation and irrep occurs.

    Examples:
        >>> len({case.rho_in.group for case in cases()}) > 15
        True
    """
    kernels: dict[FiniteGroup, tuple[tuple[int, ...], ...]] = {
        CyclicGroup(2): ((5,), (3, 5)),
        CyclicGroup(4): ((5, 5), (4, 4), (3, 3, 3)),
        CyclicGroup(8): ((1, 1),),
        DihedralGroup(1): ((4,), (3, 3)),
        DihedralGroup(4): ((3, 3), (2, 2)),
        CubeGroup(): ((3, 3, 3),),
    }
    products = (
        DirectProduct(CyclicGroup(3), CyclicGroup(3)),
        DirectProduct(CyclicGroup(4), DihedralGroup(3)),
    )
    others = (CyclicGroup(1), CyclicGroup(3), DihedralGroup(3), DihedralGroup(6), QuaternionGroup())
    for group in (*kernels, *others, *products, SymmetricGroup(3), SymmetricGroup(4)):
        rho_in = 2 * regular(group) + trivial(group)
        rho_out = regular(group) + direct_sum(irreps(group)) + quotient(group, group.generators[0])
        for shape in ((), *kernels.get(group, ())):
            yield Case(rho_in, rho_in, shape)
            yield Case(rho_in, rho_out, shape)
    points = standard(SymmetricGroup(6))
    yield Case(2 * points + tensor_product(points, points), points + irreps(SymmetricGroup(6))[-1])
    pixels = grid(TranslationGroup((4, 6)), (4, 6))
    yield Case(2 * pixels, pixels)
    continuous: dict[Group, int] = {SO2(): 3, O2(): 3, SO3(): 3, O3(): 1}  # the quadrature of the last is long
    for so, limit in continuous.items():
        signal = direct_sum(irreps(so, limit))
        yield Case(2 * signal + standard(so), signal + tensor_product(standard(so), standard(so)))


def spatial_projection(case: Case) -> Callable[[Tensor], Tensor]:
    """The spatial route; a quadrature over a continuous group.

    Examples:
        >>> spatial_projection(Case(trivial(SO2()), trivial(SO2())))(torch.ones(1, 1)).tolist()
        [[1.0]]
    """
    group = case.rho_in.group
    if isinstance(group, FiniteGroup):
        return _projector(case, "spatial")
    nodes = haar_quadrature(group, band_limit(case.rho_in) + band_limit(case.rho_out))
    return lambda w: torch.stack([c * move_weight(w, case.rho_out, case.rho_in, g) for c, g in nodes]).sum(0)


def _projector(case: Case, route: Route) -> LinearProjector | ConvProjector:
    if not case.kernel_shape:
        return LinearProjector(case.rho_in, case.rho_out, route)
    return ConvProjector(case.rho_in, case.rho_out, case.kernel_shape, route=route)


def compare(case: Case, dtype: torch.dtype, seed: int) -> tuple[float, float, float]:
    """Largest difference of the two routes on a random weight, and the time of each in milliseconds.

    Examples:
        >>> compare(Case(regular(CyclicGroup(4)), trivial(CyclicGroup(4))), torch.float64, seed=0)[0] < 1e-12
        True
    """
    shape = (case.rho_out.dim, case.rho_in.dim, *case.kernel_shape)
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    results, times = [], []
    for project in (spatial_projection(case), _projector(case, "spectral")):
        project(weight)  # the first call of an operation is slower
        start = perf_counter()
        results.append(project(weight))
        times.append(1e3 * (perf_counter() - start))
    return float((results[0] - results[1]).abs().max()), times[0], times[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status is 1 if a difference is above the tolerance.

    Args:
        arguments: command line after the program name.
    """
    parser = argparse.ArgumentParser(prog="python -m equiproj.testing.compare_routes", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the random weights (default 0)")
    seed = parser.parse_args(arguments).seed
    header = ("group", "weight", "float32", "float64", "spatial ms", "spectral ms")
    print("{:44} {:>16} {:>9} {:>9} {:>11} {:>12}".format(*header))
    passed = True
    for case in cases():
        single, double = (compare(case, dtype, seed) for dtype in _TOLERANCE)
        passed &= all(d[0] <= limit for d, limit in zip((single, double), _TOLERANCE.values(), strict=True))
        size = "x".join(map(str, (case.rho_out.dim, case.rho_in.dim, *case.kernel_shape)))
        differences = f"{single[0]:9.1e} {double[0]:9.1e}"
        print(f"{case.rho_in.group!s:44} {size:>16} {differences} {single[1]:11.2f} {single[2]:12.2f}")
    limits = ", ".join(f"{str(dtype)[6:]} {limit:g}" for dtype, limit in _TOLERANCE.items())
    print(f"largest |difference| allowed: {limits}: {'passed' if passed else 'FAILED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
