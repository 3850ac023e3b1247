"""`matrix_norm`: every norm by its name."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from equiproj.norms.elementwise import entrywise_norm, induced_norm, mixed_norm
from equiproj.norms.gram import gram_iteration
from equiproj.norms.names import CustomNorm, ExactOrGram, Norm, NormName, parse_norm
from equiproj.norms.singular import schatten_norm
from equiproj.norms.subgradient import attach_subgradient, widen

_METHODS = ("exact", "gram")
_BY_ENTRIES: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "entrywise": entrywise_norm,
    "induced": induced_norm,
    "mixed": mixed_norm,
}


def matrix_norm(
    matrix: Inexact[Tensor, "*batch rows columns"], norm: NormName | Norm | CustomNorm, method: ExactOrGram = "exact"
) -> Float[Tensor, "*batch"]:
    """Norm of each matrix in a batch, with a subgradient that is zero at zero and shared by ties.

    With a_ij the entries (row i, column j) and σ_i the singular values:
    `frobenius` (Σ|a_ij|²)^½ · `spectral` σ₁ · `nuclear` Σσ_i · `schatten:p` (Σσ_i^p)^(1/p) ·
    `entrywise:p` (Σ|a_ij|^p)^(1/p) · `induced:1` largest column sum · `induced:inf` largest row sum ·
    `mixed:p,q` (Σ_j (Σ_i |a_ij|^p)^(q/p))^(1/q), the p-norm of each column, then the q-norm over columns.

    Args:
        matrix: (..., rows, columns), real or complex; float16 and bfloat16 are computed and returned in float32.
        norm: name, `Norm` or `CustomNorm`.
        method: for norms of singular values. `exact` is an SVD for float64, and for float32 the eigenvalues of the
            smaller Gram matrix in double precision, exact to float32 rounding. `gram` takes those for float64 too, and
            Gram iteration for the spectral norm (an upper bound within 1e-3). Other norms have one way only.

    Raises:
        ValueError: unknown norm or method, fewer than two axes, or a matrix without entries.

    References:
        docs/derivation.md, equations 5.1 to 5.9. Berndt and Stühmer, arXiv 2601.05028, norm ablation.

    Examples:
        >>> matrix = torch.zeros(2, 2, requires_grad=True)
        >>> matrix_norm(matrix, "nuclear").backward(); matrix.grad
        tensor([[0., 0.],
                [0., 0.]])
    """
    norm = parse_norm(norm)
    check_matrix(matrix)
    # Autocast would lower the products inside to half precision.
    with torch.no_grad(), torch.autocast(matrix.device.type, enabled=False):
        value, subgradient = norm_and_subgradient(widen(matrix.detach()), norm, method)
    return attach_subgradient(matrix, value, subgradient)


def norm_and_subgradient(
    matrix: Inexact[Tensor, "*batch rows columns"], norm: Norm | CustomNorm, method: str
) -> tuple[Float[Tensor, "*batch"], Inexact[Tensor, "*batch rows columns"]]:
    """The norm of each matrix and the minimum-norm element of its subdifferential, outside autograd.

    Raises:
        ValueError: unknown method.

    Examples:
        >>> norm_and_subgradient(torch.tensor([[3.0, 4.0]]), Norm("frobenius"), "exact")
        (tensor(5.), tensor([[0.6000, 0.8000]]))
    """
    if method not in _METHODS:
        raise ValueError(f"expected method {' or '.join(map(repr, _METHODS))}, found {method!r}")
    if isinstance(norm, CustomNorm):
        return _custom_norm(matrix, norm)
    p = norm.schatten_order
    if p == 2:
        return entrywise_norm(matrix, 2.0)
    if p is None:
        return _BY_ENTRIES[norm.kind](matrix, *norm.orders)
    if p == torch.inf and method == "gram":
        return gram_iteration(matrix)
    # An SVD in single precision is slower than eigenvalues in double precision, and less exact.
    return schatten_norm(matrix, p, double_gram=method == "gram" or torch.finfo(matrix.dtype).bits == 32)


def _custom_norm(matrix: Tensor, norm: CustomNorm) -> tuple[Tensor, Tensor]:
    zero = (matrix == 0).all(-1).all(-1)
    with torch.enable_grad():
        leaf = torch.where(zero[..., None, None], 1, matrix).detach().requires_grad_()
        value = norm.function(leaf)
        if value.shape != zero.shape:
            expected, found = tuple(zero.shape), tuple(value.shape)
            raise ValueError(
                f"norm {norm.name!r}: expected norms of shape {expected}, one for each matrix, found {found}"
            )
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach().masked_fill(zero, 0), gradient.masked_fill(zero[..., None, None], 0)


def check_matrix(matrix: Tensor) -> None:
    """Refuse what is not a batch of non-empty matrices.

    Raises:
        ValueError: fewer than two axes, or an axis of rows or columns of length zero.

    Examples:
        >>> check_matrix(torch.ones(3))
        Traceback (most recent call last):
        ...
        ValueError: expected a matrix with axes (..., rows, columns) of length at least 1, found shape (3,)
    """
    if matrix.ndim < 2 or 0 in matrix.shape[-2:]:
        raise ValueError(
            f"expected a matrix with axes (..., rows, columns) of length at least 1, found shape {tuple(matrix.shape)}"
        )
