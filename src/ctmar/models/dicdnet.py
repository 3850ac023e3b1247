"""DICDNet: the deep interpretable convolutional dictionary network (TMI 2021)."""

from torch import Tensor

from ctmar.models import dictionaries
from ctmar.models.channels import regular_type
from ctmar.models.learnt_proximal import ProximalSettings
from ctmar.models.normalisation import Normalisation
from ctmar.models.unrolled import Types, UnrolledDictionary
from ctmar.models.unrolled_checks import Declaration
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation, trivial


class DICDNet(UnrolledDictionary):
    r"""The iteration of `UnrolledDictionary` with one learnt dictionary for all images and stages.

    .. math::
        A = \tfrac{1}{10} \sum_n K_n * M_n

    Every map is a channel of a regular field, so the dictionary commutes with quarter turns when the filters of a
    field are turned copies of one another.

    Args:
        n_maps: maps M and filters of the dictionary.
        n_extra_channels: extra channels N_q beside X.
        n_stages: stages S.
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
        Wang et al., DICDNet: deep interpretable convolutional dictionary network for metal artifact reduction in CT
        images, IEEE TMI 41 (2022), published online 2021.

    Examples:
        >>> sum(parameter.numel() for parameter in DICDNet().parameters())
        1277332
    """

    PUBLISHED_KEYS = (*UnrolledDictionary.PUBLISHED_KEYS, ("K", "dictionary.weight"))

    def __init__(
        self,
        n_maps: int = 32,
        n_extra_channels: int = 32,
        n_stages: int = 10,
        n_blocks: int = 3,
        kernel_size: int = 3,
        group_order: int = 4,
        normalisation: Normalisation = "batch",
        declare: Declaration = "proximal",
    ) -> None:
        settings = ProximalSettings(n_blocks, kernel_size, normalisation)
        super().__init__(n_maps, group_order, n_extra_channels, n_stages, settings, group_order, declare)
        self.dictionary = dictionaries.filter_layer(dictionaries.gaussian_filters(n_maps))

    def filters(self, image: Tensor, corrupted: Tensor) -> Tensor:
        """The dictionary, the same for all images."""
        return self.dictionary.weight / 10

    def map_type(self, group: FiniteGroup) -> Representation:
        """Regular fields."""
        return regular_type(self.dictionary.in_channels, group, "n_maps")

    def filter_types(self, group: FiniteGroup) -> Types:
        """From maps to the artefact image."""
        return {"dictionary": (self.map_type(group), trivial(group))}
