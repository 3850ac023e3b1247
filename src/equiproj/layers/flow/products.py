"""Rules for products of matrices, attention, and linear maps that are written as functions."""

from __future__ import annotations

from torch import Tensor

from equiproj.layers.flow.axes import FREE, Axes, Axis, Feature
from equiproj.layers.flow.call import Call, Rule
from equiproj.layers.flow.reshaping import NoRuleError
from equiproj.layers.flow.slots import TypeConflictError


def _one_axis_of_channels(call: Call, axes: Axes) -> Axes:
    """Beside others, channels that nothing moves, such as heads that were mixed, are an axis like that of a batch."""
    if _n_of_channels(axes) > 1:
        axes = tuple(FREE if call.state.is_invariant(axis) else axis for axis in axes)
    if _n_of_channels(axes) > 1:
        raise NoRuleError("makes a matrix with channels on both sides")
    return axes


def _n_of_channels(axes: Axes) -> int:
    return sum(axis.settled().kind == "channels" for axis in axes)


def _matmul(call: Call) -> None:
    tensors = call.tensors()[-2:]
    first, second = (call.state.operand(tensor, call.where) for tensor in tensors)
    if len(first.shape) < 2 or len(second.shape) < 2:
        raise NoRuleError("multiplies by a vector")
    call.state.meet((first.axes[-1], first.shape[-1]), (second.axes[-2], second.shape[-2]), call.where)
    leading = [Feature(f.axes[:-2], f.shape[:-2]) for f in (first, second) if len(f.shape) > 2]
    before = call.state.together(leading, call.where) if leading else ()
    axes = (*before, _as_output(call, first.axes[-2]), _as_output(call, second.axes[-1], second.shape[-1], second))
    call.result(_one_axis_of_channels(call, axes))


def _as_output(call: Call, axis: Axis, size: int = 0, operand: Feature | None = None) -> Axis:
    """Of a parameter that features are multiplied by, the axis that is left is that of new channels."""
    axis = axis.settled()
    if axis.kind == "open" and axis.unknown is not None and size:
        axis.unknown.role = call.state.new_channels(
            size, operand.source.name if operand and operand.source else call.where
        )
    return axis.settled()


def _einsum(call: Call) -> None:
    equation = str(call.args[0]).replace(" ", "")
    tensors = call.tensors()
    if "." in equation or "->" not in equation:
        raise NoRuleError("leaves axes unnamed")
    inputs, output = equation.split("->")
    known: dict[str, tuple[Axis, int]] = {}
    for letters, tensor in zip(inputs.split(","), tensors, strict=True):
        feature = call.state.operand(tensor, call.where)
        for letter, axis, size in zip(letters, feature.axes, feature.shape, strict=True):
            met = call.state.meet(known[letter], (axis, size), call.where) if letter in known else axis
            known[letter] = (met, max(size, known.get(letter, (met, size))[1]))
    axes = tuple(_as_output(call, *known[letter]) for letter in output)
    call.result(_one_axis_of_channels(call, axes))


def _attention(call: Call) -> None:
    """Softmax of q · k: one type for both, and the points of the values are those of the keys."""
    query, key, value = (call.operand(i, name) for i, name in enumerate(("query", "key", "value")))
    call.state.meet((query.axes[-1], query.shape[-1]), (key.axes[-1], key.shape[-1]), call.where)
    call.state.meet((key.axes[-2], key.shape[-2]), (value.axes[-2], value.shape[-2]), call.where)
    points = query.axes[-2].settled()
    if call.kwargs.get("is_causal") and points.kind in ("points", "pixels"):
        raise TypeConflictError(f"{call.where}: a causal mask has an order of the pixels")
    leading = [Feature(f.axes[:-2], f.shape[:-2]) for f in (query, key, value)]
    before = call.state.together(leading, call.where) if query.axes[:-2] else ()
    mask = call.value(3, "attn_mask")
    if isinstance(mask, Tensor):
        logits = Feature((*before, points, key.axes[-2]), (*query.shape[:-1], key.shape[-2]))
        call.state.together([logits, call.state.operand(mask, call.where)], call.where)
    call.result((*before, points, value.axes[-1]))


def _linear(call: Call) -> None:
    feature, weight = call.operand(0, "input"), call.operand(1, "weight")
    if weight.source is None:
        raise NoRuleError("has a weight that is computed")
    blocks = call.state.as_channels(feature.axes[-1], feature.shape[-1], call.where)
    own = Axis("channels", blocks)
    call.state.meet((weight.axes[-1], weight.shape[-1]), (own, feature.shape[-1]), call.where)
    out = call.state.meet(
        (weight.axes[0], weight.shape[0]),
        (call.state.new_channels(weight.shape[0], weight.source.name), weight.shape[0]),
        call.where,
    )
    _with_bias(call, out, weight.shape[0], 2)
    if isinstance(call.value(2, "bias"), Tensor):
        call.state.added_to_all(feature, call.where)
    call.result((*feature.axes[:-1], out))


def _with_bias(call: Call, out: Axis, n_channels: int, position: int) -> None:
    bias = call.value(position, "bias")
    if isinstance(bias, Tensor):
        offset = call.state.operand(bias, call.where)
        call.state.meet((offset.axes[-1], offset.shape[-1]), (out, n_channels), call.where)


def _convolution(call: Call) -> None:
    feature, weight = call.operand(0, "input"), call.operand(1, "weight")
    source = weight.source
    if source is None or source.tensor.shape != weight.shape:
        raise NoRuleError("has a kernel that is computed")
    transposed = "transpose" in call.name
    n_blocks = int(call.kwargs.get("groups", call.args[7 if transposed else 6] if len(call.args) > 6 else 1))
    inputs = call.state.as_channels(feature.axes[1], feature.shape[1], call.where)
    if source.kernel is not None:
        raise NoRuleError("uses a kernel twice")
    out = call.state.new_channels(call.out.shape[1], source.name)
    source.kernel = (out.blocks, inputs, transposed, n_blocks)
    _with_bias(call, out, call.out.shape[1], 2)
    call.result((feature.axes[0], out, *feature.axes[2:]))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("matmul", "bmm", "mm", "baddbmm", "rmatmul"), _matmul),
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "linear": _linear,
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution
    ),
}
