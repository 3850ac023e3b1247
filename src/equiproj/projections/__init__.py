"""Orthogonal projections of weights onto equivariant ones, by the spatial and by the spectral route."""

from equiproj.projections.functional import project_bias, project_conv, project_linear
from equiproj.projections.projectors import ConvProjector, LinearProjector

__all__ = ["ConvProjector", "LinearProjector", "project_bias", "project_conv", "project_linear"]
