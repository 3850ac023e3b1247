"""The defect of a network measured on images."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equiproj.groups import FiniteGroup, Group
from equiproj.groups.group import Element
from equiproj.representations import Representation
from equiproj.representations.action import act


class MeasuredDefect(NamedTuple):
    """Largest and mean relative defect over the group elements other than the identity.

    Examples:
        >>> MeasuredDefect(maximum=0.5, mean=0.25).mean
        0.25
    """

    maximum: float
    mean: float


@torch.no_grad()
def measured_defect(
    module: nn.Module,
    batch: Float[Tensor, "n c h w"],
    group: Group,
    rho_in: Representation | None = None,
    rho_out: Representation | None = None,
) -> MeasuredDefect:
    """‖f(g·x) − g·f(x)‖ / ‖f(x)‖ in evaluation mode, norms over the whole batch; maximum and mean over g ≠ e.

    g acts on images as by :func:`~equiproj.representations.action.act`. An output of two axes (n, features) is compared
    under ρ_out alone. Training mode is restored for every submodule.

    Args:
        module: maps images (n, c, h, w) to images (n, c', h', w') or features (n, c').
        batch: images.
        group: finite group that moves pixels onto pixels, such as C_2, C_4, D_1, D_2 and D_4.
        rho_in: representation on the input channels; None: trivial.
        rho_out: representation on the output channels; None: trivial.

    Raises:
        ValueError: a group without such elements, or an output of other axes.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> measured_defect(nn.ReLU(), torch.randn(2, 1, 8, 8), CyclicGroup(4))
        MeasuredDefect(maximum=0.0, mean=0.0)
    """
    if not isinstance(group, FiniteGroup) or group.order == 1:
        raise ValueError(f"expected a finite group with more elements than the identity, found {group}")
    training = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        reference = module(batch)
        ratios = [
            _relative(module(_act(g, group, batch, rho_in)), _act(g, group, reference, rho_out))
            for g in group.elements[1:]
        ]
    finally:
        for layer, mode in training.items():
            layer.training = mode
    values = torch.stack(ratios).tolist()
    return MeasuredDefect(max(values), math.fsum(values) / len(values))


def _relative(found: Tensor, expected: Tensor) -> Tensor:
    """The action keeps lengths, so the turned output stands for the output."""
    if found.shape != expected.shape:
        raise ValueError(
            f"expected outputs of one shape, found {tuple(found.shape)} and {tuple(expected.shape)} turned"
        )
    defect = torch.linalg.vector_norm(found.float() - expected.float())
    return torch.where(defect > 0, defect / torch.linalg.vector_norm(expected.float()), 0.0)


def _act(g: Element, group: FiniteGroup, features: Any, rho: Representation | None) -> Tensor:
    if not isinstance(features, Tensor) or features.ndim not in (2, 4):
        found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"expected images (n, c, h, w) or features (n, c), found {found}")
    return act(features, g, group, rho)
