"""ACDNet: the adaptive convolutional dictionary network (IJCAI 2022)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ctmar.models import dictionaries
from ctmar.models.channels import channel_type, regular_type
from ctmar.models.learnt_proximal import ProximalNet, ProximalSettings, convolution_types, proximal_keys, proximal_nets
from ctmar.models.normalisation import Normalisation
from ctmar.models.stages import (
    LAST_WEIGHT,
    STAGE_WEIGHT,
    ScannedImages,
    StageOutputs,
    Weighted,
    collect,
    image_step,
    on_published_scale,
)
from ctmar.models.unrolled_checks import Declaration, check_field_size, check_unrolled, step_sizes
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation, tensor_product, trivial


class State(NamedTuple):
    """Variables of the iteration: X and P (n, 1 + N_p, h, w), M (n, N, h, w), A (n, 1, h, w)."""

    features: Tensor
    maps: Tensor
    artefact: Tensor


class KernelNet(nn.Module):
    r"""Proximal operator of the weights K (n, N, d).

    K ← ReLU(K + W₂ ReLU(W₁ K)) on all N·d numbers, then every row is divided by its Euclidean norm + 1e-6.

    ``threshold`` is part of the published state dictionaries and counts, but of no equation: it gets no gradient.
    """

    def __init__(self, n_maps: int, n_atoms: int) -> None:
        super().__init__()
        n_weights = n_maps * n_atoms
        self.layers = nn.Sequential(nn.Linear(n_weights, n_weights), nn.ReLU(), nn.Linear(n_weights, n_weights))
        self.threshold = nn.Parameter(torch.full((1, n_maps, n_atoms), 0.1))

    def forward(self, weights: Tensor) -> Tensor:
        """Map K to the same shape; float32 even under autocast, for K begins as a sum over a whole image."""
        with torch.autocast(weights.device.type, enabled=False):
            flat = weights.flatten(1)
            rows = torch.relu(flat + self.layers(flat)).unflatten(1, weights.shape[1:])
            return rows / (torch.linalg.vector_norm(rows, dim=2, keepdim=True) + 1e-6)


class ACDNet(nn.Module):
    r"""Image and artefact by unrolled stages, with filters made for each image.

    The image is X, the artefact :math:`A = \sum_n C_n * M_n` with filters from a shared dictionary,
    :math:`C_n = \sum_e K_{ne} D_e / 10`, found by T stages of

    .. math::
        K &← \mathrm{prox}_K\big(K + \tfrac{η_K}{50 h w} ⟨D_e * M_n / 10, R⟩\big), \quad R = I ⊙ (Y - X - A) \\
        M &← \mathrm{prox}_M\big(M + \tfrac{η_M}{10} C ⋆ R\big), \qquad A = C * M \\
        (X, P) &← \mathrm{prox}_X\big(X + \tfrac{η_X}{10} I ⊙ (Y - A - X), P\big)

    from the corrupted image Y, the mask I of what is not metal, and extra channels P. Before them, two stages with a
    fixed dictionary D₀/10 in place of C start from :math:`(X, P) = \mathrm{prox}(X_\mathrm{LI}, C_p * X_\mathrm{LI})`,
    :math:`M = \mathrm{prox}_M(D_0 ⋆ \mathrm{ReLU}(I ⊙ (Y - X) - τ) / 10)` and end with
    :math:`M ← W_2 * W_1 * \mathrm{ReLU}(M)`; the first K is :math:`\mathrm{prox}_K(⟨D_e * M_n / 10, I ⊙ (Y - X)⟩)`.
    A last prox-net refines (X, P) once more. All images are on the scale of 255 per 1/cm inside.

    Symmetry: `layer_types` declares the prox-nets of X, the layers that EQ-Reg regularises, or with ``declare="all"``
    every linear layer: prox-nets of M, K, the dictionaries and the filters of P too. With all of them projected,
    ``normalisation="field"``, and N, d and N_p multiples of the group order, the whole network commutes with quarter
    turns; each part does so alone otherwise. With N_p + 1 a multiple, all channels (X, P) are regular fields as in
    EQ-Reg: each prox-net of X then commutes, but the network cannot, because X is read off one channel of a field.

    Args:
        n_stages: stages T.
        n_maps: maps and filters of an image, N.
        n_extra_channels: extra channels N_p beside X.
        n_atoms: filters d of the dictionary.
        n_blocks: residual blocks of a prox-net.
        kernel_size: side of their kernels, pixels.
        group_order: channels of a regular field.
        normalisation: "batch" as published, or "field", shared within fields.
        declare: layers that `layer_types` names: "proximal" or "all".

    Shape:
        input (n, 3, h, w): ma_CT, LI_CT on the scale of `ctmar.models.scaling`, mask; output (n, 1, h, w).

    Raises:
        InputError: a number below 1, an even kernel, or channels that do not fit ``normalisation="field"``.

    References:
        Wang, Li, Meng & Zheng, Adaptive convolutional dictionary network for CT metal artifact reduction, IJCAI 2022.
        Bai et al., A regularization-guided equivariant approach for image restoration, CVPR 2025 (which layers).

    Examples:
        >>> sum(parameter.numel() for parameter in ACDNet().parameters())
        1602809
    """

    PUBLISHED_KEYS = (
        *proximal_keys(r"proxNet_X_T\.(\d+)", r"image_nets.\1"),
        *proximal_keys(r"proxNet_X_init\.(\d+)", r"image_nets_fixed.\1"),
        *proximal_keys(r"proxNet_X_(0)", "image_net_first"),
        *proximal_keys(r"proxNet_X_(last_layer)", "image_net_last"),
        *proximal_keys(r"proxNet_M_T\.(\d+)", r"map_nets.\1"),
        *proximal_keys(r"proxNet_M_init\.(\d+)", r"map_nets_fixed.\1"),
        (r"proxNet_K_T\.(\d+)\.layer\.0\.(.+)", r"kernel_nets.\1.layers.\2"),
        (r"proxNet_K_T\.(\d+)\.tau", r"kernel_nets.\1.threshold"),
        ("D", "atoms.weight"),
        ("D0", "fixed_filters.weight"),
        ("Cp", "extra_filters.weight"),
        ("convert_conv_layer1", "map_conversions.0.weight"),
        ("convert_conv_layer2", "map_conversions.1.weight"),
        ("tau", "sparsity"),
        ("tau_extend", "unused_sparsity"),
        ("eta1_T", "map_steps"),
        ("eta2_T", "image_steps"),
        ("eta3_T", "kernel_steps"),
        ("etaM_nonK", "map_step_fixed"),
        ("etaX_nonK", "image_steps_fixed"),
    )

    def __init__(
        self,
        n_stages: int = 10,
        n_maps: int = 6,
        n_extra_channels: int = 32,
        n_atoms: int = 32,
        n_blocks: int = 3,
        kernel_size: int = 3,
        group_order: int = 4,
        normalisation: Normalisation = "batch",
        declare: Declaration = "proximal",
    ) -> None:
        super().__init__()
        counts = (n_stages, n_maps, n_extra_channels, n_atoms, n_blocks, group_order)
        check_unrolled("acdnet", counts, kernel_size, declare)
        self.n_stages, self.n_maps, self.n_extra, self.declare = n_stages, n_maps, n_extra_channels, declare
        self.field_size = group_order if normalisation == "field" else None
        settings = ProximalSettings(n_blocks, kernel_size, normalisation)
        self.image_nets = proximal_nets(n_stages, 1 + n_extra_channels, settings, group_order)
        self.image_nets_fixed = proximal_nets(2, 1 + n_extra_channels, settings, group_order)
        self.image_net_first = ProximalNet(1 + n_extra_channels, settings, group_order)
        self.image_net_last = ProximalNet(1 + n_extra_channels, settings, group_order)
        self.map_nets = proximal_nets(n_stages, n_maps, settings, group_order, threshold=0.5)
        self.map_nets_fixed = proximal_nets(2, n_maps, settings, group_order, threshold=0.5)
        self.kernel_nets = nn.ModuleList(KernelNet(n_maps, n_atoms) for _ in range(n_stages))
        self.atoms = dictionaries.filter_layer(dictionaries.gaussian_filters(n_atoms))
        self.fixed_filters = dictionaries.filter_layer(dictionaries.gaussian_filters(n_maps))
        self.extra_filters = dictionaries.mean_filters(n_extra_channels)
        identity = torch.eye(n_maps)[:, :, None, None]
        self.map_conversions = nn.ModuleList(dictionaries.filter_layer(identity.clone()) for _ in range(2))
        self.sparsity = nn.Parameter(torch.ones(1))
        self.unused_sparsity = nn.Parameter(torch.ones(1))  # in the published files and counts, in no equation
        self.map_steps, self.map_step_fixed = step_sizes(n_stages, 1.0), step_sizes(1, 1.0)
        self.image_steps, self.image_steps_fixed = step_sizes(n_stages, 5.0), step_sizes(2, 5.0)
        self.kernel_steps = step_sizes(n_stages, 5.0)

    def forward(self, images: Tensor) -> Tensor:
        """Return the corrected image."""
        return self.stage_outputs(images).image

    def stage_outputs(self, images: Tensor) -> StageOutputs:
        """All images and artefacts on the way, with their weights in the published loss."""
        measured = on_published_scale(images)
        features = torch.cat((measured.interpolated, self.extra_filters(measured.interpolated)), dim=1)
        features = self.image_net_first(features)
        seen: list[tuple[float, Tensor]] = [(STAGE_WEIGHT, features[:, :1])]
        artefacts: list[tuple[float, Tensor]] = []
        state = self._fixed_stages(features, measured, seen, artefacts)
        weights = None
        for stage in range(self.n_stages):
            weights, state = self._stage(stage, weights, state, measured)
            seen.append((STAGE_WEIGHT, state.features[:, :1]))
            artefacts.append((STAGE_WEIGHT, state.artefact))
        return collect(self.image_net_last(state.features)[:, :1], seen, artefacts)

    def _fixed_stages(self, features: Tensor, measured: ScannedImages, seen: Weighted, artefacts: Weighted) -> State:
        """Two stages with the dictionary D₀; each appends its image and artefact."""
        filters = self.fixed_filters.weight / 10
        residual = measured.outside_metal * (measured.corrupted - features[:, :1])
        maps = self.map_nets_fixed[0](dictionaries.analyse(torch.relu(residual - self.sparsity), filters))
        for stage, weight in enumerate((STAGE_WEIGHT, LAST_WEIGHT)):
            if stage == 1:
                maps = self._map_step(self.map_nets_fixed[1], maps, filters, residual, self.map_step_fixed[0])
            artefact = dictionaries.synthesise(maps, filters)
            step_size = self.image_steps_fixed[stage]
            features = self._image_step(self.image_nets_fixed[stage], features, artefact, measured, step_size)
            residual = measured.outside_metal * (measured.corrupted - features[:, :1] - artefact)
            seen.append((weight, features[:, :1]))
            artefacts.append((weight, artefact))
        return State(features, self.map_conversions[1](self.map_conversions[0](torch.relu(maps))), artefact)

    def _stage(self, stage: int, weights: Tensor | None, state: State, measured: ScannedImages) -> tuple[Tensor, State]:
        """One stage: K, then M, then X; ``weights`` K are None in the first, whose artefact is not yet known."""
        atoms, outside = self.atoms.weight / 10, measured.outside_metal
        error = measured.corrupted - state.features[:, :1]
        if weights is None:
            gradient = dictionaries.correlate(state.maps, outside * error, atoms)
            weights = self.kernel_nets[stage](gradient)
        else:
            gradient = dictionaries.correlate(state.maps, outside * (error - state.artefact), atoms)
            scale = 50 * error.shape[-2] * error.shape[-1]
            weights = self.kernel_nets[stage](weights + self.kernel_steps[stage] / scale * gradient)
        filters = torch.einsum("bne,exy->bnxy", weights, atoms[0])
        residual = outside * (error - dictionaries.synthesise(state.maps, filters))
        maps = self._map_step(self.map_nets[stage], state.maps, filters, residual, self.map_steps[stage])
        artefact = dictionaries.synthesise(maps, filters)
        step_size = self.image_steps[stage]
        features = self._image_step(self.image_nets[stage], state.features, artefact, measured, step_size)
        return weights, State(features, maps, artefact)

    @staticmethod
    def _map_step(net: nn.Module, maps: Tensor, filters: Tensor, residual: Tensor, step_size: Tensor) -> Tensor:
        return net(maps + step_size / 10 * dictionaries.analyse(residual, filters))

    @staticmethod
    def _image_step(
        net: nn.Module, features: Tensor, artefact: Tensor, measured: ScannedImages, step_size: Tensor
    ) -> Tensor:
        image = image_step(features[:, :1], artefact, measured, step_size)
        return net(torch.cat((image, features[:, 1:]), dim=1))

    def layer_types(self, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
        """Representation of the input and output channels of every declared layer, by its name.

        Raises:
            InputError: channels are not whole fields of ``group``.
        """
        check_field_size("acdnet", self.field_size, group)
        types = dict(convolution_types(self, "image_net", channel_type(1 + self.n_extra, group)))
        return types | self._other_types(group) if self.declare == "all" else types

    def _other_types(self, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
        maps = regular_type(self.n_maps, group, "n_maps")
        atoms = regular_type(self.atoms.in_channels, group, "n_atoms")
        weights, image = tensor_product(maps, atoms), trivial(group)
        types = dict(convolution_types(self, "map_", maps))
        for stage in range(self.n_stages):
            types |= {f"kernel_nets.{stage}.layers.{layer}": (weights, weights) for layer in (0, 2)}
        types |= {"atoms": (atoms, image), "fixed_filters": (maps, image)}
        return types | {"extra_filters": (image, regular_type(self.n_extra, group, "n_extra_channels"))}
