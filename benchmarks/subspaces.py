"""Equivariant kernels of escnn and maps of e3nn beside ours, as spaces: dimensions, what they share, what lies outside.

``python -m benchmarks.subspaces`` prints the table of docs/bridges.md. Needs escnn and e3nn.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equiproj.bridges import from_e3nn, from_escnn
from equiproj.groups import O3, SO3, Group
from equiproj.projections import Sampling, escnn_rings, project_linear, steerable_basis

SAME = 1e-3  # sine of an angle below which a direction counts as shared: escnn and e3nn compute in single precision
INDEPENDENT = 1e-5
FREQUENCIES = (0, 1, 2)


def import_escnn() -> Any:
    """The escnn library, its planar groups: lie_learn, which its import needs, is for SO(3) alone.

    Beside a current scikit-learn, which takes no `np.matrix`, escnn 1.0.11 cannot compute intertwiners of dihedral
    groups; it is given an array here.

    Raises:
        ImportError: escnn is not installed.
    """
    try:
        import lie_learn.representations.SO3.wigner_d  # noqa: F401
    except ImportError:
        parts = ["lie_learn", "representations", "SO3", "wigner_d"]
        for depth in range(1, 5):
            sys.modules[".".join(parts[:depth])] = ModuleType(".".join(parts[:depth]))
        sys.modules[".".join(parts)].wigner_D_matrix = None  # type: ignore[attr-defined]
    import escnn.gspaces
    import escnn.nn
    from escnn.group import _numerical

    null_space = _numerical.null
    _numerical.null = lambda matrix, *settings, **named: null_space(np.asarray(matrix), *settings, **named)
    return escnn


@dataclass(frozen=True)
class Relation:
    """Two spaces of weights.

    Args:
        name: what they map.
        n_ours: dimension of ours.
        n_theirs: dimension of theirs.
        n_shared: directions of theirs that are in ours.
        outside: ‖(1 − P) W‖ / ‖W‖ of a random W in theirs, P onto ours: the root mean square of the sines.
        largest: largest principal angle of theirs to ours, in degrees.
    """

    name: str
    n_ours: int
    n_theirs: int
    n_shared: int
    outside: float
    largest: float

    def __str__(self) -> str:
        share = f"{100 * self.outside:.1f} %" if self.outside > SAME else "0"
        angle = f"{self.largest:.1f}°" if self.outside > SAME else "0"
        return f"| {self.name} | {self.n_ours} | {self.n_theirs} | {self.n_shared} | {share} | {angle} |"


def relation(name: str, ours: Tensor, theirs: Tensor) -> Relation:
    """Compare the spans of two stacks of weights."""
    own, other = orthonormal(ours), orthonormal(theirs)
    outside = other - (other @ own.T) @ own
    sines = torch.linalg.svdvals(outside).clamp(max=1)
    return Relation(
        name,
        len(own),
        len(other),
        int((sines < SAME).sum()),
        float(sines.square().mean().sqrt()),
        float(sines.max().asin().rad2deg()),
    )


def orthonormal(stack: Tensor) -> Tensor:
    """Rows that span the same space."""
    _, singular, right = torch.linalg.svd(stack.double().flatten(1), full_matrices=False)
    return right[singular > INDEPENDENT * singular[0]]


def escnn_kernels(escnn: Any, type_in: Any, type_out: Any, kernel_size: int) -> Tensor:
    """All kernels of an `R2Conv` with its default rings, one for each of its weights."""
    layer = escnn.nn.R2Conv(type_in, type_out, kernel_size, bias=False, initialize=False)
    kernels = [layer.basisexpansion(unit) for unit in torch.eye(layer.basisexpansion.dimension())]
    return torch.stack(kernels).detach().unflatten(-1, (kernel_size, kernel_size))


def compare_kernels(
    escnn: Any, name: str, type_in: Any, type_out: Any, kernel_size: int, sampling: Sampling | None = None
) -> Relation:
    """The kernels of escnn between two field types beside ours."""
    shape = (kernel_size, kernel_size)
    ours = steerable_basis(from_escnn(type_in), from_escnn(type_out), shape, sampling=sampling)
    theirs = escnn_kernels(escnn, type_in, type_out, kernel_size)
    return relation(f"escnn, {name}, {kernel_size} × {kernel_size}", ours, theirs)


def of_finite_groups(escnn: Any) -> Iterator[Relation]:
    spaces = {
        "C_2": escnn.gspaces.rot2dOnR2(2),
        "C_4": escnn.gspaces.rot2dOnR2(4),
        "D_4": escnn.gspaces.flipRot2dOnR2(4),
    }
    for name, space in spaces.items():
        image, field = (escnn.nn.FieldType(space, [rho]) for rho in (space.trivial_repr, space.regular_repr))
        for kernel_size in (3, 5):
            yield compare_kernels(escnn, f"{name} trivial → regular", image, field, kernel_size)
            yield compare_kernels(escnn, f"{name} regular → regular", field, field, kernel_size)


def of_continuous_groups(escnn: Any) -> Iterator[Relation]:
    turns, mirrors = escnn.gspaces.rot2dOnR2(-1), escnn.gspaces.flipRot2dOnR2(-1)
    fields = {
        "SO(2)": escnn.nn.FieldType(turns, [turns.irrep(m) for m in FREQUENCIES]),
        "O(2)": escnn.nn.FieldType(mirrors, [mirrors.irrep(int(m > 0), m) for m in FREQUENCIES]),
    }
    for name, field in fields.items():
        for kernel_size in (3, 5, 7):
            yield compare_kernels(escnn, f"{name} irreps 0–2 → 0–2", field, field, kernel_size)


def of_the_same_rings(escnn: Any) -> Iterator[Relation]:
    rings = Sampling(rings=escnn_rings)
    turns, quarters, eighths = (escnn.gspaces.rot2dOnR2(n) for n in (-1, 4, 8))
    irreps = escnn.nn.FieldType(turns, [turns.irrep(m) for m in FREQUENCIES])
    fields = [escnn.nn.FieldType(space, [space.regular_repr]) for space in (quarters, eighths)]
    for kernel_size in (3, 5, 7):
        yield compare_kernels(escnn, "SO(2), escnn's rings", irreps, irreps, kernel_size, rings)
    for name, field in zip(("C_4", "C_8"), fields, strict=True):
        for kernel_size in (3, 5):
            yield compare_kernels(escnn, f"{name} regular, escnn's rings", field, field, kernel_size, rings)


def of_e3nn() -> Iterator[Relation]:
    from e3nn.o3 import Irreps, Linear

    irreps_in, irreps_out = Irreps("2x0e + 0o + 2x1o + 1e + 2e"), Irreps("0e + 0o + 2x1o + 2x2e")
    layer = Linear(irreps_in, irreps_out)
    unit = torch.eye(irreps_in.dim)
    theirs = [layer(unit, weight).T for weight in torch.eye(layer.weight_numel)]
    groups: tuple[tuple[str, Group], ...] = (("O(3)", O3()), ("SO(3)", SO3()))
    for name, group in groups:
        rho_in, rho_out = from_e3nn(irreps_in, group), from_e3nn(irreps_out, group)
        every = torch.eye(rho_in.dim * rho_out.dim, dtype=torch.float64).unflatten(-1, (rho_out.dim, rho_in.dim))
        yield relation(
            f"e3nn Linear, {name}, 0–2 → 0–2", project_linear(every, rho_in, rho_out), torch.stack(theirs).detach()
        )


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    escnn = import_escnn()
    print("| maps | ours | theirs | theirs in ours | theirs outside ours | largest angle |")
    print("|---|---:|---:|---:|---:|---:|")
    for relations in (of_finite_groups(escnn), of_continuous_groups(escnn), of_the_same_rings(escnn), of_e3nn()):
        for found in relations:
            print(found)


if __name__ == "__main__":
    main()
