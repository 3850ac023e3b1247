"""Attaching a parametrisation to weights and biases, and taking it off again."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.utils import parametrize

from equiproj.baselines.layers import Layers, ProjectedTensor, projected_tensors


class Parametrised:
    """Parametrisations of the named layers of a module; ``remove`` undoes them.

    Checkpoints of an attached module hold the raw parameters (``torch.nn.utils.parametrize``), so they load into a
    module with the same attachment. Build the optimiser after attaching.

    Args:
        module: the network, changed in place.
        layers: name of each layer and its ``(rho_in, rho_out)``.
        build: the parametrisation for a given projection.

    Raises:
        ValueError: as :func:`~equiproj.baselines.layers.projected_tensors`; the module is then unchanged.

    Example:
        >>> from equiproj.baselines.strict import Projected
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho, layer = regular(CyclicGroup(2)), nn.Linear(2, 2)
        >>> attached = Parametrised(layer, {"": (rho, rho)}, Projected)
        >>> parametrize.is_parametrized(layer)
        True
        >>> attached.remove()
        >>> parametrize.is_parametrized(layer)
        False
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Layers,
        build: Callable[[Callable[[Tensor], Tensor]], nn.Module],
    ) -> None:
        self.module = module
        self.tensors: list[ProjectedTensor] = projected_tensors(module, layers)
        self.parametrisations: list[nn.Module] = [build(project) for _, _, project in self.tensors]
        for (layer, name, _), parametrisation in zip(self.tensors, self.parametrisations, strict=True):
            device = layer.get_parameter(name).device
            parametrize.register_parametrization(layer, name, parametrisation.to(device))

    def remove(self) -> None:
        """Take the parametrisations off; every weight keeps the value it has now."""
        for layer, name, _ in self.tensors:
            parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
