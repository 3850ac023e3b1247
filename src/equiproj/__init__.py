"""Approximate equivariance by projection-based regularisation, for any group and any torch module.

Every linear layer splits orthogonally into an equivariant part P(W) and a rest W − P(W); `ProjectionPenalty` weighs the
norms of both. See ``docs/derivation.md``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equiproj.adaptive import score_test
    from equiproj.certificates import certified_defect_bound
    from equiproj.regularisers import (
        ProjectionPenalty,
        ProximalPenalty,
        check,
        equivariance_report,
        measured_defect,
        project_,
    )

__all__ = [
    "ProjectionPenalty",
    "ProximalPenalty",
    "certified_defect_bound",
    "check",
    "equivariance_report",
    "measured_defect",
    "project_",
    "score_test",
]
_ROOMS = (
    *("adaptive", "baselines", "bridges", "certificates", "groups", "layers", "norms", "projections"),
    *("regularisers", "representations", "testing"),
)


def __getattr__(name: str) -> Any:
    """Import on first use: who only checks the name of a norm need not wait for torch."""
    if name in _ROOMS:
        return import_module(f"equiproj.{name}")
    if name in __all__:
        room = {"certified_defect_bound": "certificates", "score_test": "adaptive"}.get(name, "regularisers")
        return getattr(import_module(f"equiproj.{room}"), name)
    raise AttributeError(f"module 'equiproj' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
