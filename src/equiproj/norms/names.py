"""The names of the matrix norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

    NormName = Literal[
        "frobenius",
        "spectral",
        "nuclear",
        "schatten:1",
        "schatten:2",
        "schatten:3",
        "schatten:4",
        "schatten:inf",
        "entrywise:1",
        "entrywise:2",
        "entrywise:4",
        "entrywise:inf",
        "induced:1",
        "induced:inf",
        "mixed:1,2",
        "mixed:2,1",
        "mixed:1,inf",
        "mixed:2,inf",
    ]
    ExactOrGram = Literal["exact", "gram"]
    NormMethod = Literal["exact", "gram", "power"]
else:
    # the names with orders have no end: a type checker knows some, `parse_norm` reads all
    NormName = ExactOrGram = NormMethod = str

KNOWN_NORMS = (
    "frobenius",
    "spectral",
    "nuclear",
    "schatten:p",
    "entrywise:p",
    "induced:1",
    "induced:inf",
    "mixed:p,q",
)


_N_ORDERS = {"frobenius": 0, "spectral": 0, "nuclear": 0, "schatten": 1, "entrywise": 1, "induced": 1, "mixed": 2}


@dataclass(frozen=True)
class Norm:
    """A matrix norm: its kind and its orders, (p,) or (p, q) where the kind has them.

    Two spellings of one norm stay two values (`schatten:2` is not `frobenius`); both evaluate to the same number.

    Examples:
        >>> Norm("schatten", (3.0,))
        Norm('schatten:3')
        >>> str(Norm("mixed", (2.0, math.inf)))
        'mixed:2,inf'
    """

    kind: str
    orders: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _N_ORDERS:
            raise ValueError(_unknown(str(self)))
        if len(self.orders) != _N_ORDERS[self.kind]:
            expected = ", ".join(name for name in KNOWN_NORMS if name.split(":")[0] == self.kind)
            raise ValueError(f"norm {str(self)!r}: expected the form {expected}")
        # An order below one breaks the triangle inequality; the comparison also refuses NaN.
        if not all(order >= 1 for order in self.orders):
            raise ValueError(f"norm {str(self)!r}: expected orders of at least 1 (inf allowed)")
        if self.kind == "induced" and self.orders[0] not in (1, math.inf):
            raise ValueError(f"norm {str(self)!r}: expected induced:1 or induced:inf (induced:2 is 'spectral')")

    def __str__(self) -> str:
        return self.kind + ":" * bool(self.orders) + ",".join(f"{order:.12g}" for order in self.orders)

    def __repr__(self) -> str:
        return f"Norm({str(self)!r})"

    @property
    def schatten_order(self) -> float | None:
        """The order p where the norm is a p-norm of singular values, else None.

        Examples:
            >>> parse_norm("nuclear").schatten_order, parse_norm("entrywise:1").schatten_order
            (1.0, None)
        """
        if self.kind == "schatten":
            return self.orders[0]
        return {"frobenius": 2.0, "spectral": math.inf, "nuclear": 1.0}.get(self.kind)


@dataclass(frozen=True)
class CustomNorm:
    """A norm of your own, for matrices only; :func:`equiproj.testing.assert_norm` checks that it is one.

    Its gradient is autograd's, and zero at a matrix of zeros, where autograd often finds none.

    Args:
        name: what tables call it.
        function: maps matrices (..., rows, columns) to their norms (...), and autograd can follow it.

    Example:
        >>> CustomNorm("sum", lambda matrix: matrix.abs().sum((-2, -1)))
        CustomNorm('sum')
    """

    name: str
    function: Callable[[Tensor], Tensor]
    schatten_order: ClassVar[None] = None

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"CustomNorm({self.name!r})"


def parse_norm(norm: str | Norm | CustomNorm) -> Norm | CustomNorm:
    """Read the name of a norm; a `Norm` or `CustomNorm` passes through.

    Other functions take the names that a type checker can know (`NormName`); any other name, such as `schatten:2.5`
    or one that is read from a file, becomes a `Norm` here.

    Args:
        norm: one of `frobenius`, `spectral`, `nuclear`, `schatten:p`, `entrywise:p`, `induced:1`, `induced:inf`,
            `mixed:p,q` with orders p, q ≥ 1; `inf` is an order.

    Raises:
        ValueError: the name is not known, or an order is missing, not a number, or below one.

    Examples:
        >>> parse_norm("entrywise:inf")
        Norm('entrywise:inf')
        >>> parse_norm("euclid")
        Traceback (most recent call last):
        ...
        ValueError: unknown norm 'euclid'; known: frobenius, spectral, nuclear, schatten:p, entrywise:p, induced:1, \
induced:inf, mixed:p,q (p, q at least 1, inf allowed)
    """
    if isinstance(norm, Norm | CustomNorm):
        return norm
    if not isinstance(norm, str):
        raise ValueError(_unknown(norm))
    kind, colon, orders = norm.partition(":")
    try:
        numbers = tuple(float(order) for order in orders.split(",")) if colon else ()
    except ValueError:
        raise ValueError(_unknown(norm)) from None
    return Norm(kind, numbers)


def _unknown(norm: object) -> str:
    return f"unknown norm {norm!r}; known: {', '.join(KNOWN_NORMS)} (p, q at least 1, inf allowed)"
