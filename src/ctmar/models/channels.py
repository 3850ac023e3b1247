"""How the channels of a feature map split into an image and regular fields."""

from ctmar.errors import InputError
from equiproj.groups import CyclicGroup, FiniteGroup
from equiproj.representations import Representation, regular, tensor_product, trivial


def split_channels(n_channels: int, group_order: int) -> tuple[int, int]:
    """Number of invariant channels (0 or 1, the image, always first) and of regular fields.

    Raises:
        InputError: the channels are neither whole fields nor one image and whole fields.

    Examples:
        >>> split_channels(36, 4), split_channels(33, 4)
        ((0, 9), (1, 8))
    """
    n_fields, n_invariant = divmod(n_channels, group_order)
    if n_invariant > 1 or n_fields == 0:
        raise InputError(
            f"network: expected {group_order} channels per field, and at most the image besides, found {n_channels}"
        )
    return n_invariant, n_fields


def channel_type(n_channels: int, group: FiniteGroup) -> Representation:
    """All channels regular, or the first one trivial and the others regular, whichever the number allows.

    Raises:
        InputError: it allows neither.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> channel_type(33, CyclicGroup(4))
        trivial + 8*regular of CyclicGroup(4)
    """
    n_invariant, n_fields = split_channels(n_channels, group.order)
    fields = n_fields * regular(group)
    return trivial(group) + fields if n_invariant else fields


def regular_type(n_channels: int, group: FiniteGroup, what: str) -> Representation:
    """Channels that are regular fields and nothing else.

    Raises:
        InputError: they are not whole fields; ``what`` names the setting.
    """
    if n_channels % group.order:
        raise InputError(f"network: expected {what} in multiples of the group order {group.order}, found {n_channels}")
    return n_channels // group.order * regular(group)


def orientation_type(n_maps: int, n_rotations: int, group: FiniteGroup) -> Representation:
    r"""Channels (map, orientation) where orientation r is the filter turned by 2π r / n_rotations.

    A turn by 2π/|G| raises r by s = n_rotations / |G|: writing r = a s + b, it acts on a as the regular
    representation and leaves b alone. With as many orientations as group elements this is a regular field per map.

    Raises:
        InputError: the group has elements that are no turns, or the orientations are not a multiple of its order.
    """
    if not isinstance(group, CyclicGroup):
        raise InputError(f"network: its filters are turned and not mirrored: expected a group C<n>, found {group}")
    if n_rotations % group.order:
        raise InputError(
            f"network: expected n_rotations in multiples of the group order {group.order}, found {n_rotations}"
        )
    if n_rotations == group.order:
        return n_maps * regular(group)
    return n_maps * tensor_product(regular(group), n_rotations // group.order * trivial(group))
