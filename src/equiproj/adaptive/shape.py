"""What kind of matrix a gradient is: of few directions, of few entries, or of neither."""

import torch
from jaxtyping import Float
from torch import Tensor


def effective_rank(matrix: Float[Tensor, "rows columns"]) -> float:
    """(Σσ²)² / Σσ⁴: r for r equal singular values, 0 for a matrix of zeros.

    Examples:
        >>> effective_rank(torch.eye(3))
        3.0
    """
    squares = torch.linalg.svdvals(matrix.double()).square()
    total = float(squares.sum())
    return 0.0 if total == 0 else total**2 / float(squares.square().sum())


def hoyer_sparsity(matrix: Float[Tensor, "rows columns"]) -> float:
    """(√n − ‖a‖₁ / ‖a‖₂) / (√n − 1) of the n entries: 0 where all are of one size, 1 where one alone is not zero.

    References:
        Hoyer, Journal of Machine Learning Research 5, 2004.

    Examples:
        >>> hoyer_sparsity(torch.tensor([[0.0, 3.0]])), hoyer_sparsity(torch.ones(2, 2))
        (1.0, 0.0)
    """
    entries, root = matrix.double().flatten(), matrix.numel() ** 0.5
    length = float(torch.linalg.vector_norm(entries))
    if length == 0 or root == 1:
        return 0.0
    return (root - float(entries.abs().sum()) / length) / (root - 1)
