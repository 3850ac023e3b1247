"""The Frobenius penalty applied beside the optimiser: one proximal step after each of the optimiser's."""

from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from equiproj.groups import Group
from equiproj.layers import TypedParameter, WeightDeclaration, assign_all, coverage, typed_parameters
from equiproj.layers.sharding import reshard
from equiproj.norms import parse_norm
from equiproj.regularisers.adapted_weight import adapted_weight
from equiproj.regularisers.bundles import bundle
from equiproj.regularisers.checks import Power, check_state, non_negative, one_or_two
from equiproj.regularisers.copies import CopiedWithNetwork
from equiproj.regularisers.layer_weights import LayerWeights, PenaltyWeight
from equiproj.regularisers.module_tree import ModuleTree
from equiproj.regularisers.packs import MatrixStacks, not_rounding, pack


class _PackStep(NamedTuple):
    """What the weights of a pack become, all of its rows, and what λ_⊥ is adapted to, where it is."""

    values: list[tuple[TypedParameter, Tensor]]
    rows: Tensor
    seen: Tensor | None


class ProximalPenalty(CopiedWithNetwork):
    """λ_⊥ Σ_l n_l (‖W_l − P(W_l)‖_F / √n_l)^power, minimised by a proximal step of its own and not added to the loss.

    An adaptive optimiser scales the gradient entry by entry; a penalty in the loss therefore moves P(W) too, and takes
    from the steps of the task. Here the optimiser sees the task alone, and `step` then shrinks W − P(W) and leaves P(W)
    as it is, as decoupled weight decay shrinks W. With `power=1` a weight becomes exactly equivariant in finitely many
    steps.

    λ_⊥ counts per unit of learning rate, not of loss, and per entry: n_l is the number of entries of W_l, so that one
    λ_⊥ pins biases and large kernels alike. With `power=1`, without a task and with learning rates η_t, a weight is
    equivariant once λ_⊥ Σ η_t reaches the root mean square of its W − P(W). Adam moves every entry by about η a step,
    so that λ_⊥ above 1 keeps every layer there. A network of drawn weights loses half or more of its scale on that way;
    `equiproj.regularisers.project_initial_` starts it at P(W) without.

    Args:
        module: any module with layers of a known kind. FSDP2 may shard it before or after: every process then calls
            `step`, computes with whole weights and keeps its shards of them.
        group: the group, where `layers` does not give representations.
        weight_perpendicular: λ_⊥ ≥ 0; 0 leaves every bit of the weights as it is. 1 where neither it nor `target` nor
            `balance` is given. A number; or a tensor without axes, read in every step; or one of both for each
            parameter by its name. The attribute of this name is the λ_⊥ in use.
        target: wanted ‖W − P(W)‖_F / ‖W‖_F over all these weights, above 0 and below 1: λ_⊥ is found by dual ascent.
        balance: wanted ratio r between what the penalty and what the optimiser moves, per unit of learning rate:
            λ_⊥ = r ‖ΔW‖ / (η ‖∇penalty‖) with running means; under gradient descent ΔW / η is the task's gradient.
        power: 1 for the norm, 2 for its square.
        declaration: `layers`, `parameters`, `skip`, `strict`, `example`, `input_type`, `hidden_type`, `output_type`,
            `include_bias` as for `typed_parameters`.

    Raises:
        ValueError: a negative weight, more than one of weight, target and balance, a power other than 1 or 2, or layers
            that do not fit the declaration.

    References:
        docs/derivation.md, equations 6.6 to 6.11; Loshchilov and Hutter, ICLR 2019, for weight decay; Yuan and Lin,
        J. R. Stat. Soc. B 68, 2006, for the factor √n_l of a group.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
        >>> optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
        >>> penalty = ProximalPenalty(network, CyclicGroup(4), weight_perpendicular=2.0, include_bias=True)
        >>> for _ in range(100):
        ...     optimiser.zero_grad()
        ...     network(torch.randn(2, 1, 8, 8)).square().mean().backward()
        ...     optimiser.step()
        ...     penalty.step(1e-2)
        >>> from equiproj import equivariance_report
        >>> max(row.ratio for row in equivariance_report(network, CyclicGroup(4)).rows) < 1e-6
        True
    """

    def __init__(
        self,
        module: nn.Module,
        group: Group | str | None = None,
        *,
        weight_perpendicular: PenaltyWeight | None = None,
        target: float | None = None,
        balance: float | None = None,
        power: Power = 1,
        **declaration: Unpack[WeightDeclaration],
    ) -> None:
        self.power = one_or_two(power)
        self._adapted = adapted_weight(weight_perpendicular, target, balance, self.power)
        typed = typed_parameters(module, group, **declaration)
        self.coverage = coverage(module, typed, declaration.get("skip", ()))
        packs = pack(bundle(typed))
        given = 1.0 if weight_perpendicular is None else weight_perpendicular
        self._network, self._tree = module, ModuleTree(module)
        self._given = LayerWeights("weight_perpendicular", given, packs)
        self._packs = tuple((weights, MatrixStacks(weights, parse_norm("frobenius"))) for weights in packs)
        # what may fail is written together and first, so that a step is done whole or not at all
        may_fail = [
            index
            for index, weights in enumerate(packs)
            if any(is_parametrized(parameter.layer, parameter.attribute) for parameter in weights.parameters)
        ]
        self._together = [may_fail, *([index] for index in range(len(packs)) if index not in may_fail)]
        # the weights as the last step left them: what the optimiser has done since is the task's
        self._left: list[Tensor] = []
        if self._adapted is not None:
            self._adapted.to(packs[0].parameters[0].peek().device)

    @property
    def weight_perpendicular(self) -> float | dict[str, float]:
        """λ_⊥ in use: a number, or where it was given by name, one for each parameter."""
        return self._given.read() if self._adapted is None else self._adapted.value.item()

    @torch.no_grad()
    def step(self, learning_rate: float | torch.optim.Optimizer) -> None:
        """W ← P(W) + s (W − P(W)) in place, with the s of equation 6.7; call it after the optimiser's step.

        With `target` or `balance`, λ_⊥ is adapted for the next step; the first step changes nothing. Frozen weights
        stay as they are.

        Args:
            learning_rate: η of the optimiser's step, ≥ 0; or the optimiser, whose groups have an η each, and which
                leaves alone what it does not train.

        Raises:
            ValueError: a negative learning rate or λ, or a parametrisation that cannot hold the value; all weights are
                then as they were.
            RuntimeError: a module of the network is another one than when the penalty was built, or there are more; or
                this is a copy, and the network was not copied with it.
        """
        self._tree.check("penalty")
        if not isinstance(learning_rate, torch.optim.Optimizer):
            non_negative("learning_rate", learning_rate)
        reshard(self._network)
        rates = [
            [
                0.0 if zero else _rate(parameter, learning_rate)
                for parameter, zero in zip(w.parameters, zeros, strict=True)
            ]
            for (w, _), zeros in zip(self._packs, map(self._given.zeros, range(len(self._packs))), strict=True)
        ]
        if not any(map(any, rates)):
            return
        done: dict[int, _PackStep] = {}
        for together in self._together:
            steps = {index: self._step_of(index, rates[index]) for index in together}
            assign_all([pair for each in steps.values() for pair in each.values])
            done |= {} if self._adapted is None else steps
        if self._adapted is not None:
            seen = torch.stack([each.seen for _, each in sorted(done.items()) if each.seen is not None])
            task_norm, penalty_norm, rest_norm, norm = seen.sum(0).sqrt()
            if self._left:
                self._adapted.update(task_norm, penalty_norm, rest_norm / norm)
            self._left = [each.rows for _, each in sorted(done.items())]

    def held(self) -> list[Tensor]:
        """The tensors of the network that the step changes."""
        return [tensor for weights, _ in self._packs for entry in weights.parameters for tensor in entry.held()]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: nothing where λ_⊥ is given."""
        if self._adapted is None:
            return {}
        return {"weight": self._adapted.state_dict(), "left": [rows.clone() for rows in self._left]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned.

        Raises:
            ValueError: it is the state of something else.
        """
        check_state(state, self.state_dict())
        if self._adapted is not None:
            self._adapted.load_state_dict(state["weight"])
            self._left = [rows.to(self._adapted.value.device) for rows in state["left"]]

    def _step_of(self, index: int, own: list[float]) -> _PackStep:
        """What a pack's weights become at learning rates of their own."""
        weights, stacks = self._packs[index]
        before = weights.join(weights.read())
        # a number for all, as nearly always, or one for each entry
        rate: float | Tensor = own[0]
        if len(set(own)) > 1:
            rate = weights.join([torch.full_like(v, r) for v, r in zip(weights.split(before), own, strict=True)])
        weight = self._given.of(index, before) if self._adapted is None else self._adapted.value
        if isinstance(weight, Tensor) and weight.ndim > 0:
            weight = weights.spread(weight).expand_as(before)
        projected = weights.project(before)
        rest, unit_square = self._shrunk(stacks, before - projected, before, rate * weight)
        rows, seen = projected + rest, None
        if self._adapted is not None:
            since = self._left[index].to(before.device) if self._left else before  # a trainer may have moved them
            moved = torch.where(torch.as_tensor(rate) > 0, (before - since) / rate, 0)
            squares = [moved.square().sum(), unit_square, rest.square().sum(), rows.square().sum()]
            seen = torch.stack(squares).to(self._adapted.value)
        # where nothing moves, nothing is even rounded
        values = [(p, v) for p, v, r in zip(weights.parameters, weights.split(rows), own, strict=True) if r > 0]
        return _PackStep(values, rows, seen)

    def _shrunk(self, stacks: MatrixStacks, rest: Tensor, rows: Tensor, reach: float | Tensor) -> tuple[Tensor, Tensor]:
        """What is kept of W − P(W), as rows, and the square of the penalty's gradient before, at λ = 1."""
        shrunk, squares = [], []
        parts, reaches = stacks.cut(rest), [reach] * len(stacks.n_entries)
        if isinstance(reach, Tensor) and reach.ndim > 0:  # of each entry: padding is zero
            reaches = [each.amax((-2, -1), keepdim=True) for each in stacks.cut(reach)]
        wholes = zip(parts, stacks.cut(rows), stacks.n_entries, reaches, strict=True)
        for part, whole, n_entries, reach in wholes:
            part = part * not_rounding(part, whole, dim=(-2, -1))
            norms = torch.linalg.vector_norm(part, dim=(-2, -1), keepdim=True)
            sizes = n_entries.to(norms).sqrt()
            if self.power == 2:
                kept = torch.ones_like(norms) / (1 + 2 * reach)
                squares.append((2 * norms).square().sum())
            else:
                kept = torch.where(norms > reach * sizes, 1 - reach * sizes / norms, 0)
                squares.append((sizes * (norms > 0)).square().sum())
            shrunk.append(kept * part)
        return stacks.paste(shrunk), torch.stack(squares).sum()


def _rate(parameter: TypedParameter, learning_rate: float | torch.optim.Optimizer) -> float:
    """η of a weight; 0 where it is frozen, or not the optimiser's."""
    trained = [held for held in parameter.held() if held.requires_grad]
    if not isinstance(learning_rate, torch.optim.Optimizer):
        return float(learning_rate) if trained else 0.0
    own = {id(held) for held in trained}
    groups = [group for group in learning_rate.param_groups if own & {id(held) for held in group["params"]}]
    return max((float(group["lr"]) for group in groups), default=0.0)
