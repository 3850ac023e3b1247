"""Why a layer or function with an equivariant kernel does not commute with turns: where its windows lie."""

from collections.abc import Mapping
from typing import Any

from torch.nn.modules.conv import _ConvNd

from equiproj.layers.flow import Event
from equiproj.projections import samples_symmetrically

_POOLING = ("max_pool", "avg_pool", "lp_pool")


def why_windows_are_uneven(event: Event) -> str:
    """What is uneven about the windows of a convolution or pooling, empty if nothing is.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from equiproj.layers.flow.axes import Feature
        >>> layer = nn.Conv2d(1, 1, 3, stride=2, padding=1)
        >>> event = Event("layer ''", layer, "", (), {}, (1, 1, 8, 8), torch.ones(1), Feature((), ()))
        >>> why_windows_are_uneven(event)
        'stride 2 with kernel 3 and padding 1 on 8 pixels leaves 1 over at one side'
    """
    if isinstance(event.layer, _ConvNd):
        return _of_convolution(event.layer, event.shape)
    if event.name.startswith(_POOLING):
        return _of_pooling(event)
    if event.name in ("interpolate", "upsample") and event.value.ndim > 2:
        sizes = zip(event.shape[2:], event.value.shape[2:], strict=True)
        if any(after % before and before % after for before, after in sizes):
            return f"resizes {event.shape[2:]} to {tuple(event.value.shape[2:])}, which is no whole factor"
    if event.name == "pad":
        widths = list(event.args[1] if len(event.args) > 1 else event.kwargs["pad"])
        if any(before != after for before, after in zip(widths[::2], widths[1::2], strict=True)):
            return f"pads {widths}, more at one side"
    return ""


def _of_convolution(layer: _ConvNd, shape: tuple[int, ...]) -> str:
    sizes = shape[-len(layer.kernel_size) :]
    if layer.transposed:
        uneven = any(layer.output_padding)
        return f"output_padding {tuple(layer.output_padding)} adds pixels at one side" if uneven else ""
    if isinstance(layer.padding, str):
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if layer.padding == "same" and any(each % 2 for each in reach):
            return f"padding 'same' with kernel {tuple(layer.kernel_size)} pads more at one side"
        padding = tuple(each // 2 for each in reach) if layer.padding == "same" else (0,) * len(reach)
    else:
        padding = tuple(layer.padding)
    settings = zip(sizes, layer.kernel_size, layer.stride, padding, layer.dilation, strict=True)
    return _left_over(list(settings))


def _left_over(settings: list[tuple[int, int, int, int, int]]) -> str:
    for n_pixels, kernel, stride, padding, dilation in settings:
        if not samples_symmetrically(n_pixels, kernel, stride, padding, dilation):
            over = (n_pixels + 2 * padding - dilation * (kernel - 1) - 1) % stride
            return (
                f"stride {stride} with kernel {kernel} and padding {padding} on {n_pixels} pixels "
                f"leaves {over} over at one side"
            )
    if len({each[1:] for each in settings}) > 1:
        return "kernel, stride, padding or dilation differ between axes"
    return ""


def _of_pooling(event: Event) -> str:
    n_axes = int(event.name[-2])
    names = ["kernel_size", "stride", "padding"]
    given: Mapping[str, Any] = {**dict(zip(names, event.args[1:4], strict=False)), **event.kwargs}
    kernel = _each(given.get("kernel_size"), n_axes)
    stride = _each(given.get("stride"), n_axes) if given.get("stride") else kernel
    padding = _each(given.get("padding", 0), n_axes)
    dilation = _each(given.get("dilation", 1), n_axes)
    return _left_over(list(zip(event.shape[-n_axes:], kernel, stride, padding, dilation, strict=True)))


def _each(value: Any, n_axes: int) -> tuple[int, ...]:
    return tuple(int(each) for each in value) if isinstance(value, tuple | list) else (int(value),) * n_axes
