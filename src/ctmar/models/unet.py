"""A residual U-Net of plain convolutions that can commute with quarter turns as a whole."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from ctmar.errors import InputError
from ctmar.models.channels import regular_type
from ctmar.models.normalisation import Normalisation, make_normalisation
from ctmar.models.unrolled_checks import check_field_size
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation, trivial

N_INPUT_IMAGES = 3  # ma_CT, LI_CT, mask


class UNet(nn.Module):
    r"""Residual correction of the LI image on ``levels`` scales, each half the one before.

    .. math::
        e_0 &= B(x_\mathrm{ma}, x_\mathrm{LI}, m), \quad e_l = B({\downarrow} e_{l-1}), \; l = 1, …, L - 1 \\
        d_{L-1} &= e_{L-1}, \quad d_l = B(e_l, {\uparrow} d_{l+1}), \qquad \hat x = x_\mathrm{LI} + W * d_0 + b

    with B = (ReLU ∘ N ∘ 3 × 3 convolution) twice, ↓ the mean over 2 × 2 pixels and ↑ repetition of every pixel; level l
    has ``fields`` · 2^l regular fields of ``group_order`` channels. ↓ and ↑ commute with quarter turns, unlike strided
    convolutions, whose sampled pixels are not turned onto each other.

    Images of any size are padded with zeros to the next multiples of 2^(L−1), as evenly on both sides as possible, and
    cut back. The network therefore commutes with quarter turns, once its layers do and N is "field", exactly for
    images whose height and width are even (with one level: for all); an odd side is padded one pixel more at its end.

    Args:
        fields: regular fields of the first level.
        levels: scales L.
        group_order: channels of a field.
        normalisation: "field", shared within fields, or "batch", which does not commute.

    Shape:
        input (n, 3, h, w): ma_CT and LI_CT on the scale of `ctmar.models.scaling`, mask; output (n, 1, h, w).

    Raises:
        InputError: a number below 1.

    References:
        Ronneberger, Fischer & Brox, U-Net: convolutional networks for biomedical image segmentation, MICCAI 2015.

    Examples:
        >>> UNet(fields=1, levels=2)(torch.zeros(1, 3, 10, 6)).shape
        torch.Size([1, 1, 10, 6])
    """

    def __init__(
        self, fields: int = 4, levels: int = 4, group_order: int = 4, normalisation: Normalisation = "field"
    ) -> None:
        super().__init__()
        if min(fields, levels, group_order) < 1:
            found = f"{fields}, {levels}, {group_order}"
            raise InputError(f"network unet: expected fields, levels and group_order of at least 1, found {found}")
        self.field_size = group_order if normalisation == "field" else None
        widths = [fields * group_order * 2**level for level in range(levels)]
        pairs = list(pairwise(widths))
        self.encoder = nn.ModuleList(
            _block(n_in, n_out, normalisation, group_order) for n_in, n_out in [(N_INPUT_IMAGES, widths[0]), *pairs]
        )
        self.decoder = nn.ModuleList(
            _block(upper + lower, upper, normalisation, group_order) for upper, lower in reversed(pairs)
        )
        self.output = nn.Conv2d(widths[0], 1, kernel_size=3, padding=1)
        # the untrained network is LI itself, so training starts from the baseline
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]  # a convolution made above has a bias

    def forward(self, images: Tensor) -> Tensor:
        """Return LI_CT plus the learned correction."""
        height, width = images.shape[-2:]
        (top, bottom), (left, right) = self._padding(height), self._padding(width)
        features = pad(images, (left, right, top, bottom))
        skipped = []
        for level, block in enumerate(self.encoder):
            features = block(avg_pool2d(features, 2) if level else features)
            skipped.append(features)
        for block, skip in zip(self.decoder, reversed(skipped[:-1]), strict=True):
            features = block(torch.cat((skip, interpolate(features, scale_factor=2.0, mode="nearest")), dim=1))
        return images[:, 1:2] + self.output(features)[..., top : top + height, left : left + width]

    def _padding(self, size: int) -> tuple[int, int]:
        missing = -size % 2 ** (len(self.encoder) - 1)
        return missing // 2, missing - missing // 2

    def layer_types(self, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
        """Representation of the input and output channels of every convolution, by its name.

        Raises:
            InputError: the channels are not whole fields of ``group``.
        """
        check_field_size("unet", self.field_size, group)
        layers = {name: layer for name, layer in self.named_modules() if isinstance(layer, nn.Conv2d)}
        return {
            name: (
                regular_type(layer.in_channels, group, "channels") if name != "encoder.0.0" else _images(group),
                regular_type(layer.out_channels, group, "channels") if name != "output" else trivial(group),
            )
            for name, layer in layers.items()
        }


def _images(group: FiniteGroup) -> Representation:
    return N_INPUT_IMAGES * trivial(group)


def _block(n_in: int, n_out: int, normalisation: Normalisation, group_order: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_channels in (n_in, n_out):
        # the normalisation has a shift of its own
        convolution = nn.Conv2d(n_channels, n_out, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, make_normalisation(normalisation, n_out, group_order), nn.ReLU()]
    return nn.Sequential(*layers)
