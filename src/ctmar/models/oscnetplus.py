"""OSCNet+: OSCNet with coefficients that depend on the image (TMI 2023)."""

import math

import torch
from torch import Tensor, nn

from ctmar.errors import InputError
from ctmar.models import dictionaries
from ctmar.models.channels import orientation_type
from ctmar.models.fourier_filters import turned_fourier_basis
from ctmar.models.learnt_proximal import ProximalSettings
from ctmar.models.normalisation import Normalisation
from ctmar.models.unrolled import Types, UnrolledDictionary
from ctmar.models.unrolled_checks import Declaration
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation, trivial

_N_HIDDEN = 6  # channels of the coefficient net, as published


class CoefficientNet(nn.Module):
    r"""Coefficients from two images: :math:`w = \mathrm{ReLU}(W \, \mathrm{mean}(V_3 * V_2 * V_1 * (X, Y)))`.

    The mean is over pixels; every row w_m is divided by its Euclidean norm + 1e-6. The mean of a convolution with
    isotropic kernels does not change when the images turn.

    Args:
        n_maps: rows m.
        n_functions: basis functions j.
    """

    def __init__(self, n_maps: int, n_functions: int) -> None:
        super().__init__()
        self.n_maps = n_maps
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(n_in, _N_HIDDEN, kernel_size=3, padding=1) for n_in in (2, _N_HIDDEN, _N_HIDDEN))
        )
        self.output = nn.Linear(_N_HIDDEN, n_maps * n_functions)

    def forward(self, image: Tensor, corrupted: Tensor) -> Tensor:
        """Return w (n, N_m, n_functions), in float32 under autocast: one number decides about a whole image."""
        with torch.autocast(image.device.type, enabled=False):
            features = self.convolutions(torch.cat((image, corrupted), dim=1)).mean(dim=(2, 3))
            rows = torch.relu(self.output(features)).unflatten(1, (self.n_maps, -1))
            return rows / (torch.linalg.vector_norm(rows, dim=2, keepdim=True) + 1e-6)


class OSCNetPlus(UnrolledDictionary):
    r"""OSCNet whose coefficients are made for every image, and anew after every stage but the first.

    .. math::
        C_{m,r}(x) = \tfrac{1}{δ} \sum_j w_{mj}(X, Y) B_j(R_{2πr/n} x), \qquad A = C * M

    with w from `CoefficientNet`. The map step after new filters takes their artefact :math:`C * M + c` with a learnt
    constant c, and so does the image step of the first stage.

    Args:
        filter_divisor: δ, which slows the filters down.
        n_maps: filters N_m before turning.
        n_rotations: orientations n; a multiple of the group order.
        n_extra_channels: extra channels N_q beside X.
        n_stages: stages S.
        n_blocks: residual blocks of a prox-net.
        kernel_size: side of their kernels, pixels.
        n_frequencies: frequencies per axis of the Fourier series.
        group_order: channels of a regular field of (X, Q).
        normalisation: "batch" as published, or "field", shared within fields (of M: over its n orientations).
        declare: layers that `layer_types` names: "proximal" or "all".

    Shape:
        input (n, 3, h, w): ma_CT, LI_CT on the scale of `ctmar.models.scaling`, mask; output (n, 1, h, w).

    Raises:
        InputError: a number below 1, a filter_divisor not above 0, an even kernel, or channels that do not fit
            ``normalisation="field"``.

    References:
        Wang et al., OSCNet: orientation-shared convolutional network for CT metal artifact learning, TMI 2023.

    Examples:
        >>> sum(parameter.numel() for parameter in OSCNetPlus().parameters())
        1276215
    """

    adaptive = True
    PUBLISHED_KEYS = (
        *UnrolledDictionary.PUBLISHED_KEYS,
        (r"fcnn\.Basis", "basis"),
        (r"fcnn\.wnet\.conv1\.(.+)", r"coefficients.convolutions.0.\1"),
        (r"fcnn\.wnet\.conv2\.(.+)", r"coefficients.convolutions.1.\1"),
        (r"fcnn\.wnet\.conv3\.(.+)", r"coefficients.convolutions.2.\1"),
        (r"fcnn\.wnet\.f1\.(.+)", r"coefficients.output.\1"),
        (r"fcnn\.c", "constant"),
    )

    def __init__(
        self,
        filter_divisor: float = 10.0,
        n_maps: int = 4,
        n_rotations: int = 8,
        n_extra_channels: int = 32,
        n_stages: int = 10,
        n_blocks: int = 3,
        kernel_size: int = 3,
        n_frequencies: int = 5,
        group_order: int = 4,
        normalisation: Normalisation = "batch",
        declare: Declaration = "proximal",
    ) -> None:
        if not 0 < filter_divisor < math.inf:
            raise InputError(f"network oscnetplus: expected a finite filter_divisor above 0, found {filter_divisor}")
        settings = ProximalSettings(n_blocks, kernel_size, normalisation)
        n_channels = n_maps * n_rotations
        super().__init__(n_channels, n_rotations, n_extra_channels, n_stages, settings, group_order, declare)
        self.n_maps, self.n_rotations, self.filter_divisor = n_maps, n_rotations, filter_divisor
        basis, _ = turned_fourier_basis(dictionaries.FILTER_SIZE, n_frequencies, n_rotations)
        self.register_buffer("basis", basis)
        self.basis: Tensor
        self.coefficients = CoefficientNet(n_maps, basis.shape[-1])
        self.constant = nn.Parameter(torch.zeros(1, 1, 1, 1))

    def filters(self, image: Tensor, corrupted: Tensor) -> Tensor:
        """Filters of each image, (n, N_m n_rotations, s, s)."""
        coefficients = self.coefficients(image, corrupted) / self.filter_divisor
        return torch.einsum("xyrj,bmj->bmrxy", self.basis, coefficients).flatten(1, 2)

    def first_artefact(self, maps: Tensor, filters: Tensor) -> Tensor:
        """C * M + c."""
        return super().first_artefact(maps, filters) + self.constant

    def map_type(self, group: FiniteGroup) -> Representation:
        """Orientations of every map."""
        return orientation_type(self.n_maps, self.n_rotations, group)

    def filter_types(self, group: FiniteGroup) -> Types:
        """The coefficient net's convolutions see images and keep them so: invariant in every channel."""
        sizes = (2, _N_HIDDEN, _N_HIDDEN, _N_HIDDEN)
        return {
            f"coefficients.convolutions.{i}": (sizes[i] * trivial(group), sizes[i + 1] * trivial(group))
            for i in range(3)
        }
