"""Types of channels from the way that tensors take through a network."""

from equiproj.layers.flow.forward_pass import SideTypes, is_signal
from equiproj.layers.flow.inference import Inference, inferred, repeated, watched
from equiproj.layers.flow.slots import TypeConflictError
from equiproj.layers.flow.state import Event

__all__ = ["Event", "Inference", "SideTypes", "TypeConflictError", "inferred", "is_signal", "repeated", "watched"]
