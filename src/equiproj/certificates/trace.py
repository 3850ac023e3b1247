"""What a network computes in evaluation mode, operation by operation, with the values that no input changes."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from equiproj.layers import TypedParameter
from equiproj.layers.evaluating import evaluating

BATCH = 2  # images of an example: what mixes them has no rule


@dataclass(frozen=True)
class Operation:
    """One call of a torch operation that depends on the input.

    Args:
        name: what later operations call its value.
        place: the module in which it happens, for people.
        target: the operation, of `torch.ops.aten`.
        arguments: values; what an input decides is the `Reference` of an operation, other tensors are constants.
        options: the same by keyword.
        shape: of its value.
    """

    name: str
    place: str
    target: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    shape: tuple[int, ...]

    def refusal(self, problem: str) -> ValueError:
        """The error of a part that is not covered, by its place."""
        return ValueError(f"{self.place!r} ({self.target}): {problem}")


@dataclass(frozen=True)
class Reference:
    """The value of an operation, and its shape."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """A value that no input changes, and the parameters of the module that it comes from."""

    value: Tensor
    owners: frozenset[str]


@dataclass(frozen=True)
class Trace:
    """What a network computes.

    Args:
        operations: in their order; `torch.export` has resolved Python, hooks and what works in place.
        input_name: how operations call the input.
        output_name: the operation whose value the network returns.
        output_shape: of that value.
        unit: largest unit roundoff of what is computed.
        n_inputs: inputs of the batch.
    """

    operations: tuple[Operation, ...]
    input_name: str
    output_name: str
    output_shape: tuple[int, ...]
    unit: float
    n_inputs: int


def trace(module: nn.Module, input_shape: tuple[int, ...], n_inputs: int = BATCH) -> Trace:
    """Trace a network for inputs (n_inputs, *input_shape), at least two.

    Raises:
        ValueError: `torch.export` cannot trace it, for example because it branches on values.
    """
    first = next(module.parameters())
    example = torch.zeros(n_inputs, *input_shape, dtype=first.dtype, device=first.device)
    with evaluating(module), _one_precision_of_cudnn(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        try:
            program = torch.export.export(module, (example,), strict=False).run_decompositions({})
        except Exception as error:  # whatever the network's own code or torch's tracer raises
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            name = type(module).__name__
            raise ValueError(f"expected a network that torch.export can trace, found {name}: {reason}") from error
    signature = program.graph_signature
    held = {**program.state_dict, **program.constants}
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    constants = {name: Constant(held[target].detach(), frozenset({target})) for name, target in names.items()}
    return _read(program.graph, constants, n_inputs)


def typed_weight(weight: Constant, module: nn.Module, parameters: list[TypedParameter]) -> TypedParameter:
    """The declared layer whose weight a constant is, or is computed from.

    Raises:
        ValueError: there is none, or there are several with different types.
    """
    named = dict(module.named_parameters(remove_duplicate=False))
    sources = {id(named[owner]) for owner in weight.owners if owner in named}
    found = [
        entry
        for entry in parameters
        if entry.attribute == "weight"
        and entry.role == "map"
        and sources & {id(parameter) for parameter in entry.layer.parameters()}
    ]
    if not found or any(entry.projector != found[0].projector for entry in found):
        problem = "no declared layer has this weight" if not found else "layers of different types share this weight"
        raise ValueError(f"{', '.join(sorted(weight.owners))}: {problem}")
    return found[0]


def _read(graph: fx.Graph, constants: dict[str, Constant], n_inputs: int) -> Trace:
    operations, inputs, outputs, precisions = [], [], [], [0.0]
    for node in graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, Tensor) and value.dtype.is_floating_point:
            precisions.append(torch.finfo(value.dtype).eps / 2)
        if node.op == "placeholder":
            inputs += [] if node.name in constants else [node.name]
        elif node.op == "output":
            outputs = list(node.args[0])
        elif not node.users:  # a check by torch
            continue
        elif all(part.name in constants for part in node.all_input_nodes):
            constants[node.name] = _computed(node, constants)
        else:
            operations.append(_operation(node, constants))
    if len(outputs) != 1 or not isinstance(outputs[0], fx.Node) or outputs[0].name in constants:
        raise ValueError("expected a network with one output that depends on its input")
    return Trace(tuple(operations), inputs[0], outputs[0].name, _shape(outputs[0]), max(precisions), n_inputs)


def _computed(node: fx.Node, constants: dict[str, Constant]) -> Constant:
    arguments, options = fx.node.map_arg((node.args, node.kwargs), lambda part: constants[part.name].value)
    owners = frozenset[str]().union(*(constants[part.name].owners for part in node.all_input_nodes))
    return Constant(node.target(*arguments, **options), owners)  # type: ignore[operator]  # it is a function


def _operation(node: fx.Node, constants: dict[str, Constant]) -> Operation:
    def value_of(part: fx.Node) -> Any:
        return constants.get(part.name) or Reference(part.name, _shape(part))

    path = [name for name, _ in node.meta.get("nn_module_stack", {}).values()]
    arguments, options = fx.node.map_arg((node.args, node.kwargs), value_of)
    place = path[-1] if path and path[-1] else node.name
    return Operation(node.name, place, node.target, tuple(arguments), dict(options), _shape(node))


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Shape of the value, or of the first of several."""
    value = node.meta["val"]
    return tuple(value[0].shape if isinstance(value, list | tuple) else value.shape)


@contextmanager
def _one_precision_of_cudnn() -> Iterator[None]:
    """Torch's tracer asks for one precision of cuDNN, and gets an error where somebody has set it in the new way."""
    cudnn: Any = torch.backends.cudnn
    try:
        _ = cudnn.allow_tf32
    except RuntimeError:
        parts = (cudnn.conv, cudnn.rnn)
        before = [part.fp32_precision for part in parts]
        for part in parts:
            part.fp32_precision = "tf32"
        try:
            yield
        finally:
            for part, precision in zip(parts, before, strict=True):
                part.fp32_precision = precision
    else:
        yield
