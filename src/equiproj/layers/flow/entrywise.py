"""Rules for what acts entry by entry, or along axes that are summed, pooled or normalised."""

from __future__ import annotations

from torch import Tensor

from equiproj.layers.flow.axes import FREE, Axes, Axis, Feature
from equiproj.layers.flow.call import Call, Rule
from equiproj.layers.flow.reshaping import NoRuleError
from equiproj.layers.flow.slots import TypeConflictError

_NONLINEAR = """relu relu6 leaky_relu elu celu selu gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid softplus
softsign logsigmoid tanhshrink softshrink hardshrink threshold rrelu exp expm1 log log1p sqrt rsqrt reciprocal square
abs absolute sin cos clamp clip clamp_min clamp_max sign pow floor ceil round erf nan_to_num isnan isfinite bool
long int"""
_UNCHANGED = """dropout alpha_dropout feature_alpha_dropout feature_dropout dropout1d dropout2d dropout3d contiguous
clone to float double half bfloat16 type type_as detach data neg negative positive cpu cuda requires_grad real"""
_BINARY = """add sub rsub mul multiply div divide truediv true_divide floordiv maximum minimum max min where masked_fill
eq ne lt le gt ge logical_and logical_or bitwise_and bitwise_or and or addcmul lerp fmod remainder"""
_MULTIPLYING = ("mul", "multiply", "div", "divide", "truediv", "true_divide")
_KEEPING_TYPES = ("add", "sub", "rsub", *_MULTIPLYING)
_REDUCING = "mean sum amax amin std var norm logsumexp prod all any median nanmean"
_POOLING = """max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d lp_pool1d lp_pool2d lp_pool3d
interpolate upsample upsample_nearest upsample_bilinear boolean_dispatch"""


def _nonlinear(call: Call) -> None:
    feature = call.operand(0, "input")
    call.state.taken_one_by_one(feature, call.where)
    _same(call, feature)


def _unchanged(call: Call) -> None:
    _same(call, call.operand(0, "input"))


def _same(call: Call, feature: Feature) -> None:
    call.state.keep(call.out, Feature(feature.axes, feature.shape, source=feature.source))


def _binary(call: Call) -> None:
    tensors = call.tensors()
    if len(tensors) == 1 and call.name in ("max", "min"):
        _reduction(call)
        return
    operands = [call.state.operand(tensor, call.where) for tensor in tensors]
    if call.name in _MULTIPLYING:
        for feature in operands:
            if feature.source is not None:
                feature.source.multiplies = True
    axes = call.state.together(operands, call.where)
    scaled = call.name in _MULTIPLYING and len(operands) == 1
    if not scaled and (call.name not in _KEEPING_TYPES or len(operands) == 1 or _multiplies_channels(call, operands)):
        call.state.taken_one_by_one(Feature(axes, tuple(call.out.shape)), call.where)
    call.result(axes)


def _multiplies_channels(call: Call, operands: list[Feature]) -> bool:
    """Whether channels are multiplied by channels; by a factor for all of them they are only scaled."""
    if call.name not in _MULTIPLYING:
        return False
    wide = [f for f in operands if (c := f.channels()) is not None and f.shape[c] > 1 and f.source is None]
    return len(wide) > 1


def reduced_dims(call: Call, n_axes: int) -> tuple[int, ...]:
    """The axes that a reduction runs over, as positions."""
    position = 2 if call.name == "norm" else 1
    dims = call.value(position, "dim", call.kwargs.get("axis"))
    if isinstance(dims, bool) or dims is None:
        return tuple(range(n_axes))
    return tuple(dim % n_axes for dim in ([dims] if isinstance(dims, int) else dims))


def _reduction(call: Call) -> None:
    feature = call.operand(0, "input")
    dims = reduced_dims(call, len(feature.shape))
    axes = [axis.settled() for axis in feature.axes]
    _check_images_are_whole(call, axes, dims)
    if any(axes[dim].kind == "channels" for dim in dims) and call.name != "norm":
        call.state.taken_one_by_one(feature, call.where)
    out = call.out if isinstance(call.out, Tensor) else call.out[0]
    kept = out.ndim == len(axes)
    left: list[Axis] = []
    for dim, axis in enumerate(axes):
        if dim not in dims:
            left.append(axis)
        elif kept:
            left.append(Axis("channels", call.state.invariant(1, call.where)) if axis.kind == "channels" else FREE)
    call.result(tuple(left), out)


def _check_images_are_whole(call: Call, axes: list[Axis], dims: tuple[int, ...]) -> None:
    pixels = [dim for dim, axis in enumerate(axes) if axis.kind == "pixels"]
    inside = [dim for dim in pixels if dim in dims]
    if inside and len(inside) < len(pixels):
        raise TypeConflictError(f"{call.where}: runs over some axes of an image and not over all")


def _pooling(call: Call) -> None:
    feature = call.operand(0, "input")
    digits = [int(character) for character in call.name if character.isdigit()]
    n_pooled = digits[0] if digits else max(len(feature.shape) - 2, 0)
    pooled = [axis.settled() for axis in feature.axes[len(feature.axes) - n_pooled :]]
    if any(axis.kind in ("channels", "points") for axis in pooled):
        raise NoRuleError(f"pools an axis of {pooled[0].kind}")
    if "max" in call.name:
        call.state.taken_one_by_one(feature, call.where)
    out = call.out if isinstance(call.out, Tensor) else call.out[0]
    call.result(feature.axes, out)


def _softmax(call: Call) -> None:
    feature = call.operand(0, "input")
    dim = call.value(1, "dim", -1)
    if dim is not None and feature.axes[int(dim) % len(feature.axes)].settled().kind == "channels":
        call.state.taken_one_by_one(feature, call.where)
    call.result(feature.axes)


def _normalised(call: Call) -> None:
    """Normalisation written as a function: factors and offsets lie on the channels, the second axis or the last."""
    feature = call.operand(0, "input")
    call.state.taken_one_by_one(feature, call.where)
    last = call.name in ("layer_norm", "rms_norm")
    running = call.name in ("batch_norm", "instance_norm")
    names = ("running_mean", "running_var", "weight", "bias") if running else ("weight", "bias")
    first = 1 if running else 2
    for offset, name in enumerate(names):
        value = call.value(first + offset, name)
        if isinstance(value, Tensor):
            factor = call.state.operand(value, call.where)
            if factor.source is not None:
                factor.source.multiplies = name in ("weight", "running_var")
            _meet_channels(call, feature, factor, last)
    call.result(feature.axes)


def _meet_channels(call: Call, feature: Feature, factor: Feature, last: bool) -> None:
    n_axes = len(factor.shape)
    axes: Axes = feature.axes[-n_axes:] if last else feature.axes[1:2]
    sizes = feature.shape[-n_axes:] if last else feature.shape[1:2]
    for own, size, axis, other in zip(factor.axes, factor.shape, axes, sizes, strict=True):
        call.state.meet((own, size), (axis, other), call.where)


def _same_axes(call: Call) -> None:
    call.result(call.operand(0, "input").axes)


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


UNARY = (*_NONLINEAR.split(), *_UNCHANGED.split())
RULES: dict[str, Rule] = {
    **_named(_NONLINEAR, _nonlinear),
    **_named(_UNCHANGED, _unchanged),
    **_named(_BINARY, _binary),
    **_named(_REDUCING, _reduction),
    **_named(_POOLING, _pooling),
    **_named("softmax log_softmax", _softmax),
    **_named("layer_norm rms_norm batch_norm instance_norm group_norm", _normalised),
    **_named("normalize", _same_axes),
}
