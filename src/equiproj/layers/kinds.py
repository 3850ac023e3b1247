"""Which modules hold weights that the group acts on, and which projection belongs to each of their tensors."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from equiproj.projections import ConvProjector, LinearProjector, Projector, ScaleProjector
from equiproj.representations import Representation, trivial

Role = Literal["map", "bias", "scale", "statistic"]


class Part(NamedTuple):
    """One tensor of a layer: its name below the layer, its projection, and what it is.

    A *map* is a matrix or a kernel, a *bias* a vector that is added, a *scale* one that multiplies, a *statistic* a
    running mean or variance.
    """

    attribute: str
    projector: Projector
    role: Role


class Kind(NamedTuple):
    """Modules of one kind: how many channels go in and come out, and their tensors, given the types of both."""

    types: tuple[type[nn.Module], ...]
    channels: Callable[[Any], tuple[int, int]]
    parts: Callable[[Any, Representation, Representation], Iterator[Part]]
    maps: bool = True  # and does not only scale what it is given


def kind_of(module: nn.Module) -> Kind | None:
    """The kind of a module, None for one that holds no weights or that nobody has described.

    Examples:
        >>> kind_of(nn.Linear(2, 3)).channels(nn.Linear(2, 3)), kind_of(nn.ReLU())
        ((2, 3), None)
    """
    for kind in KINDS:
        if isinstance(module, kind.types):
            return kind
    return _TRANSPOSED_LINEAR if _is_transposed_linear(module) else None


def _is_transposed_linear(module: nn.Module) -> bool:
    """Whether it is a `Conv1D` of transformers, a linear layer that stores (c_in, c_out); told without importing it."""
    return any(c.__name__ == "Conv1D" and c.__module__.startswith("transformers.") for c in type(module).__mro__)


def bias_of(rho: Representation) -> LinearProjector:
    """The projection of a bias: the matrix (c_out, 1) of a linear map from the constant 1, which the group keeps.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> bias_of(trivial(CyclicGroup(2))).weight_shape
        (1, 1)
    """
    return LinearProjector(trivial(rho.group), rho)


def _linear(layer: nn.Module, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    yield Part("weight", LinearProjector(rho_in, rho_out), "map")
    yield Part("bias", bias_of(rho_out), "bias")


def _transposed_linear(layer: nn.Module, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    yield Part("weight", LinearProjector(rho_in, rho_out, transposed=True), "map")
    yield Part("bias", bias_of(rho_out), "bias")


def _convolution(layer: _ConvNd, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    yield Part(
        "weight", ConvProjector(rho_in, rho_out, tuple(layer.kernel_size), layer.transposed, layer.groups), "map"
    )
    yield Part("bias", bias_of(rho_out), "bias")


def _attention(layer: nn.MultiheadAttention, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    yield from attention_parts(layer, (rho_in, rho_in, rho_in), rho_out, rho_out)


def attention_parts(
    layer: nn.MultiheadAttention,
    inputs: tuple[Representation, Representation, Representation],
    inner: Representation,
    rho_out: Representation,
) -> Iterator[Part]:
    """The tensors of a `torch.nn.MultiheadAttention`.

    Queries, keys and values of all heads are of one type, which the group must not mix across heads: then
    q · k is invariant, and the softmax with it.

    Args:
        layer: the attention.
        inputs: types of what queries, keys and values are made of.
        inner: type of queries, keys and values.
        rho_out: type of the output.

    Raises:
        ValueError: the widths do not fit, or the group mixes entries of different heads.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = 2 * regular(CyclicGroup(4))
        >>> [part.attribute for part in attention_parts(nn.MultiheadAttention(8, 2), (rho, rho, rho), rho, rho)]
        ['in_proj_weight', 'in_proj_bias', 'bias_k', 'bias_v', 'out_proj.weight', 'out_proj.bias']
    """
    if not keeps_blocks(inner, layer.num_heads):
        raise ValueError(
            f"expected queries and keys whose {layer.num_heads} heads of {layer.head_dim} entries the group does not "
            f"mix, found {inner}"
        )
    if layer.in_proj_weight is not None:
        yield Part("in_proj_weight", LinearProjector(inputs[0], 3 * inner), "map")
    else:
        for letter, rho in zip("qkv", inputs, strict=True):
            yield Part(f"{letter}_proj_weight", LinearProjector(rho, inner), "map")
    yield Part("in_proj_bias", bias_of(3 * inner), "bias")
    yield Part("bias_k", bias_of(inner), "bias")
    yield Part("bias_v", bias_of(inner), "bias")
    yield Part("out_proj.weight", LinearProjector(inner, rho_out), "map")
    yield Part("out_proj.bias", bias_of(rho_out), "bias")


def keeps_blocks(rho: Representation, n_blocks: int) -> bool:
    """Whether every element sends each of n equal blocks of channels into one block, its own or another.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> [keeps_blocks(3 * regular(CyclicGroup(4)), n) for n in (1, 2, 3, 4)]
        [True, False, True, False]
    """
    if rho.dim % n_blocks:
        return False
    size = rho.dim // n_blocks
    for g in rho.group.generators:
        reached = rho(g).abs().unflatten(0, (n_blocks, size)).unflatten(2, (n_blocks, size)).amax((1, 3)) > 1e-9
        if int(reached.sum()) != n_blocks:
            return False
    return True


def _recurrent(layer: nn.RNNBase, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    n_directions = 2 if layer.bidirectional else 1
    state = _equal_share(rho_out, n_directions)
    hidden = state if not layer.proj_size else _multiple(state, layer.hidden_size)
    n_gates = layer.get_parameter("weight_ih_l0").shape[0] // layer.hidden_size
    for depth in range(layer.num_layers):
        for suffix in ("", "_reverse")[:n_directions]:
            end = f"_l{depth}{suffix}"
            inputs = rho_in if depth == 0 else n_directions * state
            yield Part(f"weight_ih{end}", LinearProjector(inputs, n_gates * hidden), "map")
            yield Part(f"weight_hh{end}", LinearProjector(state, n_gates * hidden), "map")
            yield Part(f"weight_hr{end}", LinearProjector(hidden, state), "map")
            yield Part(f"bias_ih{end}", bias_of(n_gates * hidden), "bias")
            yield Part(f"bias_hh{end}", bias_of(n_gates * hidden), "bias")


def _equal_share(rho: Representation, n_shares: int) -> Representation:
    """The ρ of which n copies make the given one."""
    summands = rho.summands[: len(rho.summands) // n_shares]
    share = Representation(tuple((1, summand) for summand in summands)) if summands else rho
    if n_shares * (1 * share) != 1 * rho:
        raise ValueError(f"expected a type that is the same for {n_shares} directions, found {rho}")
    return 1 * share


def _multiple(rho: Representation, n_channels: int) -> Representation:
    if n_channels % rho.dim:
        raise ValueError(f"expected hidden channels that are a multiple of {rho.dim} ({rho}), found {n_channels}")
    return n_channels // rho.dim * rho


def _recurrent_cell(layer: nn.RNNCellBase, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    n_gates = len(layer.weight_ih) // layer.hidden_size
    yield Part("weight_ih", LinearProjector(rho_in, n_gates * rho_out), "map")
    yield Part("weight_hh", LinearProjector(rho_out, n_gates * rho_out), "map")
    yield Part("bias_ih", bias_of(n_gates * rho_out), "bias")
    yield Part("bias_hh", bias_of(n_gates * rho_out), "bias")


def _embedding(layer: nn.Module, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    yield Part("weight", LinearProjector(rho_in, rho_out, transposed=True), "map")


def _scaling(layer: nn.Module, rho_in: Representation, rho_out: Representation) -> Iterator[Part]:
    if rho_in != rho_out:
        raise ValueError(f"expected one type for input and output, found {rho_in} and {rho_out}")
    yield Part("weight", ScaleProjector(rho_out), "scale")
    yield Part("bias", bias_of(rho_out), "bias")
    yield Part("running_mean", bias_of(rho_out), "statistic")
    yield Part("running_var", ScaleProjector(rho_out), "statistic")


def _both(n_channels: int) -> tuple[int, int]:
    return n_channels, n_channels


KINDS = (
    Kind((nn.Linear,), lambda layer: (layer.in_features, layer.out_features), _linear),
    Kind((_ConvNd,), lambda layer: (layer.in_channels, layer.out_channels), _convolution),
    Kind((nn.MultiheadAttention,), lambda layer: _both(layer.embed_dim), _attention),
    Kind(
        (nn.RNNBase,),
        lambda layer: (layer.input_size, (1 + layer.bidirectional) * (layer.proj_size or layer.hidden_size)),
        _recurrent,
    ),
    Kind((nn.RNNCellBase,), lambda layer: (layer.input_size, layer.hidden_size), _recurrent_cell),
    Kind((nn.Embedding, nn.EmbeddingBag), lambda layer: (layer.num_embeddings, layer.embedding_dim), _embedding),
    Kind((nn.Bilinear,), lambda layer: (layer.in1_features * layer.in2_features, layer.out_features), _linear),
    Kind((_NormBase,), lambda layer: _both(layer.num_features), _scaling, maps=False),
    Kind((nn.GroupNorm,), lambda layer: _both(layer.num_channels), _scaling, maps=False),
    Kind((nn.LayerNorm, nn.RMSNorm), lambda layer: _both(math.prod(layer.normalized_shape)), _scaling, maps=False),
    Kind((nn.PReLU,), lambda layer: _both(layer.num_parameters), _scaling, maps=False),
)
_TRANSPOSED_LINEAR = Kind((nn.Module,), lambda layer: tuple(layer.weight.shape), _transposed_linear)
