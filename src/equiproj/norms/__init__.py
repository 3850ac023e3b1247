"""Matrix and operator norms whose values and gradients are defined everywhere."""

from equiproj.norms.gram import gram_iteration
from equiproj.norms.matrix import matrix_norm
from equiproj.norms.names import KNOWN_NORMS, Norm, parse_norm
from equiproj.norms.operator import MapIterate, kernel_spectrum, map_spectral_norm, operator_norm, operator_norm_bound
from equiproj.norms.power import PowerIterate, power_iteration, start_block

__all__ = [
    "KNOWN_NORMS",
    "MapIterate",
    "Norm",
    "PowerIterate",
    "gram_iteration",
    "kernel_spectrum",
    "map_spectral_norm",
    "matrix_norm",
    "operator_norm",
    "operator_norm_bound",
    "parse_norm",
    "power_iteration",
    "start_block",
]
