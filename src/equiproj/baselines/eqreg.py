"""EQ-Reg: feature-level sample-based regulariser (Bai et al., CVPR 2025, arXiv 2505.19799)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equiproj.baselines.augmentation import check_image_batches
from equiproj.groups import FiniteGroup
from equiproj.groups.group import Element
from equiproj.layers import LayerTypes, named_layer
from equiproj.representations import Representation
from equiproj.representations.action import act, apply_channel_move, apply_pixel_move, channel_move, pixel_move


def feature_mismatch(
    features: Float[Tensor, "doubled channels *pixels"],
    element: Element,
    group: FiniteGroup,
    rho_out: Representation,
) -> Float[Tensor, ""]:
    """Equivariance error of a feature map over a doubled batch, ‖g·z₀ − ρ_out(g)⁻¹ z₁‖₂ (not squared).

    z₀ is the feature map of the batch, z₁ that of the turned batch; g· moves pixels only. For regular channels
    of C_n and a turn by k places, ρ_out(g)⁻¹ is the cyclic shift of every field by k places to the left.

    Args:
        features: z₀ and z₁, stacked along the batch axis.
        element: the element g that moved the inputs of the second half.
        group: the group of ``element``.
        rho_out: representation on the channels.

    Raises:
        ValueError: if the batch size is odd, the channels do not fit, or g does not move pixels onto pixels.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> features = torch.tensor([[3.0, 0.0], [4.0, 0.0]]).reshape(2, 2, 1, 1)
        >>> feature_mismatch(features, 1, CyclicGroup(2), regular(CyclicGroup(2))).item()
        5.0
    """
    pixels = pixel_move(element, group, features.ndim - 2) if features.ndim > 2 else ([], [])
    return _mismatch(features, pixels, channel_move(group.inverse(element), rho_out, features.device))


def _mismatch(features: Tensor, pixels: tuple[list[int], list[int]], channels: Tensor) -> Tensor:
    """The same, with g· and ρ_out(g)⁻¹ as indices: nothing but torch's operations, so that it compiles."""
    if features.shape[0] % 2:
        raise ValueError(f"expected a doubled batch, found batch size {features.shape[0]}")
    # In half precision the difference of two close feature maps keeps few digits, and the sum of its squares over a
    # whole batch overflows.
    wide = torch.promote_types(features.dtype, torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        original, turned = features.to(wide).chunk(2)
        difference = apply_pixel_move(original, *pixels) - apply_channel_move(turned, channels)
        return torch.linalg.vector_norm(difference)


class EQReg:
    """EQ-Reg attached to the layers of a module by forward hooks.

    Every step draws one group element g, doubles the batch with its moved copy, and adds per layer the
    :func:`feature_mismatch` of its output. The task loss is taken on both halves, so augmentation is built in.
    Layers called several times in one forward pass count every call. ``terms`` holds the value of each layer.

    Args:
        module: the network; it is not changed, only hooked.
        group: a finite group that maps the images onto themselves.
        layers: name of each regularised layer and its ``(rho_in, rho_out)``.

    Raises:
        ValueError: if there are no layers, a name is not in the module, or a representation is of another group.

    Reference:
        Bai, Fu, Xie & Meng, A Regularization-Guided Equivariant Approach for Image Restoration, CVPR 2025.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> group = CyclicGroup(4)
        >>> network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1))
        >>> eqreg = EQReg(network, group, {"0": (trivial(group), 2 * regular(group))})
        >>> (images,) = eqreg.double(torch.randn(2, 1, 6, 6), generator=torch.Generator().manual_seed(0))
        >>> outputs = network(images)
        >>> outputs.shape[0], eqreg.penalty().shape
        (4, torch.Size([]))
        >>> eqreg.remove()
    """

    def __init__(self, module: nn.Module, group: FiniteGroup, layers: LayerTypes) -> None:
        if not layers:
            raise ValueError("expected at least one layer to regularise, found none")
        for name, (_, rho_out) in layers.items():
            named_layer(module, name)
            if rho_out.group != group:
                raise ValueError(f"layer {name!r}: expected a representation of {group}, found {rho_out}")
        self.group, self.layers = group, dict(layers)
        self.terms: dict[str, Tensor] = {}
        # How the drawn element moves features: pixels by their number of axes, channels by layer. None between steps.
        self._pixels: dict[int, tuple[list[int], list[int]]] | None = None
        self._channels: dict[str, Tensor] = {}
        self._handles = [
            named_layer(module, name).register_forward_hook(partial(self._record, name)) for name in layers
        ]

    def double(self, *batches: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw g and append g·batch to each batch: inputs, targets, masks, … in one call.

        Args:
            batches: image batches of one batch size whose channels stay as they are.
            generator: source of randomness, on the CPU.

        Raises:
            ValueError: if batch sizes differ or the group changes the shape of the images.
        """
        check_image_batches(batches, self.group)
        (element,) = self.group.sample(1, generator)
        turned = [act(batch, element, self.group) for batch in batches]
        n_axes, device, inverse = batches[0].ndim - 2, batches[0].device, self.group.inverse(element)
        self.terms = {}
        self._pixels = {0: ([], []), n_axes: pixel_move(element, self.group, n_axes)}
        self._channels = {name: channel_move(inverse, rho_out, device) for name, (_, rho_out) in self.layers.items()}
        return tuple(torch.cat(pair) for pair in zip(batches, turned, strict=True))

    def penalty(self) -> Float[Tensor, ""]:
        """Sum over layers for the forward pass since :meth:`double`; recording stops until the next one.

        Raises:
            ValueError: if the module has not run on a doubled batch, or a layer took no part.
        """
        missing = [name for name in self.layers if name not in self.terms]
        if missing:
            raise ValueError(f"expected a forward pass on a doubled batch through every layer, not run: {missing}")
        self._pixels = None
        return torch.stack(list(self.terms.values())).sum()

    def remove(self) -> None:
        """Detach from the module."""
        for handle in self._handles:
            handle.remove()

    def _record(self, name: str, layer: nn.Module, inputs: Any, output: Tensor) -> None:
        if self._pixels is None:
            return
        n_axes = output.ndim - 2
        if n_axes not in self._pixels:
            raise ValueError(f"layer {name!r}: expected features with {max(self._pixels)} pixel axes, found {n_axes}")
        try:
            term = _mismatch(output, self._pixels[n_axes], self._channels[name])
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        self.terms[name] = self.terms[name] + term if name in self.terms else term
