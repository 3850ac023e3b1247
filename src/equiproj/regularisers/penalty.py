"""The penalty of the paper, attached to a module that it does not change."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from equiproj.groups import Group
from equiproj.layers import FeatureType, LayerTypes, ParameterTypes, coverage, typed_parameters
from equiproj.norms import CustomNorm, Norm, parse_norm
from equiproj.norms.names import NormMethod, NormName
from equiproj.projections import Sampling
from equiproj.regularisers.bundles import bundle
from equiproj.regularisers.checks import Power, check_state, one_or_two
from equiproj.regularisers.copies import CopiedWithNetwork
from equiproj.regularisers.layer_weights import LayerWeights, PenaltyWeight
from equiproj.regularisers.methods import check_strides, chosen_method
from equiproj.regularisers.module_tree import ModuleTree
from equiproj.regularisers.pack_sums import PackSums
from equiproj.regularisers.packs import pack
from equiproj.regularisers.part_norms import PartNorms
from equiproj.regularisers.report import EquivarianceReport, measure
from equiproj.regularisers.shares import Shares, dealt
from equiproj.regularisers.turns import Turns
from equiproj.regularisers.weight_in_use import WeightInUse


class ProjectionPenalty(CopiedWithNetwork):
    """m(step) Σ_l ( λ_⊥ ‖W_l − P(W_l)‖^power + λ_G ‖P(W_l)‖^power ), a scalar to add to a loss.

    The module is only read: `.weight` of every layer at every call, so that parametrised and weight-normed layers
    work, and nothing has to be undone. The penalty is no module itself: kept as an attribute of one, it adds nothing to
    what that saves. Its own state (power iteration, step count, an adapted λ_⊥) is in its `state_dict`; save and load
    it with the optimiser's, and a resumed run continues bit for bit. A copy is made of the module and the penalty
    together, in one object; a copy of the penalty alone refuses to work.

    *Derivatives*: of squared Frobenius norms of any order, also by `torch.func`, one of them in forward mode; of other
    norms the first, and a second is an error.

    Biases are left out as in the paper, unless `include_bias`: then a bias counts as one more weight, the (c_out, 1)
    matrix b − P(b). Without it a network reaches exact equivariance only with `bias=False` or `project_`.

    *Adaptive optimisers* scale the step of an entry by all gradients it has had, the penalty's too, so that a strong
    penalty slows P(W) as well, which `ProximalPenalty` does not. A weak one leaves alone what is small and is
    normalised afterwards, such as embeddings: the ratio over all weights hides that, the rows of `breakdown` do not.

    *Autocast*: computed in float32 (float64 for float64 weights) whatever the context. *torch.compile*: the network
    and the penalty compile, into one graph for all steps of a schedule. *DDP*: every rank computes the same penalty;
    add it to the loss of every backward pass, under `no_sync` too. DDP takes for unused what its output does not use:
    with `find_unused_parameters` a penalty of such a layer belongs into the wrapped module's forward pass, whose output
    it then is a part of; elsewhere torch raises a RuntimeError.
    *FSDP2* (`fully_shard`): sharded weights are gathered for the penalty, each rank keeps its shard of the gradient;
    build the penalty before or after sharding. FSDP1 is not supported: its weights are not whole between forwards.

    Args:
        module: any module with layers of a known kind (`typed_parameters`); `coverage` says how much of it they are.
        group: the group, where `layers` does not give representations.
        norm: as for `matrix_norm`, of the kernel flattened to (c_out, c_in·k·…).
        weight_perpendicular: λ_⊥ ≥ 0; 1 where neither it nor `target` nor `balance` is given. A number; or a tensor
            without axes, read at every call, in which the loss has a gradient (it stays yours: the optimiser has to be
            given it); or one of both for every penalised parameter, by its name. The attribute is the λ_⊥ in use.
        target: wanted ‖W − P(W)‖_F / ‖W‖_F over all penalised weights, above 0 and below 1; λ_⊥ is then found by dual
            ascent, whatever the norm. Call `update` once a step.
        balance: wanted ratio r of the gradients' lengths, λ_⊥ = r ‖∇task‖ / ‖∇penalty‖ with running means; call
            `update` once a step.
        weight_equivariant: λ_G ≥ 0, as λ_⊥.
        power: 1 for norms as in the paper's text, 2 for their squares; squared Frobenius has the gradient 2(W − PW).
        layers: submodule name → (rho_in, rho_out); replaces the inference, and layers not named are not penalised.
        parameters: parameter name → (rho_out, rho_in) for any other tensor, as for `typed_parameters`.
        skip: patterns of names of parameters that are not to be penalised.
        strict: raise where matrix parameters are not covered; otherwise they are named once, in a warning.
        schedule: step → multiplier m.
        input_type: type of the module's input, `trivial`, `regular` or a representation to be repeated.
        hidden_type: type of all channels that data flow does not determine.
        output_type: type of the module's output.
        include_bias: penalise vectors too: biases, and factors and offsets of normalisations.
        method: for norms of singular values: `gram` (the default: no state, within 1e-3 of the SVD for the spectral
            norm and within float32 rounding for the others), `exact` (SVD), or `power` (warm-started power iteration,
            its state held here; cheaper for very wide layers, and less exact: see `power_iteration`).
        image_shape: pixels; if given, convolutions are measured as operators with circular padding on such images
            (`operator_norm`).
        sampling: rings of sampled kernels, as for `typed_parameters`.
        example: a batch to infer types with, as for `typed_parameters`.
        every: k: of k calls one computes the penalty, and k-fold; the others are 0 and cost nothing.
        sample: n: the weights are dealt into n parts of about equal size, of which a call computes one, n-fold. They
            take turns in a random order, so that the expectation is the whole penalty and its gradient.
        seed: of the orders.

    Raises:
        ValueError: unknown norm or method, weights that are negative, or by name and not of all and only the penalised
            parameters, more than one of weight, target and balance, or one of the latter with a schedule or
            parametrised layers, a power other than 1 or 2, layers that do not fit their types, by name, or a
            convolution with a stride together with `image_shape`.

    References:
        Berndt and Stühmer, arXiv 2601.05028. docs/derivation.md, equations 6.2 to 6.5, and 6.9 to 6.11
        for `target` and `balance`.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
        >>> penalty = ProjectionPenalty(network, CyclicGroup(4), norm="frobenius", power=2)
        >>> images = torch.randn(2, 1, 8, 8)
        >>> loss = network(images).square().mean() + 1e-2 * penalty()
        >>> loss.backward()
        >>> [row.name for row in penalty.breakdown().rows]
        ['0.weight', '2.weight']

        A target in place of a weight:

        >>> penalty = ProjectionPenalty(network, CyclicGroup(4), target=0.1)
        >>> optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
        >>> for _ in range(300):
        ...     optimiser.zero_grad()
        ...     ((network(images) - 1).square().mean() + penalty()).backward()
        ...     penalty.update()
        ...     optimiser.step()
        >>> penalty.breakdown().total_ratio < 0.15, penalty.weight_perpendicular > 0
        (True, True)
    """

    def __init__(
        self,
        module: nn.Module,
        group: Group | str | None = None,
        *,
        norm: NormName | Norm | CustomNorm = "frobenius",
        weight_perpendicular: PenaltyWeight | None = None,
        target: float | None = None,
        balance: float | None = None,
        weight_equivariant: PenaltyWeight = 0.0,
        power: Power = 1,
        layers: LayerTypes | None = None,
        parameters: ParameterTypes | None = None,
        skip: str | Sequence[str] = (),
        strict: bool = False,
        schedule: Callable[[int], float] | None = None,
        input_type: FeatureType = "trivial",
        hidden_type: FeatureType = "regular",
        output_type: FeatureType = "trivial",
        include_bias: bool = False,
        method: NormMethod | None = None,
        image_shape: tuple[int, ...] | None = None,
        sampling: Sampling | None = None,
        example: Any = None,
        every: int = 1,
        sample: int = 1,
        seed: int = 0,
    ) -> None:
        shares = Shares(every, sample, seed)
        self.norm = parse_norm(norm)
        self.method = chosen_method(self.norm, method, image_shape)
        self.power, self.image_shape = one_or_two(power), image_shape
        typed = typed_parameters(
            module,
            group,
            layers=layers,
            parameters=parameters,
            skip=skip,
            strict=strict,
            input_type=input_type,
            hidden_type=hidden_type,
            output_type=output_type,
            include_bias=include_bias,
            sampling=sampling,
            example=example,
        )
        if image_shape is not None:
            check_strides(typed)
        self._network, self._typed = module, tuple(typed)
        self._tree = ModuleTree(module)
        self.coverage = coverage(module, typed, skip)
        self._bundles = tuple(bundle(typed))
        parts = [pack(bundle(part)) for part in dealt(typed, sample)]
        self._packs = tuple(weights for part in parts for weights in part)
        self._turns = Turns([len(part) for part in parts], shares, schedule)
        self._parts = PartNorms(self._packs, self.norm, self.power, self.method, image_shape)
        self._equivariant = LayerWeights("weight_equivariant", weight_equivariant, self._packs)
        self._weight = WeightInUse(weight_perpendicular, target, balance, self.power, self._packs)
        if self._weight.adapted is not None and not self._turns.are_equal:
            other = "a schedule" if schedule is not None else "every or sample above 1"
            raise ValueError(f"expected {other}, or a weight that adapts itself (target, balance); found both")
        self._sums = PackSums(self._packs, self._parts, self._weight, self._equivariant)

    @property
    def weight_perpendicular(self) -> float | dict[str, float]:
        """λ_⊥ in use: a number, or where it was given by name, one for each parameter."""
        return self._weight.read()

    @property
    def weight_equivariant(self) -> float | dict[str, float]:
        """λ_G in use, likewise."""
        return self._equivariant.read()

    def __call__(self, step: int | None = None) -> Tensor:
        """The penalty; `step` goes to the schedule, `every` and `sample`, and is counted by calls where not given.

        Raises:
            ValueError: a λ that is a tensor, or the schedule's multiplier, is negative.
            RuntimeError: a module of the network is another one than when the penalty was built, or there are more.
            RuntimeError: with `target` or `balance`, the weights have changed and `update` has not been called.
            RuntimeError: this is a copy, and the network was not copied with it.
        """
        self._tree.check("penalty")
        self._weight.begin()
        indices, multiplier = self._turns.at(step)
        if not indices:
            return self._zero().requires_grad_(torch.is_grad_enabled())
        total = torch.stack([self._sums.of(index) for index in indices]).sum()
        if isinstance(multiplier, Tensor):
            multiplier = multiplier.to(total)
        return total if multiplier is None else multiplier * total

    @property
    def n_calls(self) -> int:
        """Steps that have been counted, for a schedule and for what computes the penalty in some of them."""
        return self._turns.n_calls

    def backward_(self, factor: float = 1.0, step: int | None = None) -> Tensor:
        """Add the gradient of factor · penalty to `.grad` of the weights at once, and return the penalty, detached.

        To rounding what `(factor * penalty()).backward()` does, without a graph and without a copy of the weights: what
        it holds besides is of the size of a few of the largest weight at most. No hook on a parameter sees it. Call it
        between the task's `backward()` and the optimiser's step. Under DDP that is after the gradients have been
        averaged, on every rank. With a `GradScaler`, after `scaler.unscale_(optimiser)`, or with
        `factor=scaler.get_scale()` before. In gradient accumulation once for all parts of the batch.

        Args:
            factor: multiplies the gradient; a tensor as λ has its gradient added, too.
            step: as for a call.

        Raises:
            ValueError: a factor other than 1 with `target` or `balance`, which read the penalty's gradient.
            RuntimeError: as for a call.
        """
        self._tree.check("penalty")
        if factor != 1 and self._weight.adapted is not None:
            raise ValueError(f"expected factor 1 with target or balance, found {factor}")
        self._weight.begin()
        indices, given = self._turns.at(step)
        if not indices:
            return self._zero()
        multiplier = 1.0 if given is None else float(given)
        return multiplier * torch.stack([self._sums.accumulate(index, factor * multiplier) for index in indices]).sum()

    def _zero(self) -> Tensor:
        """The penalty of a step that is left out."""
        first = self._packs[0].parameters[0].held()[0]  # as it is held: nothing is computed or gathered
        return torch.zeros((), dtype=torch.promote_types(first.dtype, torch.float32), device=first.device)

    def update(self) -> None:
        """Adapt λ_⊥ to `target` or `balance`: once a step, after `backward()` and before the gradients are cleared.

        Reads the gradient of the task out of `.grad`, where the penalty's own part is known and subtracted: add the
        penalty to the loss as it is, unscale gradients before and clip them afterwards. Nothing happens where λ_⊥ is
        given.

        Raises:
            RuntimeError: there is no penalty to adapt to since the last update, or no gradient.
        """
        self._weight.update()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.norm}, {self.coverage})"

    def held(self) -> list[Tensor]:
        """The tensors of the network that training changes, and the penalty reads."""
        return [tensor for entry in self._typed for tensor in entry.held()]

    def breakdown(self) -> EquivarianceReport:
        """‖PW‖ and ‖W − PW‖ of every penalised weight, exact, without touching the penalty's state."""
        return measure(self._typed, self._bundles, self.norm, self.coverage, self.image_shape)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: the count of calls, power iterations, and what adapting λ_⊥ has come to."""
        return {"n_calls": self.n_calls, "norms": dict(self._parts.state_dict()), "weight": self._weight.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned.

        Raises:
            ValueError: it is the state of something else.
        """
        check_state(state, self.state_dict())
        check_state(state["weight"], self._weight.state_dict())
        self._turns.n_calls = int(state["n_calls"])
        self._parts.load_state_dict(state["norms"])
        self._weight.load_state_dict(state["weight"])
