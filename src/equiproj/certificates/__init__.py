"""Bounds of a network's defect that hold for every input, or for every input near given ones."""

from equiproj.certificates.certificate import (
    DefectBound,
    LocalDefectBound,
    certified_defect_bound,
    local_defect_bound,
)
from equiproj.certificates.steps import LayerConstants

__all__ = ["DefectBound", "LayerConstants", "LocalDefectBound", "certified_defect_bound", "local_defect_bound"]
