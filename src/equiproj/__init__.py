"""Approximate equivariance by projection-based regularisation, for any group and any torch module.

Every linear layer splits orthogonally into an equivariant part P(W) and a rest W − P(W); `ProjectionPenalty` weighs the
norms of both. See ``docs/derivation.md``.
"""

from equiproj.regularisers import (
    ProjectionPenalty,
    certified_defect_bound,
    equivariance_report,
    measured_defect,
    project_,
)

__all__ = ["ProjectionPenalty", "certified_defect_bound", "equivariance_report", "measured_defect", "project_"]
