"""Representations of groups as values: they add, multiply, print and evaluate to orthogonal matrices."""

from equiproj.representations.permuting import grid, regular, trivial
from equiproj.representations.representation import Representation

__all__ = ["Representation", "grid", "regular", "trivial"]
