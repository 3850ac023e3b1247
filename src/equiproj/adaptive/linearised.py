"""What a mean loss says about the non-equivariant part of a weight: its gradients and its curvature, at the weights."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp, vmap
from torch.nn.utils import parametrize

from equiproj.layers import TypedParameter

Loss = Callable[[Any, Any], Tensor]
Batch = tuple[Any, Any]
# products with as many vectors: more take memory and no less time
_N_AT_ONCE = 64


@dataclass(frozen=True)
class LinearisedLoss:
    """A mean loss over batches near the present weights of a module, in evaluation mode and outside autograd.

    Args:
        module: the network.
        loss: (outputs, targets) → mean over the examples of a batch.
        batches: (inputs, targets); inputs are a tensor, or a tuple or dictionary of what the module is called with.
        parameters: the weights that are looked at.
    """

    module: nn.Module
    loss: Loss
    batches: Sequence[Batch]
    parameters: Sequence[TypedParameter]

    @property
    def n_examples(self) -> int:
        """Examples in all batches."""
        return sum(map(_n_examples, self.batches))

    def n_outputs(self) -> int:
        """Numbers that the module returns for an example."""
        inputs, _ = self.batches[0]
        outputs = called(self.module, inputs)
        return sum(value.numel() for value in _tensors(outputs)) // _n_examples(self.batches[0])

    def batch_gradients(self) -> Iterator[tuple[int, list[Tensor]]]:
        """For each batch its number of examples, and (1 − P)∇ of its mean loss for each parameter, flat (1, n)."""
        for inputs, targets in self.batches:
            found = grad(lambda held, x=inputs, y=targets: self._loss(held, x, y))(self._held())
            yield _n_examples((inputs, targets)), self._perpendicular({name: g[None] for name, g in found.items()})

    def example_gradients(self, chunk_size: int) -> Iterator[list[Tensor]]:
        """(1 − P)∇ of the loss of single examples, flat (n_examples, n) for each parameter, some examples at a time."""

        def of_one(held: Mapping[str, Tensor], inputs: Any, targets: Any) -> Tensor:
            return self._loss(held, _mapped(inputs, _as_batch), _mapped(targets, _as_batch))

        of_many = vmap(grad(of_one), in_dims=(None, 0, 0))
        for batch in self.batches:
            n = _n_examples(batch)
            for start in range(0, n, chunk_size):
                inputs, targets = _mapped(batch, partial(_some, start, chunk_size))
                yield self._perpendicular(of_many(self._held(), inputs, targets))

    def curvature(self, index: int, vectors: Tensor) -> Tensor:
        """(1 − P) H v for vectors (k, n) with Pv = 0 and H the Gauss–Newton matrix of parameter `index`.

        H = mean over examples of Jᵀ ∇²ℓ J, J the Jacobian of the outputs: positive semidefinite for a loss that is
        convex in them, and the Fisher information for a log-likelihood of an exponential family.
        """
        entry, total = self.parameters[index], torch.zeros_like(vectors)
        shape = entry.read_as_held().shape
        for inputs, targets in self.batches:

            def outputs(value: Tensor, x: Any = inputs) -> Any:
                return called(self.module, x, {entry.name: value})

            def loss_gradient(values: Any, y: Any = targets) -> Any:
                return grad(partial(self._loss_of_outputs, y))(values)

            def product(
                vector: Tensor,
                outputs: Callable[[Tensor], Any] = outputs,
                loss_gradient: Callable[[Any], Any] = loss_gradient,
            ) -> Tensor:
                found, moved = jvp(outputs, (entry.read_as_held(),), (vector.view(shape),))[:2]
                # ∇²ℓ is symmetric; backward twice is known for more losses than forward over backward
                turned = vjp(loss_gradient, found)[1](moved)[0]
                return vjp(outputs, entry.read_as_held())[1](turned)[0].reshape(-1)

            total += _n_examples((inputs, targets)) / self.n_examples * vmap(product, chunk_size=_N_AT_ONCE)(vectors)
        return perpendicular(entry, total)

    def _held(self) -> dict[str, Tensor]:
        return {entry.name: entry.read_as_held() for entry in self.parameters}

    def _loss(self, held: Mapping[str, Tensor], inputs: Any, targets: Any) -> Tensor:
        return self.loss(called(self.module, inputs, held), targets)

    def _loss_of_outputs(self, targets: Any, outputs: Any) -> Tensor:
        return self.loss(outputs, targets)

    def _perpendicular(self, gradients: Mapping[str, Tensor]) -> list[Tensor]:
        return [perpendicular(entry, gradients[entry.name].flatten(1)) for entry in self.parameters]


def linearised_loss(
    module: nn.Module, loss: Loss, batches: Iterable[Batch], parameters: Sequence[TypedParameter]
) -> LinearisedLoss:
    """The same, checked.

    Raises:
        ValueError: no batch, or a weight that a parametrisation computes.

    Examples:
        >>> linearised_loss(nn.Linear(1, 1), nn.functional.mse_loss, [], [])
        Traceback (most recent call last):
        ...
        ValueError: expected at least one batch (inputs, targets), found none
    """
    listed = [(inputs, targets) for inputs, targets in batches]
    if not listed:
        raise ValueError("expected at least one batch (inputs, targets), found none")
    for entry in parameters:
        if parametrize.is_parametrized(entry.layer, entry.attribute):
            raise ValueError(
                f"{entry.name}: expected a plain parameter, found a parametrised one; take the parametrisation off "
                "first (StrictEquivariance.remove)"
            )
    return LinearisedLoss(module, loss, listed, parameters)


def perpendicular(entry: TypedParameter, vectors: Tensor) -> Tensor:
    """V − P(V) of flat values (k, n) of a parameter, in float32 or wider.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> (entry,) = typed_parameters(nn.Linear(2, 1), CyclicGroup(2), input_type="regular")
        >>> perpendicular(entry, torch.tensor([[1.0, 3.0]]))
        tensor([[-1.,  1.]])
    """
    wide = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    shaped = wide.reshape(len(wide), *entry.projector.weight_shape)
    return (shaped - entry.projector(shaped)).flatten(1)


def called(module: nn.Module, inputs: Any, held: Mapping[str, Tensor] = MappingProxyType({})) -> Any:
    """What a module returns for a tensor, or a tuple or dictionary of arguments, with other values of parameters.

    Examples:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> called(layer, {"input": torch.ones(1)}, {"weight": torch.tensor([[3.0]])})
        tensor([3.])
    """
    if isinstance(inputs, Mapping):
        return functional_call(module, dict(held), (), dict(inputs))
    return functional_call(module, dict(held), tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,))


def _some(start: int, n: int, value: Tensor) -> Tensor:
    return value[start : start + n]


def _as_batch(value: Tensor) -> Tensor:
    return value.unsqueeze(0)


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(entry, function) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_mapped(entry, function) for entry in value)
    return function(value)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for entry in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(entry)


def _n_examples(batch: Batch) -> int:
    return len(next(_tensors(batch[0])))
