"""The penalty of the paper, attached to a module that it does not change."""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from equiproj.groups import Group
from equiproj.layers import FeatureType, LayerTypes, typed_parameters
from equiproj.norms import CustomNorm, Norm, parse_norm, power_iteration, start_block
from equiproj.norms.matrix import norm_and_subgradient
from equiproj.regularisers.bundles import bundle, stack_norms
from equiproj.regularisers.packs import MatrixStacks, WeightPack, not_rounding, pack
from equiproj.regularisers.report import EquivarianceReport, measure
from equiproj.regularisers.slope import attach_slope

_METHODS = ("exact", "gram", "power")


class ProjectionPenalty(nn.Module):
    """m(step) Σ_l ( λ_⊥ ‖W_l − P(W_l)‖^power + λ_G ‖P(W_l)‖^power ), a scalar to add to a loss.

    The module is only read: `.weight` of every layer at every call, so that parametrised and weight-normed layers
    work, and nothing has to be undone. The penalty's own state (power iteration, step count) is in its `state_dict`;
    save and load it with the optimiser's, and a resumed run continues bit for bit.

    Biases are left out as in the paper, unless `include_bias`: then a bias counts as one more weight, the (c_out, 1)
    matrix b − P(b). Without it a network reaches exact equivariance only with `bias=False` or `project_`.

    *Autocast*: computed in float32 (float64 for float64 weights) whatever the context. *torch.compile*: the network
    and the penalty compile. *DDP*: every rank computes the same penalty; add it to the loss and call backward once.
    *FSDP2* (`fully_shard`): sharded weights are gathered for the penalty, each rank keeps its shard of the gradient;
    build the penalty before or after sharding. FSDP1 is not supported: its weights are not whole between forwards.

    Args:
        module: any module with linear or convolution layers.
        group: the group, where `layers` does not give representations.
        norm: as for `matrix_norm`, of the kernel flattened to (c_out, c_in·k·…).
        weight_perpendicular: λ_⊥ ≥ 0.
        weight_equivariant: λ_G ≥ 0.
        power: 1 for norms as in the paper's text, 2 for their squares; squared Frobenius has the gradient 2(W − PW).
        layers: submodule name → (rho_in, rho_out); replaces the inference, and layers not named are not penalised.
        schedule: step → multiplier m.
        input_type: type of the first layer's input, `trivial`, `regular` or a representation to be repeated.
        hidden_type: type of all channels between.
        output_type: type of the last layer's output.
        include_bias: penalise biases too.
        method: for norms of singular values: `gram` (the default: no state, within 1e-3 of the SVD for the spectral
            norm and within float32 rounding for the others), `exact` (SVD), or `power` (warm-started power iteration,
            its state held here; cheaper for very wide layers, and less exact: see `power_iteration`).
        image_shape: pixels; if given, convolutions are measured as operators with circular padding on such images
            (`operator_norm`).

    Raises:
        ValueError: unknown norm or method, negative weights, a power other than 1 or 2, or layers that do not fit
            their types, by name.

    References:
        Berndt and Stühmer, arXiv 2601.05028. docs/derivation.md, equations 6.2 to 6.5.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
        >>> penalty = ProjectionPenalty(network, CyclicGroup(4), norm="frobenius", power=2)
        >>> images = torch.randn(2, 1, 8, 8)
        >>> loss = network(images).square().mean() + 1e-2 * penalty()
        >>> loss.backward()
        >>> [row.name for row in penalty.breakdown().rows]
        ['0.weight', '2.weight']
    """

    def __init__(
        self,
        module: nn.Module,
        group: Group | None = None,
        *,
        norm: str | Norm | CustomNorm = "frobenius",
        weight_perpendicular: float = 1.0,
        weight_equivariant: float = 0.0,
        power: int = 1,
        layers: LayerTypes | None = None,
        schedule: Callable[[int], float] | None = None,
        input_type: FeatureType = "trivial",
        hidden_type: FeatureType = "regular",
        output_type: FeatureType = "trivial",
        include_bias: bool = False,
        method: str | None = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.norm = parse_norm(norm)
        self.method = _method(self.norm, method, image_shape)
        self.weight_perpendicular = non_negative("weight_perpendicular", weight_perpendicular)
        self.weight_equivariant = non_negative("weight_equivariant", weight_equivariant)
        self.power, self.schedule, self.image_shape = one_or_two(power), schedule, image_shape
        self.n_calls = 0
        parameters = typed_parameters(
            module,
            group,
            layers=layers,
            input_type=input_type,
            hidden_type=hidden_type,
            output_type=output_type,
            include_bias=include_bias,
        )
        # Inside plain tuples: the module's weights must not become the penalty's parameters.
        self._names = tuple(parameter.name for parameter in parameters)
        self._bundles = tuple(bundle(parameters))
        self._packs = tuple((weights, MatrixStacks(weights, self.norm)) for weights in pack(self._bundles))
        if self.method == "power":
            self._register_blocks()

    def forward(self, step: int | None = None) -> Tensor:
        """The penalty; `step` goes to the schedule, and is counted by calls where it is not given."""
        total = torch.stack([self._of_pack(index) for index in range(len(self._packs))]).sum()
        if self.schedule is None:
            return total
        multiplier = self.schedule(self.n_calls if step is None else step)
        self.n_calls += step is None
        return multiplier * total

    def breakdown(self) -> EquivarianceReport:
        """‖PW‖ and ‖W − PW‖ of every penalised weight, exact, without touching the penalty's state."""
        return measure(self._names, self._bundles, self.norm, self.image_shape)

    def get_extra_state(self) -> dict[str, int]:
        """The step count, saved with the buffers."""
        return {"n_calls": self.n_calls}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the step count."""
        self.n_calls = int(state["n_calls"])

    def _of_pack(self, index: int) -> Tensor:
        weights, _ = self._packs[index]
        values = weights.read()
        # Autocast would lower the products inside to half precision.
        with torch.no_grad(), torch.autocast(values[0].device.type, enabled=False):
            value, slope = self._value_and_slope(index, weights.join(values))
        return attach_slope(value, slope, weights, values)

    def _value_and_slope(self, index: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The penalty of a pack and its gradient in the pack's rows (equations 6.3 and 6.4)."""
        weights, _ = self._packs[index]
        projected = weights.project(rows)
        value, slope = rows.new_zeros(()), None
        for side, factor, part in (
            ("perpendicular", self.weight_perpendicular, rows - projected),
            ("equivariant", self.weight_equivariant, projected),
        ):
            if factor > 0:
                side_value, side_slope = self._of_side(index, side, part, rows)
                value = value + factor * side_value
                slope = factor * side_slope if slope is None else slope + factor * side_slope
        return value, torch.zeros_like(rows) if slope is None else slope

    def _of_side(self, index: int, side: str, part: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        weights, stacks = self._packs[index]
        if self.image_shape is not None:
            return self._of_operators(weights, part, rows)
        if self.norm.schatten_order == 2 and self.power == 2:
            return part.square().sum(), 2 * part
        value, slopes = rows.new_zeros(()), []
        for number, (matrices, whole) in enumerate(zip(stacks.cut(part), stacks.cut(rows), strict=True)):
            kept = not_rounding(matrices, whole, dim=(-2, -1))
            norms, subgradient = self._norms(matrices * kept, f"left_{side}_{index}_{number}")
            value = value + (norms if self.power == 1 else norms.square()).sum()
            slope = kept * subgradient if self.power == 1 else 2 * norms[..., None, None] * kept * subgradient
            slopes.append(slope)
        slope = stacks.paste(slopes)
        projected = weights.project(slope)
        return value, slope - projected if side == "perpendicular" else projected

    def _norms(self, matrices: Tensor, block: str) -> tuple[Tensor, Tensor]:
        if self.method != "power":
            return norm_and_subgradient(matrices, self.norm, self.method)
        # The state follows the weights when those have been moved to another device or precision.
        iterate = power_iteration(matrices, getattr(self, block).to(matrices), cast(float, self.norm.schatten_order))
        setattr(self, block, iterate.left)
        return iterate.value, iterate.subgradient

    def _of_operators(self, weights: WeightPack, part: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Norms of convolution operators, one kernel at a time: the frequency blocks of all would not fit in memory."""
        value, slopes = rows.new_zeros(()), []
        for parameter, kernel, whole in zip(weights.parameters, weights.split(part), weights.split(rows), strict=True):
            kept = not_rounding(kernel, whole, dim=tuple(range(whole.ndim)))
            leaf = (kernel * kept)[None].requires_grad_()
            with torch.enable_grad():
                norm = stack_norms(leaf, parameter.projector, self.norm, self.method, self.image_shape)[0] ** self.power
            (slope,) = torch.autograd.grad(norm, leaf)
            value = value + norm.detach()
            slopes.append(slope[0] * kept)
        return value, weights.join(slopes)

    @torch.no_grad()
    def _register_blocks(self) -> None:
        """Start every power iteration at the exact singular vectors."""
        for index, (weights, stacks) in enumerate(self._packs):
            rows = weights.join(weights.read())
            projected = weights.project(rows)
            for side, part in (("perpendicular", rows - projected), ("equivariant", projected)):
                for number, matrices in enumerate(stacks.cut(part)):
                    block = start_block(matrices, cast(float, self.norm.schatten_order))
                    self.register_buffer(f"left_{side}_{index}_{number}", block)


def _method(norm: Norm | CustomNorm, method: str | None, image_shape: tuple[int, ...] | None) -> str:
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


def one_or_two(power: int) -> int:
    """The power of a norm in a penalty.

    Raises:
        ValueError: it is another number.

    Examples:
        >>> one_or_two(2)
        2
    """
    if power not in (1, 2):
        raise ValueError(f"expected power 1 or 2, found {power!r}")
    return power


def non_negative(name: str, weight: float) -> float:
    """The weight of that name as a float.

    Raises:
        ValueError: it is negative or not finite.

    Examples:
        >>> non_negative("weight", 1.0)
        1.0
    """
    if not 0 <= weight < math.inf:
        raise ValueError(f"expected {name} to be a finite number of at least 0, found {weight}")
    return float(weight)
