"""Rules for layers of a known kind, which are taken as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from equiproj.groups import Group
from equiproj.layers.flow.axes import FREE, Axes, Axis, Feature
from equiproj.layers.flow.reshaping import NoRuleError
from equiproj.layers.flow.slots import Block, Blocks, Slot, TypeConflictError, unify
from equiproj.layers.flow.state import State
from equiproj.layers.kinds import Part, attention_parts, keeps_blocks, kind_of
from equiproj.representations import Representation, tensor_product, trivial

TypeOf = Callable[[Blocks], Representation]


@dataclass
class LayerCall:
    """What flowed into a layer, and out of it.

    Args:
        name: of the layer.
        layer: the layer.
        inputs: channels of its inputs; queries, keys and values for an attention.
        inner: channels of queries and keys.
        output: channels of its output.
    """

    name: str
    layer: nn.Module
    inputs: tuple[Blocks, ...]
    output: Blocks
    inner: Blocks = ()

    def types(self, rho: TypeOf, group: Group) -> tuple[Representation, Representation]:
        """(rho_in, rho_out), as `layers=` takes them."""
        rho_out = rho(self.output)
        if isinstance(self.layer, nn.Embedding | nn.EmbeddingBag):
            return self.layer.num_embeddings * trivial(group), rho_out
        if isinstance(self.layer, nn.Bilinear):
            return tensor_product(rho(self.inputs[0]), rho(self.inputs[1])), rho_out
        return rho(self.inputs[0]), rho_out

    def parts(self, rho: TypeOf, group: Group) -> Iterator[Part]:
        """The tensors of the layer with their projections.

        Raises:
            ValueError: statistics or heads that the group mixes.
        """
        rho_in, rho_out = self.types(rho, group)
        if isinstance(self.layer, nn.MultiheadAttention):
            query, key, value = (rho(blocks) for blocks in self.inputs)
            return attention_parts(self.layer, (query, key, value), rho(self.inner), rho_out)
        if isinstance(self.layer, nn.GroupNorm) and not keeps_blocks(rho_out, self.layer.num_groups):
            raise TypeConflictError(f"expected {self.layer.num_groups} groups that {rho_out} keeps")
        kind = kind_of(self.layer)
        if kind is None:
            raise TypeError(f"expected a layer of a known kind, found {type(self.layer).__name__}")
        return kind.parts(self.layer, rho_in, rho_out)


def follow(
    state: State, name: str, layer: nn.Module, inputs: tuple[tuple[Any, ...], Mapping[str, Any]], out: Any
) -> None:
    """Say what the output of a layer is, and remember the call.

    Raises:
        NoRuleError: the channels of its input are not where it expects them.
        TypeConflictError: it is used twice on different types.
    """
    args = (*inputs[0], *inputs[1].values())
    tensors = [value for value in args if isinstance(value, Tensor)]
    call = _rule(layer)(state, name, layer, tensors, out)
    if call is None:
        return
    before = state.calls.get(name)
    if before is None:
        state.calls[name] = call
        return
    where = f"layer {name!r}, used twice"
    for first, second in zip((*before.inputs, before.output), (*call.inputs, call.output), strict=True):
        unify(first, second, where)
    if call.inner:
        unify(before.inner, call.inner, where)


LayerRule = Callable[[State, str, Any, list[Tensor], Any], LayerCall | None]


def _rule(layer: nn.Module) -> LayerRule:
    for types, rule in _RULES:
        if isinstance(layer, types):
            return rule
    return _linear


def _last(state: State, name: str, tensor: Tensor, axis: int = -1) -> tuple[Feature, Blocks]:
    feature = state.operand(tensor, f"the input of {name!r}")
    if feature.reason:
        raise NoRuleError(feature.reason)
    return feature, state.as_channels(feature.axes[axis], feature.shape[axis], f"layer {name!r}")


def _linear(state: State, name: str, layer: nn.Module, tensors: list[Tensor], out: Tensor) -> LayerCall:
    found = [_last(state, name, tensor) for tensor in tensors]
    if getattr(layer, "bias", None) is not None:
        state.added_to_all(found[0][0], f"layer {name!r}")
    channels = state.new_channels(out.shape[-1], name)
    state.keep(out, Feature((*found[0][0].axes[:-1], channels), tuple(out.shape)))
    return LayerCall(name, layer, tuple(blocks for _, blocks in found), channels.blocks)


def _convolution(state: State, name: str, layer: nn.Module, tensors: list[Tensor], out: Tensor) -> LayerCall:
    n_pixels = len(layer.get_parameter("weight").shape) - 2 if "weight" in layer._parameters else out.ndim - 2
    axis = out.ndim - n_pixels - 1
    feature, blocks = _last(state, name, tensors[0], axis)
    if any(each.settled().kind in ("points", "channels") for each in feature.axes[axis + 1 :]):
        raise TypeConflictError(f"layer {name!r}: convolves an axis of flattened images or channels")
    channels = state.new_channels(out.shape[axis], name)
    state.keep(out, Feature((*feature.axes[:axis], channels, *feature.axes[axis + 1 :]), tuple(out.shape)))
    return LayerCall(name, layer, (blocks,), channels.blocks)


def _embedding(state: State, name: str, layer: nn.Module, tensors: list[Tensor], out: Tensor) -> LayerCall:
    feature = state.operand(tensors[0], f"the input of {name!r}")
    channels = state.new_channels(out.shape[-1], name)
    before = feature.axes if len(feature.axes) == out.ndim - 1 else (FREE,) * (out.ndim - 1)
    state.keep(out, Feature((*(axis.settled() for axis in before), channels), tuple(out.shape)))
    return LayerCall(name, layer, (), channels.blocks)


def _normalisation(state: State, name: str, layer: nn.Module, tensors: list[Tensor], out: Tensor) -> LayerCall | None:
    feature = state.operand(tensors[0], f"the input of {name!r}")
    if feature.reason:
        raise NoRuleError(feature.reason)
    kind = kind_of(layer)
    width = kind.channels(layer)[1] if kind is not None else 0
    position = feature.channels()
    state.keep(out, Feature(feature.axes, tuple(out.shape)))
    state.taken_one_by_one(feature, f"layer {name!r}")
    if isinstance(layer, nn.PReLU) and width == 1:
        return None
    if position is None or feature.shape[position] != width:
        raise NoRuleError(f"normalises {width} entries where the channels are not")
    blocks = feature.axes[position].settled().blocks
    return LayerCall(name, layer, (blocks,), blocks)


def _attention(
    state: State, name: str, layer: nn.MultiheadAttention, tensors: list[Tensor], out: tuple[Tensor, Any]
) -> LayerCall:
    found = [_last(state, name, tensor) for tensor in tensors[:3]]
    if len(found) < 3:
        found = [found[0]] * 3
    (query, _), (key, _), (value, _) = found
    head = Slot(layer.head_dim, name)
    inner = (Block(head),) * layer.num_heads
    points = 1 if layer.batch_first and len(query.axes) > 2 else 0
    state.meet((key.axes[points], key.shape[points]), (value.axes[points], value.shape[points]), f"layer {name!r}")
    channels = state.new_channels(layer.embed_dim, name)
    state.keep(out[0], Feature((*query.axes[:-1], channels), tuple(out[0].shape)))
    return LayerCall(name, layer, tuple(blocks for _, blocks in found), channels.blocks, inner)


def _recurrent(state: State, name: str, layer: nn.RNNBase, tensors: list[Tensor], out: tuple[Tensor, Any]) -> LayerCall:
    feature, blocks = _last(state, name, tensors[0])
    if any(axis.settled().kind != "free" for axis in feature.axes[:-1]):
        raise TypeConflictError(f"layer {name!r}: runs through pixels one by one")
    n_directions = 1 + layer.bidirectional
    direction = Slot(out[0].shape[-1] // n_directions, name)
    output = (Block(direction),) * n_directions
    state.keep(out[0], Feature((*feature.axes[:-1], Axis("channels", output)), tuple(out[0].shape)))
    for position, tensor in enumerate(out[1] if isinstance(out[1], tuple) else (out[1],)):
        if position == 0 or not layer.proj_size:
            axes: Axes = (*(FREE,) * (tensor.ndim - 1), Axis("channels", (Block(direction),)))
            state.keep(tensor, Feature(axes, tuple(tensor.shape)))
    state.permuted.append((f"layer {name!r}", output))
    return LayerCall(name, layer, (blocks,), output)


def _cell(state: State, name: str, layer: nn.RNNCellBase, tensors: list[Tensor], out: Any) -> LayerCall:
    feature, blocks = _last(state, name, tensors[0])
    channels = state.new_channels(layer.hidden_size, name)
    for tensor in tensors[1:]:
        _, hidden = _last(state, name, tensor)
        unify(hidden, channels.blocks, f"layer {name!r}")
    for tensor in out if isinstance(out, tuple) else (out,):
        state.keep(tensor, Feature((*feature.axes[:-1], channels), tuple(tensor.shape)))
    state.permuted.append((f"layer {name!r}", channels.blocks))
    return LayerCall(name, layer, (blocks,), channels.blocks)


_NORMALISING: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.PReLU,
)
_RULES: tuple[tuple[tuple[type[nn.Module], ...], LayerRule], ...] = (
    ((nn.modules.conv._ConvNd,), _convolution),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    (_NORMALISING, _normalisation),
    ((nn.MultiheadAttention,), _attention),
    ((nn.RNNBase,), _recurrent),
    ((nn.RNNCellBase,), _cell),
)
