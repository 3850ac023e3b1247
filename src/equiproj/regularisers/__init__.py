"""What hangs on a module: penalties, the hard projection, the report and the measured defect."""

from equiproj.regularisers.check import CheckedNetwork, check
from equiproj.regularisers.defect import MeasuredDefect, measured_defect
from equiproj.regularisers.hard import project_, project_initial_
from equiproj.regularisers.penalty import ProjectionPenalty
from equiproj.regularisers.proximal_penalty import ProximalPenalty
from equiproj.regularisers.report import EquivarianceReport, ReportRow, equivariance_report

__all__ = [
    "CheckedNetwork",
    "EquivarianceReport",
    "MeasuredDefect",
    "ProjectionPenalty",
    "ProximalPenalty",
    "ReportRow",
    "check",
    "equivariance_report",
    "measured_defect",
    "project_",
    "project_initial_",
]
