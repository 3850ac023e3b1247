"""Bounds of a network's defect that hold for every input."""

from equiproj.certificates.certificate import DefectBound, certified_defect_bound
from equiproj.certificates.steps import LayerConstants

__all__ = ["DefectBound", "LayerConstants", "certified_defect_bound"]
