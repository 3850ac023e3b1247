"""Attaching a parametrisation to weights and biases, and taking it off again."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.utils import parametrize

from equiproj.layers import LayerTypes, TypedParameter, plain_parameters


class Parametrised:
    """Parametrisations of the named layers of a module; ``remove`` undoes them.

    Checkpoints of an attached module hold the raw parameters (``torch.nn.utils.parametrize``), so they load into a
    module with the same attachment. Build the optimiser after attaching.

    Args:
        module: the network, changed in place.
        layers: name of each layer and its ``(rho_in, rho_out)``.
        build: the parametrisation for a given projection.

    Raises:
        ValueError: as :func:`~equiproj.layers.plain_parameters`; the module is then unchanged.

    Examples:
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
        layers: LayerTypes,
        build: Callable[[Callable[[Tensor], Tensor]], nn.Module],
    ) -> None:
        self.module = module
        self.parameters: list[TypedParameter] = plain_parameters(module, layers)
        self.parametrisations: list[nn.Module] = [build(entry.project) for entry in self.parameters]
        for entry, parametrisation in zip(self.parameters, self.parametrisations, strict=True):
            device = entry.layer.get_parameter(entry.attribute).device
            parametrize.register_parametrization(entry.layer, entry.attribute, parametrisation.to(device))

    def remove(self) -> None:
        """Take the parametrisations off; every weight keeps the value it has now."""
        for entry in self.parameters:
            parametrize.remove_parametrizations(entry.layer, entry.attribute, leave_parametrized=True)
