"""OSCNet: the orientation-shared convolutional network (MICCAI 2022)."""

import math

import torch
from torch import Tensor, nn

from ctmar.models import dictionaries
from ctmar.models.channels import orientation_type
from ctmar.models.fourier_filters import turned_fourier_basis
from ctmar.models.learnt_proximal import ProximalSettings
from ctmar.models.normalisation import Normalisation
from ctmar.models.unrolled import UnrolledDictionary
from ctmar.models.unrolled_checks import Declaration
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation


class OSCNet(UnrolledDictionary):
    r"""The iteration of `UnrolledDictionary` with filters that are turned copies of a few.

    .. math::
        C_{m,r}(x) = \sum_j w_{mj} B_j(R_{2πr/n} x), \quad m = 1, …, N_m, \; r = 0, …, n - 1,
        \qquad A = C * M

    with the Fourier basis of `fourier_filters.turned_fourier_basis`; the artefact of the first stage has a learnt
    constant c added. Channel (m, r) of M is map m at orientation r: a turn by 2π/n raises r by one, so C commutes
    with quarter turns by construction when n is a multiple of 4.

    Args:
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
        InputError: a number below 1, an even kernel, or channels that do not fit ``normalisation="field"``.

    References:
        Wang et al., Orientation-shared convolution representation for CT metal artifact learning, MICCAI 2022.
        Xie et al., Fourier series expansion based filter parametrization for equivariant convolutions, TPAMI 2022.

    Examples:
        >>> sum(parameter.numel() for parameter in OSCNet().parameters())
        1274841
    """

    PUBLISHED_KEYS = (
        *UnrolledDictionary.PUBLISHED_KEYS,
        (r"fcnn\.Basis", "basis"),
        (r"fcnn\.weights", "coefficients"),
        (r"fcnn\.c", "constant"),
    )

    def __init__(
        self,
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
        settings = ProximalSettings(n_blocks, kernel_size, normalisation)
        n_channels = n_maps * n_rotations
        super().__init__(n_channels, n_rotations, n_extra_channels, n_stages, settings, group_order, declare)
        self.n_maps, self.n_rotations = n_maps, n_rotations
        basis, emphasis = turned_fourier_basis(dictionaries.FILTER_SIZE, n_frequencies, n_rotations)
        self.register_buffer("basis", basis)
        self.basis: Tensor
        # uniform with the variance of He et al. for one input image, as published
        limit = math.sqrt(6 / len(emphasis)) * emphasis
        self.coefficients = nn.Parameter((2 * torch.rand(n_maps, 1, 1, len(emphasis)) - 1) * limit)
        self.constant = nn.Parameter(torch.zeros(1, 1, 1, 1))

    def filters(self, image: Tensor, corrupted: Tensor) -> Tensor:
        """The same filters for all images, (1, N_m n, s, s)."""
        return torch.einsum("xyrj,mj->mrxy", self.basis, self.coefficients[:, 0, 0]).flatten(0, 1)[None]

    def first_artefact(self, maps: Tensor, filters: Tensor) -> Tensor:
        """C * M + c."""
        return super().first_artefact(maps, filters) + self.constant

    def map_type(self, group: FiniteGroup) -> Representation:
        """Orientations of every map."""
        return orientation_type(self.n_maps, self.n_rotations, group)

    def published_derived(self) -> dict[str, Tensor]:
        """Entries that the authors' evaluation mode adds to a state dictionary, as they follow from the others."""
        filters = self.filters(self.basis, self.basis)
        return {"fcnn.filter": filters, "fcnn.bias": self.constant}
