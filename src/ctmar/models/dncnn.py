"""A small residual network of plain convolutions (DnCNN-like), the network of the default study."""

from torch import Tensor, nn

from ctmar.errors import InputError
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation, regular, trivial

N_INPUT_IMAGES = 3  # ma_CT, LI_CT, mask


class DnCNN(nn.Module):
    r"""Residual correction of the LI image by ``depth`` convolutions.

    .. math::
        h_0 = (x_\mathrm{ma}, x_\mathrm{LI}, m), \quad
        h_l = \mathrm{ReLU}(W_l * h_{l-1} + b_l), \; l = 1, …, L-1, \quad
        \hat x = x_\mathrm{LI} + W_L * h_{L-1} + b_L

    Every kernel is 3 × 3 with zero padding and stride 1. Hidden layers have ``fields`` × ``group_order`` channels,
    read as ``fields`` copies of the regular representation; images carry the trivial one. ReLU and the residual sum
    commute with permutations of channels and with quarter turns of the pixels, and so does zero padding; the network
    therefore commutes with quarter turns exactly when every layer does. There is no normalisation: a per-channel
    affine map would commute only if its parameters were equal inside each field.

    Args:
        fields: fields of the hidden layers.
        depth: number of convolutions L.
        dilations: spacing of the kernel's pixels in each layer; 1 everywhere when left out.
        group_order: order of the group whose regular representation the hidden channels carry.

    Shape:
        input (n, 3, h, w): ma_CT and LI_CT on the scale of `ctmar.models.scaling`, mask; output (n, 1, h, w).

    Raises:
        InputError: fewer than two layers, no field, or a list of dilations of another length than ``depth``.

    References:
        Zhang et al., Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising, TIP 2017.
        Zhang et al., Learning deep CNN denoiser prior for image restoration, CVPR 2017 (dilations).

    Examples:
        >>> import torch
        >>> DnCNN(fields=2, depth=3)(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    def __init__(
        self, fields: int = 4, depth: int = 6, dilations: list[int] | None = None, group_order: int = 4
    ) -> None:
        super().__init__()
        if depth < 2 or fields < 1 or group_order < 1:
            found = f"{depth}, {fields}, {group_order}"
            raise InputError(f"network dncnn: expected depth ≥ 2, fields ≥ 1, group_order ≥ 1, found {found}")
        dilations = [1] * depth if dilations is None else list(dilations)
        if len(dilations) != depth or min(dilations) < 1:
            raise InputError(f"network dncnn: expected {depth} dilations ≥ 1, found {dilations}")
        self.n_hidden = fields * group_order
        widths = [N_INPUT_IMAGES, *[self.n_hidden] * (depth - 1), 1]
        layers = [
            nn.Conv2d(n_in, n_out, kernel_size=3, padding=dilation, dilation=dilation)
            for n_in, n_out, dilation in zip(widths[:-1], widths[1:], dilations, strict=True)
        ]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # a convolution made above has a bias
        # the untrained network is LI itself, so training starts from the baseline
        nn.init.zeros_(layers[-1].weight)
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return LI_CT plus the learned correction."""
        hidden = images
        for layer in self.layers[:-1]:
            hidden = layer(hidden).relu_()
        return images[:, 1:2] + self.layers[-1](hidden)

    def layer_types(self, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
        """Representation of the input and output channels of every convolution, by its name.

        Raises:
            InputError: the hidden channels are not a whole number of regular representations of ``group``.
        """
        if self.n_hidden % group.order:
            raise InputError(
                f"network dncnn: expected hidden channels in multiples of the group order {group.order},"
                f" found {self.n_hidden}"
            )
        hidden = (self.n_hidden // group.order) * regular(group)
        types = [N_INPUT_IMAGES * trivial(group), *[hidden] * (len(self.layers) - 1), trivial(group)]
        return {f"layers.{i}": (types[i], types[i + 1]) for i in range(len(self.layers))}
