"""Function-level sample-based regulariser (Elhag et al. 2024, "Relaxed Equivariance via Multitask Learning")."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from equiproj.groups import Group
from equiproj.representations import Representation
from equiproj.representations.action import act


def function_mismatch(
    module: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    group: Group,
    generator: torch.Generator,
    *,
    outputs: Tensor | None = None,
    rho_in: Representation | None = None,
    rho_out: Representation | None = None,
) -> Float[Tensor, ""]:
    """Equivariance error of a whole network for one random group element, mean over the batch of ‖f(g·x) − g·f(x)‖₂.

    To be weighted and added to the task loss; gradients flow through both terms.

    Args:
        module: the network f.
        inputs: its inputs, each ``(batch, channels, *pixels)`` or ``(batch, channels)``.
        group: the group to draw g from, by the Haar measure; with pixel axes it has to map the images onto themselves.
        generator: source of randomness, on the CPU.
        outputs: f(inputs) where it is known already, which saves one forward pass.
        rho_in: representation on the channels of every input; None where channels stay as they are.
        rho_out: representation on the channels of the output; None where channels stay as they are.

    Raises:
        ValueError: if channels do not fit, the group moves pixels between pixels, or the outputs do not move with
            the inputs.

    Reference:
        Elhag et al., Relaxed Equivariance via Multitask Learning, arXiv 2410.17878.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> seed = torch.Generator().manual_seed(0)
        >>> function_mismatch(torch.square, [image], CyclicGroup(4), seed).item()
        0.0
        >>> gradient_along_x = lambda x: x - torch.roll(x, 1, dims=-1)
        >>> function_mismatch(gradient_along_x, [image], CyclicGroup(4), seed).item() > 1
        True
    """
    (element,) = group.sample(1, generator)
    if outputs is None:
        outputs = module(*inputs)
    turned = module(*[act(batch, element, group, rho_in) for batch in inputs])
    expected = act(outputs, element, group, rho_out)
    if turned.shape != expected.shape:
        raise ValueError(
            f"expected outputs of shape {tuple(expected.shape)} for inputs moved by {element!r} of {group}, "
            f"found {tuple(turned.shape)}"
        )
    wide = torch.promote_types(turned.dtype, torch.float32)
    with torch.autocast(turned.device.type, enabled=False):
        difference = turned.to(wide) - expected.to(wide)
        return torch.linalg.vector_norm(difference.flatten(1), dim=1).mean()
