"""Strictly equivariant layers, and projection after training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from equiproj.baselines.layers import Layers, projected_tensors
from equiproj.baselines.parametrised import Parametrised


class StrictEquivariance(Parametrised):
    """Layers that can only be equivariant: weights W = P(V), biases likewise, with V trained.

    Group convolutions and steerable layers written as a constraint on ordinary layers. Gradients of V are projected by
    P as well. Layers that are not named are free: normalisation with statistics or scales per channel has to share them
    inside a field for the whole network to be equivariant.

    Args:
        module: the network, changed in place.
        layers: name of each layer and its ``(rho_in, rho_out)``.

    Raises:
        ValueError: if a layer is unknown, of another type or parametrised already, or channels do not fit.

    Reference:
        Cohen & Welling, Group Equivariant Convolutional Networks, ICML 2016; Weiler & Cesa, General E(2)-Equivariant
        Steerable CNNs, NeurIPS 2019.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> group = CyclicGroup(4)
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1))
        >>> strict = StrictEquivariance(network, {"0": (trivial(group), regular(group))})
        >>> kernel = network[0].weight
        >>> bool(torch.allclose(kernel[1], torch.rot90(kernel[0], dims=(1, 2))))
        True
        >>> strict.remove()
        >>> torch.equal(network[0].weight, kernel)
        True
    """

    def __init__(self, module: nn.Module, layers: Layers) -> None:
        super().__init__(module, layers, Projected)


@torch.no_grad()
def project_initial_(module: nn.Module, layers: Layers) -> None:
    """Make freshly drawn weights equivariant at the scale they were drawn for: W ← P(W) ‖W‖_F / ‖P(W)‖_F, b ← P(b).

    A projection shrinks a random weight, by √|G| between regular representations, and a deep network of shrunk weights
    passes on neither signal nor gradient. Group convolutions draw their free parameters so that the whole kernel has
    the wanted variance; this does the same for a kernel that was drawn without the constraint.

    Args:
        module: the network, changed in place; not parametrised yet.
        layers: name of each layer and its ``(rho_in, rho_out)``.

    Raises:
        ValueError: as :class:`StrictEquivariance`.

    Reference:
        Weiler & Cesa, General E(2)-Equivariant Steerable CNNs, NeurIPS 2019, with He's initialisation carried over to
        the coefficients of equivariant kernels.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho, layer = regular(CyclicGroup(2)), nn.Linear(2, 2, bias=False)
        >>> layer.weight.data = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
        >>> project_initial_(layer, {"": (rho, rho)})
        >>> [[round(value, 4) for value in row] for row in layer.weight.tolist()]
        [[3.5355, 0.0], [0.0, 3.5355]]
    """
    for layer, name, project in projected_tensors(module, layers):
        parameter = layer.get_parameter(name)
        projected = project(parameter)
        size = torch.linalg.vector_norm(projected)
        if name == "weight" and size > 0:  # a weight drawn as zero stays zero
            projected = projected * (torch.linalg.vector_norm(parameter) / size)
        parameter.copy_(projected)


class Projected(nn.Module):
    """The parametrisation V ↦ P(V).

    Example:
        >>> Projected(lambda weight: weight.mean().expand_as(weight))(torch.tensor([1.0, 3.0])).tolist()
        [2.0, 2.0]
    """

    def __init__(self, project: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.project = project

    def forward(self, free: Tensor) -> Tensor:
        """Project."""
        return self.project(free)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Start from the weight the layer has; its part outside the equivariant maps is dropped."""
        return weight


class TrainThenProject:
    """Plain training, then one hard projection W ← P(W), b ← P(b); ``undo`` brings the trained weights back.

    The baseline of doing nothing about symmetry until the end (Elesedy & Zaidi 2021 project a trained predictor; here
    each layer is projected).

    Args:
        module: the network.
        layers: name of each layer and its ``(rho_in, rho_out)``.

    Raises:
        ValueError: if a layer is unknown, of another type or parametrised, or channels do not fit.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(2))
        >>> network = nn.Sequential(nn.Linear(2, 2, bias=False))
        >>> network[0].weight.data = torch.tensor([[1.0, 2.0], [4.0, 5.0]])
        >>> trained = TrainThenProject(network, {"0": (rho, rho)})
        >>> trained.project()
        >>> network[0].weight.tolist()
        [[3.0, 3.0], [3.0, 3.0]]
        >>> trained.undo()
        >>> network[0].weight.tolist()
        [[1.0, 2.0], [4.0, 5.0]]
    """

    def __init__(self, module: nn.Module, layers: Layers) -> None:
        self._tensors = projected_tensors(module, layers)
        self._trained: list[Tensor] = []

    @torch.no_grad()
    def project(self) -> None:
        """Project every named layer in place.

        Raises:
            ValueError: if the layers are projected already.
        """
        if self._trained:
            raise ValueError("expected trained weights, found weights that are projected already; undo() first")
        for layer, name, project in self._tensors:
            parameter = layer.get_parameter(name)
            self._trained.append(parameter.clone())
            parameter.copy_(project(parameter))

    @torch.no_grad()
    def undo(self) -> None:
        """Put the weights of before :meth:`project` back.

        Raises:
            ValueError: if nothing is projected.
        """
        if not self._trained:
            raise ValueError("expected projected weights to undo, found none; project() first")
        for (layer, name, _), trained in zip(self._tensors, self._trained, strict=True):
            layer.get_parameter(name).copy_(trained)
        self._trained = []
