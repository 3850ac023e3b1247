"""The projection of a weight field by field, where one table of indices for the whole weight would be large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class RowBlocks:
    """Projects the rows of each summand of ρ_rows by themselves.

    ρ_rows(g) is block-diagonal, so rows of P(W) that belong to one summand depend on those rows of W alone, and copies
    of a summand share one projection.

    Args:
        terms: number of copies, rows of each, and projection of the rows of one, in order of the rows.

    Attributes:
        terms: the same.

    Examples:
        >>> mean = lambda rows: rows.mean(-1, keepdim=True).expand_as(rows)
        >>> RowBlocks([(2, 1, mean)])(torch.tensor([1.0, 3.0, 5.0, 9.0])).tolist()
        [2.0, 2.0, 7.0, 7.0]
    """

    def __init__(self, terms: Sequence[tuple[int, int, Callable[[Tensor], Tensor]]]) -> None:
        self.terms = tuple(terms)
        self._n_rows = [count * n_rows for count, n_rows, _ in self.terms]

    def __call__(self, flat: Tensor) -> Tensor:
        """Project ``(..., rows * columns * pixels)``."""
        if len(self.terms) == 1:
            return self._of_copies(flat, *self.terms[0])
        n_entries = flat.shape[-1] // sum(self._n_rows)
        parts = flat.split([n_rows * n_entries for n_rows in self._n_rows], dim=-1)
        return torch.cat([self._of_copies(part, *term) for part, term in zip(parts, self.terms, strict=True)], dim=-1)

    @staticmethod
    def _of_copies(flat: Tensor, count: int, n_rows: int, project: Callable[[Tensor], Tensor]) -> Tensor:
        return project(flat.unflatten(-1, (count, -1))).flatten(-2)
