"""What hangs on a module: penalties, the hard projection, the report and the measured defect."""

<<<<<<< HEAD
=======
from equiproj.regularisers.certificate import DefectBound, LayerConstants, certified_defect_bound
from equiproj.regularisers.check import CheckedNetwork, check
>>>>>>> d3efc29 (equiproj: check names the first layer or function that breaks equivariance, and why)
from equiproj.regularisers.defect import MeasuredDefect, measured_defect
from equiproj.regularisers.hard import project_, project_initial_
from equiproj.regularisers.penalty import ProjectionPenalty
from equiproj.regularisers.proximal_penalty import ProximalPenalty
from equiproj.regularisers.report import EquivarianceReport, ReportRow, equivariance_report

__all__ = [
<<<<<<< HEAD
=======
    "CheckedNetwork",
    "DefectBound",
>>>>>>> d3efc29 (equiproj: check names the first layer or function that breaks equivariance, and why)
    "EquivarianceReport",
    "MeasuredDefect",
    "ProjectionPenalty",
    "ProximalPenalty",
    "ReportRow",
<<<<<<< HEAD
=======
    "certified_defect_bound",
    "check",
>>>>>>> d3efc29 (equiproj: check names the first layer or function that breaks equivariance, and why)
    "equivariance_report",
    "measured_defect",
    "project_",
    "project_initial_",
]
