"""Other people's methods for approximate equivariance, each by its paper, attached to any torch module."""

from equiproj.baselines.augmentation import GroupAveraged, random_group_transform
from equiproj.baselines.eqreg import EQReg

__all__ = ["EQReg", "GroupAveraged", "random_group_transform"]
