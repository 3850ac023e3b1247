"""Weights made equivariant in place: trained ones by projection, freshly drawn ones at the scale of their draw."""

from typing import Unpack

import torch
from torch import Tensor, nn

from equiproj.groups import Group
from equiproj.layers import Declaration, TypedParameter, assign_all, spectrally_normed, typed_parameters
from equiproj.layers.sharding import gathered, reshard, write


@torch.no_grad()
def project_(module: nn.Module, group: Group | str | None = None, **declaration: Unpack[Declaration]) -> nn.Module:
    """W ← P(W) and b ← P(b) for every layer, in place, all of them or none; returns the module.

    Factors, offsets and running statistics of normalisations are projected too: one per field is left. Parametrised
    layers are set through the parametrisation; one with a spectral norm then uses P(W) / σ₁(P(W)). A strictly
    equivariant network needs, besides, that what is computed between the layers commutes with the group.

    Args:
        module: any module with layers of a known kind. One that FSDP2 has sharded stays so: every process calls this,
            and keeps its shards of P(W).
        group: the group, where `layers=` does not give representations.
        declaration: `layers`, `parameters`, `skip`, `strict`, `example`, `input_type`, `hidden_type`, `output_type`,
            `sampling` as for `typed_parameters`.

    Raises:
        ValueError: layers that do not fit the declaration, or a parametrisation that cannot hold the projected value.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> layer = project_(nn.Linear(4, 4), CyclicGroup(4), input_type="regular", output_type="regular")
        >>> bool(torch.allclose(layer.weight[1].roll(-1), layer.weight[0]))
        True
    """
    found = typed_parameters(module, group, include_bias=True, include_statistics=True, **declaration)
    reshard(module)
    assign_all([(entry, entry.projector(entry.read())) for entry in found if spectrally_normed(entry) is None])
    for entry in found:
        _project_spectrally_normed(entry)
    return module


@torch.no_grad()
def project_initial_(
    module: nn.Module, group: Group | str | None = None, **declaration: Unpack[Declaration]
) -> nn.Module:
    """Make freshly drawn weights equivariant at the scale they were drawn for: W ← P(W) ‖W‖_F / ‖P(W)‖_F, b ← P(b).

    A projection shrinks a random weight, by √|G| between regular representations, and a deep network of shrunk weights
    passes on neither signal nor gradient. Group convolutions draw their free parameters so that the whole kernel has
    the wanted variance; this does the same for a kernel that was drawn without the constraint.

    Args:
        module: any module with linear or convolution layers, changed in place and returned.
        group: the group, where `layers=` does not give representations.
        declaration: as for `project_`.

    Raises:
        ValueError: as `project_`.

    References:
        Weiler & Cesa, General E(2)-Equivariant Steerable CNNs, NeurIPS 2019, with He's initialisation carried over to
        the coefficients of equivariant kernels.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho, layer = regular(CyclicGroup(2)), nn.Linear(2, 2, bias=False)
        >>> layer.weight.data = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
        >>> layer = project_initial_(layer, layers={"": (rho, rho)})
        >>> [[round(value, 4) for value in row] for row in layer.weight.tolist()]
        [[3.5355, 0.0], [0.0, 3.5355]]
    """
    found = typed_parameters(module, group, include_bias=True, **declaration)
    reshard(module)
    assign_all([(entry, _at_its_scale(entry)) for entry in found if spectrally_normed(entry) is None])
    for entry in found:
        _project_spectrally_normed(entry)
    return module


def _at_its_scale(parameter: TypedParameter) -> Tensor:
    drawn = parameter.read()
    projected = parameter.projector(drawn)
    size = torch.linalg.vector_norm(projected)
    if parameter.role != "map" or size == 0:  # a weight drawn as zero stays zero
        return projected
    return projected * (torch.linalg.vector_norm(drawn) / size)


def _project_spectrally_normed(parameter: TypedParameter) -> None:
    """Project W itself: what the layer uses is a multiple of it, whatever its power iteration has come to."""
    held = spectrally_normed(parameter)
    if held is not None:
        value = gathered(held)
        write(held, parameter.projector(value.reshape(parameter.projector.weight_shape)).reshape(value.shape))
