"""Softness between a weight and its projection in the forward pass, fixed or annealed over training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from equiproj.baselines.parametrised import Parametrised
from equiproj.layers import LayerTypes


class _SoftProjection(nn.Module):
    """The parametrisation V ↦ P(V) + s (V − P(V)) with softness s in [0, 1].

    Examples:
        >>> soft = _SoftProjection(lambda weight: weight.mean().expand_as(weight), 0.5)
        >>> soft(torch.tensor([1.0, 3.0])).tolist()
        [1.5, 2.5]
    """

    def __init__(self, project: Callable[[Tensor], Tensor], softness: float) -> None:
        super().__init__()
        self.project = project
        self.softness: Tensor
        self.register_buffer("softness", torch.tensor(softness))

    def forward(self, free: Tensor) -> Tensor:
        """Blend the weight with its projection."""
        projected = self.project(free)
        return projected + self.softness * (free - projected)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Start from the weight the layer has."""
        return weight


class Softness(Parametrised):
    """Layers whose weights are blended with their projection, W = P(V) + s (V − P(V)).

    s = 0 is strictly equivariant, s = 1 the free layer; ‖W − P(W)‖ = s ‖V − P(V)‖. ``softness`` can be set at any time,
    after training too, to trade symmetry against fit. It is kept in checkpoints.

    Args:
        module: the network, changed in place.
        layers: name of each layer and its ``(rho_in, rho_out)``.
        softness: s, from 0 to 1.

    Raises:
        ValueError: if ``softness`` is outside [0, 1], a layer is unknown, of another type or parametrised already, or
            channels do not fit.

    Reference:
        Rahman et al., Tunable Soft Equivariance with Guarantees, CVPR 2026 (arXiv 2603.26657): weights are projected
        in the forward pass into a subspace that grows with a softness. They choose directions by the singular values
        of the Lie algebra action; here every direction outside the equivariant maps is scaled alike, which works for
        finite groups too.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(2))
        >>> network = nn.Sequential(nn.Linear(2, 2, bias=False))
        >>> network[0].weight.data = torch.tensor([[1.0, 2.0], [4.0, 5.0]])
        >>> soft = Softness(network, {"0": (rho, rho)}, softness=0.5)
        >>> network[0].weight.tolist()
        [[2.0, 2.5], [3.5, 4.0]]
        >>> soft.softness = 1.0
        >>> network[0].weight.tolist()
        [[1.0, 2.0], [4.0, 5.0]]
    """

    def __init__(self, module: nn.Module, layers: LayerTypes, softness: float) -> None:
        _check_fraction("softness", softness)
        super().__init__(module, layers, lambda project: _SoftProjection(project, softness))

    @torch.no_grad()
    def rescale_initial_(self) -> None:
        """Give every blended kernel the Frobenius norm of what was drawn: V ← V ‖V‖ / ‖P(V) + s (V − P(V))‖.

        Blending takes a share of a random weight's scale, as a projection does (`project_initial_`), and a deep network
        of shrunk weights passes on neither signal nor gradient. Equivariant kernels, biases and kernels of zeros stay.
        """
        for entry, parametrisation in zip(self.parameters, self.parametrisations, strict=True):
            free = entry.layer.get_parameter(f"parametrizations.{entry.attribute}.original")
            size = torch.linalg.vector_norm(parametrisation(free))
            if entry.role == "map" and size > 0:
                free.mul_(torch.linalg.vector_norm(free) / size)

    @property
    def softness(self) -> float:
        """The softness s of all layers."""
        return self.parametrisations[0].get_buffer("softness").item()

    @softness.setter
    def softness(self, softness: float) -> None:
        _check_fraction("softness", softness)
        for parametrisation in self.parametrisations:
            parametrisation.get_buffer("softness").fill_(softness)


class AnnealedRelaxation(Softness):
    """Equivariance relaxed during training and restored at its end: softness follows :func:`triangle`.

    Call :meth:`step` once per epoch (or training step) with the progress of the run. At progress 0 and 1 the layers are
    strictly equivariant, so a finished run is.

    Args:
        module: the network, changed in place.
        layers: name of each layer and its ``(rho_in, rho_out)``.

    Raises:
        ValueError: as :class:`Softness`.

    Reference:
        Relaxed weights: Wang, Walters & Yu, Approximately Equivariant Networks for Imperfectly Symmetric Dynamics,
        ICML 2022. Schedule that returns to equivariance: Pertigkiozoglou et al., Improving Equivariant Model Training
        via Constraint Relaxation, NeurIPS 2024, without its Lie derivative penalty.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(2))
        >>> annealed = AnnealedRelaxation(nn.Sequential(nn.Linear(2, 2)), {"0": (rho, rho)})
        >>> annealed.step(0.25)
        >>> annealed.softness
        0.5
    """

    def __init__(self, module: nn.Module, layers: LayerTypes) -> None:
        super().__init__(module, layers, softness=0.0)

    def step(self, progress: float) -> None:
        """Set the softness for a run that is this far, from 0 (start) to 1 (end).

        Raises:
            ValueError: if ``progress`` is outside [0, 1].
        """
        self.softness = triangle(progress)


def triangle(progress: float) -> float:
    """Softness over a run: linear from 0 to 1 at half time and back to 0.

    Args:
        progress: fraction of the run that is over, from 0 to 1.

    Raises:
        ValueError: if ``progress`` is outside [0, 1].

    Reference:
        Pertigkiozoglou et al., NeurIPS 2024.

    Examples:
        >>> [triangle(progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    _check_fraction("progress", progress)
    return 1.0 - abs(2.0 * progress - 1.0)


def _check_fraction(name: str, value: float) -> None:
    """Raise ValueError unless ``value`` is a number from 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"expected {name} from 0 to 1, found {value}")
