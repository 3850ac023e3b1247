"""Strictly equivariant layers, and projection after training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from equiproj.baselines.parametrised import Parametrised
from equiproj.layers import LayerTypes, assign, plain_parameters


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

    Examples:
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

    def __init__(self, module: nn.Module, layers: LayerTypes) -> None:
        super().__init__(module, layers, Projected)


class Projected(nn.Module):
    """The parametrisation V ↦ P(V).

    Examples:
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

    Examples:
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

    def __init__(self, module: nn.Module, layers: LayerTypes) -> None:
        self._parameters = plain_parameters(module, layers)
        self._trained: list[Tensor] = []

    @torch.no_grad()
    def project(self) -> None:
        """Project every named layer in place.

        Raises:
            ValueError: if the layers are projected already.
        """
        if self._trained:
            raise ValueError("expected trained weights, found weights that are projected already; undo() first")
        for parameter in self._parameters:
            trained = parameter.read().clone()
            self._trained.append(trained)
            assign(parameter, parameter.projector(trained))

    @torch.no_grad()
    def undo(self) -> None:
        """Put the weights of before :meth:`project` back.

        Raises:
            ValueError: if nothing is projected.
        """
        if not self._trained:
            raise ValueError("expected projected weights to undo, found none; project() first")
        for parameter, trained in zip(self._parameters, self._trained, strict=True):
            assign(parameter, trained)
        self._trained = []
