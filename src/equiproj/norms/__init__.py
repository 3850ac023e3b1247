"""Matrix and operator norms whose values and gradients are defined everywhere."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from equiproj.norms.names import KNOWN_NORMS, CustomNorm, Norm, parse_norm

if TYPE_CHECKING:
    from equiproj.norms.gram import gram_iteration
    from equiproj.norms.matrix import matrix_norm
    from equiproj.norms.operator import (
        MapIterate,
        kernel_spectrum,
        map_spectral_norm,
        operator_norm,
        operator_norm_bound,
    )
    from equiproj.norms.power import PowerIterate, power_iteration, start_block

__all__ = [
    "KNOWN_NORMS",
    "CustomNorm",
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
# The modules that need torch; they are imported on first use, so that a name can be checked without it.
_MODULES = ("gram", "matrix", "operator", "power")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in map(import_module, (f"equiproj.norms.{stem}" for stem in _MODULES)):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'equiproj.norms' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
