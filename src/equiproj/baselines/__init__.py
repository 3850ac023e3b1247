"""Other people's methods for approximate equivariance, each by its paper, attached to any torch module."""

from equiproj.baselines.augmentation import random_group_transform
from equiproj.baselines.eqreg import EQReg, feature_mismatch
from equiproj.baselines.function_level import function_mismatch
from equiproj.baselines.group_average import GroupAveraged
from equiproj.baselines.residual_pathway import ResidualPathway
from equiproj.baselines.softness import AnnealedRelaxation, Softness, triangle
from equiproj.baselines.strict import StrictEquivariance, TrainThenProject

__all__ = [
    "AnnealedRelaxation",
    "EQReg",
    "GroupAveraged",
    "ResidualPathway",
    "Softness",
    "StrictEquivariance",
    "TrainThenProject",
    "feature_mismatch",
    "function_mismatch",
    "random_group_transform",
    "triangle",
]
