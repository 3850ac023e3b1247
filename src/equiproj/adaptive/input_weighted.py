"""The penalty measured in what it does to a layer's outputs: ‖(W − P(W)) Σ^½‖_F."""

from collections.abc import Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from equiproj.adaptive.input_covariance import input_covariances, power_of
from equiproj.groups import Group
from equiproj.layers import Declaration, typed_parameters
from equiproj.norms import matrix_norm
from equiproj.regularisers.bundles import as_matrices
from equiproj.regularisers.checks import Power, non_negative, one_or_two
from equiproj.regularisers.copies import CopiedWithNetwork
from equiproj.regularisers.module_tree import ModuleTree


class InputWeightedPenalty(CopiedWithNetwork):
    """Σ_l λ_l ‖(W_l − P(W_l)) Σ_l^½‖_F^power, a scalar to add to a loss; Σ_l is that of `input_covariances`.

    ‖R Σ^½‖_F² = E‖R x‖²: entries that no input reaches cost nothing, and those that many inputs reach cost much. For
    Σ = 1 it is the Frobenius norm. Σ is measured once, when the penalty is built, at the weights that the module has
    then.

    Args:
        module: any module with linear layers or convolutions; other weights are left out.
        group: the group, where `layers=` does not give representations.
        batches: as for `input_covariances`.
        weight_perpendicular: λ_⊥ ≥ 0, for all weights or by their names.
        power: 1 or 2.
        shrinkage: as for `input_covariances`.
        declaration: as for `typed_parameters`.

    Raises:
        ValueError: as `input_covariances`; a weight that is negative or missing, or a power that is not 1 or 2.

    References:
        docs/derivation.md, equation 9.11. Zellner's g-prior has this form.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> layer, inputs = nn.Linear(2, 1, bias=False), 2 * torch.eye(2)
        >>> layer.weight.data = torch.tensor([[1.0, 3.0]])
        >>> penalty = InputWeightedPenalty(
        ...     layer, CyclicGroup(2), batches=[inputs], shrinkage=0.0, input_type="regular", power=2
        ... )
        >>> round(penalty().item(), 4)  # twice ‖(−1, 1)‖²
        4.0
    """

    def __init__(
        self,
        module: nn.Module,
        group: Group | str | None = None,
        *,
        batches: Any,
        weight_perpendicular: float | Mapping[str, float] = 1.0,
        power: Power = 2,
        shrinkage: float = 0.1,
        **declaration: Unpack[Declaration],
    ) -> None:
        self.power = one_or_two(power)
        self._network, self._tree = module, ModuleTree(module)
        self.covariances = input_covariances(module, group, batches=batches, shrinkage=shrinkage, **declaration)
        self._roots = {name: power_of(covariance, 0.5) for name, covariance in self.covariances.items()}
        self._typed = [e for e in typed_parameters(module, group, **declaration) if e.name in self._roots]
        weights = weight_perpendicular
        if not isinstance(weights, Mapping):
            weights = dict.fromkeys(self._roots, weights)
        missing = [name for name in self._roots if name not in weights]
        if missing:
            raise ValueError(f"expected weight_perpendicular to name {', '.join(missing)}; found {', '.join(weights)}")
        self.weight_perpendicular = {
            name: non_negative(f"weight_perpendicular[{name!r}]", weights[name]) for name in self._roots
        }

    def __call__(self) -> Tensor:
        """The penalty.

        Raises:
            RuntimeError: a module of the network is another one than when the penalty was built, or there are more; or
                this is a copy, and the network was not copied with it.
        """
        self._tree.check("penalty")
        terms = []
        for entry in self._typed:
            weight = entry.read()
            rest = as_matrices((weight - entry.projector(weight))[None], entry.projector)[0]
            norm = matrix_norm(rest @ self._roots[entry.name].to(rest), "frobenius")
            terms.append(self.weight_perpendicular[entry.name] * norm**self.power)
        return torch.stack(terms).sum()
