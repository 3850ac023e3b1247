"""Types of channels from the way that tensors take through a network."""

from equiproj.layers.flow.inference import Inference, SideTypes, inferred
from equiproj.layers.flow.slots import TypeConflictError

__all__ = ["Inference", "SideTypes", "TypeConflictError", "inferred"]
