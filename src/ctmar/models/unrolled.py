"""The iteration that DICDNet, OSCNet and OSCNet+ share: they differ in where the artefact's filters come from."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ctmar.models import dictionaries
from ctmar.models.channels import channel_type, regular_type
from ctmar.models.learnt_proximal import ProximalNet, ProximalSettings, convolution_types, proximal_keys, proximal_nets
from ctmar.models.stages import STAGE_WEIGHT, StageOutputs, collect, image_step, on_published_scale
from ctmar.models.unrolled_checks import Declaration, check_field_size, check_unrolled, step_sizes
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation, trivial

Types = dict[str, tuple[Representation, Representation]]


class UnrolledDictionary(nn.Module, ABC):
    r"""Image and artefact by unrolled stages, with filters that all images share.

    The image is X, the artefact :math:`A = C * M` with filters C, found by S stages of

    .. math::
        M &← \mathrm{prox}_M\big(M - \tfrac{η_M}{10} C ⋆ (I ⊙ (A + X - Y))\big), \qquad A = C * M \\
        (X, Q) &← \mathrm{prox}_X\big(X + \tfrac{η_X}{10} I ⊙ (Y - A - X), Q\big)

    from the corrupted image Y, the mask I of what is not metal, and extra channels Q. The start is
    :math:`(X, Q) = \mathrm{prox}(X_\mathrm{LI}, C_q * X_\mathrm{LI})`, the first stage takes
    :math:`M = \mathrm{prox}_M(C_0 ⋆ \mathrm{ReLU}(I ⊙ (Y - X) - τ) / 10)`; a last prox-net refines (X, Q) once more.
    All images are on the scale of 255 per 1/cm inside.

    Symmetry: `layer_types` declares the prox-nets of M and X, which EQ-Reg regularises; with ``declare="all"`` every
    linear layer. With all of them projected, ``normalisation="field"``, and N_q and the maps whole fields, the network
    commutes with quarter turns. With N_q + 1 a multiple of the group order instead, the channels (X, Q) are all
    regular, as in EQ-Reg: every prox-net commutes by itself, the network cannot, as X is one channel of a field.
    """

    adaptive = False  # whether later stages make filters of their own
    PUBLISHED_KEYS = (
        *proximal_keys(r"proxNet_X_S\.(\d+)", r"image_nets.\1"),
        *proximal_keys(r"proxNet_X_(0)", "image_net_first"),
        *proximal_keys(r"proxNet_X_(last_layer)", "image_net_last"),
        *proximal_keys(r"proxNet_M_S\.(\d+)", r"map_nets.\1"),
        ("(K|C)0", "first_filters.weight"),
        ("(K|C)_q", "extra_filters.weight"),
        ("tau", "sparsity"),
        ("etaM_S", "map_steps"),
        ("etaX_S", "image_steps"),
    )

    def __init__(
        self,
        n_channels_of_maps: int,
        map_field: int,
        n_extra_channels: int,
        n_stages: int,
        settings: ProximalSettings,
        group_order: int,
        declare: Declaration,
    ) -> None:
        super().__init__()
        name, n_maps = type(self).__name__.lower(), n_channels_of_maps
        counts = (n_maps, map_field, n_extra_channels, n_stages, settings.n_blocks, group_order)
        check_unrolled(name, counts, settings.kernel_size, declare)
        self.name, self.n_extra, self.declare = name, n_extra_channels, declare
        self.field_size = group_order if settings.normalisation == "field" else None
        n_channels = 1 + n_extra_channels
        self.image_net_first = ProximalNet(n_channels, settings, group_order)
        self.image_nets = proximal_nets(n_stages, n_channels, settings, group_order)
        self.image_net_last = ProximalNet(n_channels, settings, group_order)
        self.map_nets = proximal_nets(n_stages, n_maps, settings, map_field, threshold=0.5)
        self.first_filters = dictionaries.filter_layer(dictionaries.gaussian_filters(n_maps))
        self.extra_filters = dictionaries.mean_filters(n_extra_channels)
        self.sparsity = nn.Parameter(torch.ones(1))
        self.map_steps, self.image_steps = step_sizes(n_stages - 1, 1.0), step_sizes(n_stages, 5.0)

    def forward(self, images: Tensor) -> Tensor:
        """Return the corrected image."""
        return self.stage_outputs(images).image

    @abstractmethod
    def filters(self, image: Tensor, corrupted: Tensor) -> Tensor:
        """Filters C for the images X so far: (1, N, s, s), or (n, N, s, s) if they differ from image to image."""

    def first_artefact(self, maps: Tensor, filters: Tensor) -> Tensor:
        """Artefact image of maps that new filters have not shaped yet: in the first stage, and after a change."""
        return dictionaries.synthesise(maps, filters)

    def stage_outputs(self, images: Tensor) -> StageOutputs:
        """All images and artefacts on the way, with their weights in the published loss."""
        measured = on_published_scale(images)
        corrupted, outside = measured.corrupted, measured.outside_metal
        features = torch.cat((measured.interpolated, self.extra_filters(measured.interpolated)), dim=1)
        features = self.image_net_first(features)
        image = features[:, :1]
        excess = torch.relu(outside * (corrupted - image) - self.sparsity)
        maps = self.map_nets[0](dictionaries.analyse(excess, self.first_filters.weight / 10))
        filters = self.filters(image, corrupted)
        artefact = self.first_artefact(maps, filters)
        seen, artefacts = [(STAGE_WEIGHT, image)], []
        for stage, image_net in enumerate(self.image_nets):
            if stage > 0:
                if self.adaptive and stage > 1:  # as published: the first two stages share their filters
                    filters = self.filters(image, corrupted)
                    artefact = self.first_artefact(maps, filters)
                gradient = dictionaries.analyse(outside * (artefact + image - corrupted), filters)
                maps = self.map_nets[stage](maps - self.map_steps[stage - 1] / 10 * gradient)
                artefact = dictionaries.synthesise(maps, filters)
            image = image_step(image, artefact, measured, self.image_steps[stage])
            features = image_net(torch.cat((image, features[:, 1:]), dim=1))
            image = features[:, :1]
            seen.append((STAGE_WEIGHT, image))
            artefacts.append((STAGE_WEIGHT, artefact))
        return collect(self.image_net_last(features)[:, :1], seen, artefacts)

    @abstractmethod
    def map_type(self, group: FiniteGroup) -> Representation:
        """Representation on the channels of M."""

    def filter_types(self, group: FiniteGroup) -> Types:
        """Types of the layers that make the filters C."""
        return {}

    def layer_types(self, group: FiniteGroup) -> Types:
        """Representation of the input and output channels of every declared layer, by its name.

        Raises:
            InputError: channels are not whole fields of ``group``.
        """
        check_field_size(self.name, self.field_size, group)
        maps, image = self.map_type(group), trivial(group)
        types = dict(convolution_types(self, "image_net", channel_type(1 + self.n_extra, group)))
        types |= convolution_types(self, "map_nets", maps)
        if self.declare == "proximal":
            return types
        extra = regular_type(self.n_extra, group, "n_extra_channels")
        types |= {"first_filters": (maps, image), "extra_filters": (image, extra)}
        return types | self.filter_types(group)
