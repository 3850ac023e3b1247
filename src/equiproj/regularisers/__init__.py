"""What hangs on a module: penalties, the hard projection, the report, the bound and the measured defect."""

from equiproj.regularisers.certificate import DefectBound, LayerConstants, certified_defect_bound
from equiproj.regularisers.defect import MeasuredDefect, measured_defect
from equiproj.regularisers.hard import project_, project_initial_
from equiproj.regularisers.penalty import ProjectionPenalty
from equiproj.regularisers.proximal_penalty import ProximalPenalty
from equiproj.regularisers.report import EquivarianceReport, ReportRow, equivariance_report

__all__ = [
    "DefectBound",
    "EquivarianceReport",
    "LayerConstants",
    "MeasuredDefect",
    "ProjectionPenalty",
    "ProximalPenalty",
    "ReportRow",
    "certified_defect_bound",
    "equivariance_report",
    "measured_defect",
    "project_",
    "project_initial_",
]
