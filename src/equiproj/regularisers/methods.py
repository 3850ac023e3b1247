"""How a norm is computed, and of which layers it can be."""

from collections.abc import Sequence

from equiproj.layers import TypedParameter
from equiproj.norms import CustomNorm, Norm
from equiproj.norms.names import NormMethod
from equiproj.projections import ConvProjector

_METHODS = ("exact", "gram", "power")


def check_strides(typed: Sequence[TypedParameter]) -> None:
    """Operator norms are of convolutions with stride 1.

    Raises:
        ValueError: another stride, by name.

    Examples:
        >>> check_strides([])
    """
    for entry in typed:
        stride = tuple(getattr(entry.layer, "stride", (1,)))
        if isinstance(entry.projector, ConvProjector) and set(stride) != {1}:
            raise ValueError(f"{entry.name}: expected stride 1 for image_shape=, found {stride}")


def chosen_method(
    norm: Norm | CustomNorm, method: NormMethod | None, image_shape: tuple[int, ...] | None
) -> NormMethod:
    """`exact`, `gram` or `power`; a norm without singular values has one way only.

    Raises:
        ValueError: an unknown method, or one that the norm or `image_shape` rules out.

    Examples:
        >>> chosen_method(Norm("nuclear"), None, None)
        'gram'
    """
    if norm.schatten_order in (None, 2):
        if method is not None:
            raise ValueError(
                f"norm {str(norm)!r} does not come from singular values: leave method out, found {method!r}"
            )
        return "exact"
    if method is None:
        return "gram"
    if method not in _METHODS:
        raise ValueError(f"expected method {', '.join(map(repr, _METHODS))} or None, found {method!r}")
    if method == "power" and image_shape is not None:
        raise ValueError("method 'power' measures kernels; with image_shape= use 'gram' or 'exact'")
    return method
