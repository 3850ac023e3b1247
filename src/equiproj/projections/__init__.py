"""Orthogonal projections of weights onto equivariant ones, by the spatial and by the spectral route."""

from equiproj.projections.dimension import equivariant_dimension
from equiproj.projections.functional import project_bias, project_conv, project_linear
from equiproj.projections.image_sizes import samples_symmetrically
from equiproj.projections.orbits import OrbitAverage
from equiproj.projections.projectors import ConvProjector, LinearProjector
from equiproj.projections.sampling import Ring, Sampling, escnn_rings
from equiproj.projections.scales import ScaleProjector
from equiproj.projections.spectral import steerable_basis
from equiproj.projections.turning_error import turning_error

Projector = LinearProjector | ConvProjector | ScaleProjector

__all__ = [
    "ConvProjector",
    "LinearProjector",
    "OrbitAverage",
    "Projector",
    "Ring",
    "Sampling",
    "ScaleProjector",
    "equivariant_dimension",
    "escnn_rings",
    "project_bias",
    "project_conv",
    "project_linear",
    "samples_symmetrically",
    "steerable_basis",
    "turning_error",
]
