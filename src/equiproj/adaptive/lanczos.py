"""The spectrum of a matrix that is only known by its products, as few nodes with weights."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class SpectralMeasure(NamedTuple):
    """vᵀ f(H) v ≈ Σ weights · f(nodes) for each of k vectors v; integrals are means over the vectors.

    Examples:
        >>> measure = SpectralMeasure(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.5, 0.25]]))
        >>> measure.integral(torch.sqrt).item()
        1.0
    """

    nodes: Float[Tensor, "k n"]
    weights: Float[Tensor, "k n"]

    def integral(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Σ weights · f(nodes); f may return leading axes of its own."""
        return (self.weights.flatten() * function(self.nodes.flatten())).sum(-1) / len(self.nodes)

    def total(self) -> float:
        """The integral of 1, |v|²."""
        return float(self.weights.sum()) / len(self.nodes)

    def of(self, first: int, end: int) -> "SpectralMeasure":
        """Of some of the vectors."""
        return SpectralMeasure(self.nodes[first:end], self.weights[first:end])


def exact_measures(
    product: Callable[[Tensor], Tensor], vector: Float[Tensor, " n"], projection: Float[Tensor, "n n"]
) -> tuple[SpectralMeasure, SpectralMeasure]:
    """The measure of one vector, and tr f(H) over the image of a projection, from all of H.

    Examples:
        >>> H = torch.diag(torch.tensor([1.0, 4.0]))
        >>> one, trace = exact_measures(lambda vectors: vectors @ H, torch.ones(2), torch.eye(2))
        >>> trace.integral(torch.sqrt).item()
        3.0
    """
    matrix = product(projection).double()
    nodes, vectors = torch.linalg.eigh(0.5 * (matrix + matrix.mT))
    inside = (vectors * (projection.double() @ vectors)).sum(0)
    along = (vector.double() @ vectors).square()
    nodes = nodes.clamp_min(0)[None]
    return SpectralMeasure(nodes, along[None]), SpectralMeasure(nodes, inside[None])


def spectral_measure(
    product: Callable[[Tensor], Tensor], starts: Float[Tensor, "k n"], n_steps: int
) -> SpectralMeasure:
    """Gauss quadrature of the spectral measures of a symmetric positive semidefinite H.

    Exact for polynomials of degree 2 n_steps − 1, and for all functions where H has no more different eigenvalues than
    steps. For random vectors with independent entries of variance 1 the integral of f estimates tr f(H).

    Args:
        product: vectors (k, n) → H applied to each.
        starts: the vectors v.
        n_steps: products of each vector.

    References:
        Golub and Meurant, Matrices, Moments and Quadrature, Princeton 2010; Ubaru, Chen and Saad, SIAM J. Matrix Anal.
        Appl. 38, 2017, for the trace.

    Examples:
        >>> H = torch.diag(torch.tensor([1.0, 2.0, 4.0]))
        >>> measure = spectral_measure(lambda vectors: vectors @ H, torch.ones(1, 3), 3)
        >>> round(measure.integral(torch.log2).item(), 4)
        3.0
    """
    n_steps = min(n_steps, starts.shape[1])
    lengths = torch.linalg.vector_norm(starts, dim=1, keepdim=True)
    vector = starts / torch.where(lengths > 0, lengths, 1)
    basis, diagonal, beside = [vector], [], []
    for _ in range(n_steps):
        image = product(basis[-1])
        diagonal.append((image * basis[-1]).sum(1))
        size = torch.linalg.vector_norm(image, dim=1)
        for _ in range(2):  # twice is enough (Kahan)
            for earlier in basis:
                image = image - (image * earlier).sum(1, keepdim=True) * earlier
        length = torch.linalg.vector_norm(image, dim=1)
        # an invariant subspace is found: what is left is rounding, and has no weight
        length = torch.where(length > 100 * torch.finfo(length.dtype).eps * size, length, 0)
        basis.append(torch.where(length > 0, 1 / length.clamp_min(1e-300), 0)[:, None] * image)
        beside.append(length)
    main, side = torch.stack(diagonal, 1).double(), torch.stack(beside[:-1] or [diagonal[0][:0]], 1).double()
    if n_steps == 1:
        side = main[:, :0]
    jacobi = torch.diag_embed(main) + torch.diag_embed(side, 1) + torch.diag_embed(side, -1)
    nodes, vectors = torch.linalg.eigh(jacobi)
    return SpectralMeasure(nodes.clamp_min(0), lengths.double().square() * vectors[:, 0].square())
