"""λ of a penalty as it is given: one for all weights or one for each, numbers or tensors that learn."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from equiproj.regularisers.checks import non_negative
from equiproj.regularisers.packs import WeightPack

LayerWeight = float | Tensor
PenaltyWeight = LayerWeight | Mapping[str, LayerWeight]


class LayerWeights:
    """λ_l of every weight of some packs.

    A tensor is read at every use and keeps its history: a loss with the penalty in it has the norms as its gradient
    in λ.

    Args:
        name: what the caller calls it.
        given: a number, a tensor without axes, or one of them for every parameter by its name.
        packs: the weights.

    Raises:
        ValueError: a negative number, a tensor with axes, names that are not penalised parameters, or not all of them.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> from equiproj.regularisers.bundles import bundle
        >>> from equiproj.regularisers.packs import pack
        >>> network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
        >>> packs = pack(bundle(typed_parameters(network, CyclicGroup(4))))
        >>> weights = LayerWeights("weight", {"0.weight": 2.0, "1.weight": torch.tensor(0.5)}, packs)
        >>> weights.of(0, torch.zeros(1))
        tensor([2.0000, 0.5000])
        >>> weights.read()
        {'0.weight': 2.0, '1.weight': 0.5}
    """

    def __init__(self, name: str, given: PenaltyWeight, packs: Sequence[WeightPack]) -> None:
        self._name = name
        self._names = [[parameter.name for parameter in weights.parameters] for weights in packs]
        if isinstance(given, Mapping):
            _check_names(name, given, [each for names in self._names for each in names])
            self._each: list[list[LayerWeight]] | None = [
                [_checked(self._of_parameter(each), given[each]) for each in names] for names in self._names
            ]
            numbers = [[0.0 if isinstance(v, Tensor) else v for v in own] for own in self._each]
            self._numbers = [torch.tensor(own, dtype=torch.float64, device="cpu") for own in numbers]
            self._held: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}
        else:
            self._one, self._each = _checked(name, given), None

    def zeros(self, index: int) -> list[bool]:
        """Which parameters of pack `index` are not penalised, nor ever will be."""
        given = [self._one] * len(self._names[index]) if self._each is None else self._each[index]
        return [not isinstance(each, Tensor) and each == 0 for each in given]

    def is_zero(self, index: int) -> bool:
        """Whether none is."""
        return all(self.zeros(index))

    def of(self, index: int, rows: Tensor) -> LayerWeight:
        """λ of pack `index`, whose weights are `rows`: one for all, or a vector in the order of its parameters.

        Raises:
            ValueError: a tensor has become negative.
        """
        if self._each is None:
            return _read(self._name, self._one, rows)
        key = index, rows.device, rows.dtype
        if key not in self._held:
            self._held[key] = self._numbers[index].to(rows.dtype).to(rows.device)
        numbers = self._held[key]
        named = zip(self._names[index], self._each[index], strict=True)
        learned = {i: _read(self._of_parameter(n), each, rows) for i, (n, each) in enumerate(named) if _learns(each)}
        if not learned:
            return numbers
        return torch.stack([torch.as_tensor(learned.get(i, numbers[i])) for i in range(len(numbers))])

    def read(self) -> float | dict[str, float]:
        """As numbers: one, or one for each parameter by its name."""
        if self._each is None:
            return _number(self._one)
        pairs = (pair for pack in zip(self._names, self._each, strict=True) for pair in zip(*pack, strict=True))
        return {name: _number(each) for name, each in pairs}

    def _of_parameter(self, name: str) -> str:
        return f"{self._name} of {name}"


def _number(given: LayerWeight) -> float:
    return float(given.detach()) if isinstance(given, Tensor) else given


def _learns(given: LayerWeight) -> bool:
    return isinstance(given, Tensor)


def _checked(name: str, given: LayerWeight) -> LayerWeight:
    if not isinstance(given, Tensor):
        return non_negative(name, given)
    if given.ndim > 0 or not given.is_floating_point():
        raise ValueError(
            f"expected {name} to be a number or a tensor of one without axes, "
            f"found {given.dtype} of shape {tuple(given.shape)}"
        )
    return given


def _read(name: str, given: LayerWeight, rows: Tensor) -> LayerWeight:
    if not isinstance(given, Tensor):
        return given
    if not torch.compiler.is_compiling():  # a graph has no errors that depend on numbers
        non_negative(name, _number(given))
    return given.to(rows)


def _check_names(name: str, given: Mapping[str, LayerWeight], known: Sequence[str]) -> None:
    unknown = [each for each in given if each not in known]
    if unknown:
        raise ValueError(f"expected {name} to name penalised parameters ({', '.join(known)}), found {unknown}")
    missing = [each for each in known if each not in given]
    if missing:
        raise ValueError(
            f"expected {name} for every penalised parameter (0.0 leaves one alone), found none of {missing}"
        )
