"""Which group a trained network, or its data, is symmetric to: two measures of each candidate."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from equiproj.adaptive.group_ranking import GroupRanking, candidate_groups, ranked
from equiproj.adaptive.score_test import score_test
from equiproj.groups import Group, is_subgroup
from equiproj.layers import TypedParameter, typed_parameters
from equiproj.projections import equivariant_dimension
from equiproj.regularisers import project_
from equiproj.representations import Representation

_N_DRAWS = 10_000  # of random weights
_CLOSE = 0.25  # of the distance of random weights
_ROUNDING = 1e-9  # of a projection in float64


def rank_groups_by_distance(
    module: nn.Module, groups: Sequence[Group | str], *, level: float = 0.05, seed: int = 0, **declaration: Any
) -> GroupRanking:
    """Measured ‖W − PW‖ / ‖W‖ of a trained network against that of random weights of the same norms.

    The null hypothesis is that each weight points anywhere: then ‖W − PW‖² / ‖W‖² of a layer follows the law
    beta(d_⊥/2, d_G/2) with the dimensions of the two parts (equation 10.1). A group is kept where the distance is at
    most a quarter of the expected one, smaller than in all but a share `level` of draws divided by the number of
    candidates, and every candidate inside it is kept. Where the weights that one of these fixes contain all that the
    group fixes (types of both in one order, as without regular fields), W stands for its projection onto them, and the
    question is what the group has beyond.

    This sees a symmetry only if the order of the network's channels follows the types: in a single layer, or after
    training that pulled it there. A plain network of several layers has its hidden channels in no order, and looks
    random to every group.

    Args:
        module: a trained network.
        groups: candidates, or their names (`parse_group`).
        level: of the tests together.
        seed: of the draws.
        declaration: `layers`, `parameters`, `skip`, `example`, `input_type`, `hidden_type`, `output_type` as for
            `typed_parameters`, or a function from a group to it, such as `standard`.

    Raises:
        ValueError: layers that do not fit a candidate, no candidates, or weights that are not finite.

    Examples:
        >>> from equiproj.adaptive import rank_groups_by_distance
        >>> _ = torch.manual_seed(0)
        >>> layer = project_(nn.Conv2d(1, 1, 7, bias=False), "C4")
        >>> rank_groups_by_distance(layer, ["C2", "C4", "D4"]).largest
        (CyclicGroup(4),)
    """
    candidates = candidate_groups(groups)
    generator = np.random.default_rng(seed)
    found: dict[Group, tuple[float, float, float]] = {}
    bases: dict[Group, _Weights] = {}
    for group in sorted(candidates, key=lambda g: sum(is_subgroup(h, g) for h in candidates)):
        entries = typed_parameters(module, group, **declaration_for(declaration, group))
        inside = [bases[h] for h in reversed(bases) if is_subgroup(h, group)]
        weights, projected = _within([*inside, _all_of(entries)], entries)
        found[group] = _distance(weights, projected, generator)
        measured, null, p_value = found[group]
        if measured <= _CLOSE * null and p_value <= level / len(candidates):
            bases[group] = projected
    kept = [group in bases for group in candidates]
    words = ("closer than random", "not closer than random", "not closer than random in")
    return ranked("distance", candidates, [found[group] for group in candidates], kept, words)


class _Weights(NamedTuple):
    """Values of all weights, in float64, and the dimensions of the spaces that they lie in."""

    values: list[Tensor]
    dimensions: list[int]


@torch.no_grad()
def _all_of(entries: Sequence[TypedParameter]) -> _Weights:
    values = [entry.read().double() for entry in entries]
    for entry, value in zip(entries, values, strict=True):
        if not value.isfinite().all():
            raise ValueError(f"{entry.name}: expected finite weights, found NaN or infinity")
    return _Weights(values, [value.numel() for value in values])


@torch.no_grad()
def _within(spaces: Sequence[_Weights], entries: Sequence[TypedParameter]) -> tuple[_Weights, _Weights]:
    """The first space that contains the equivariant weights, and these; the last is that of all weights."""
    dimensions = [equivariant_dimension(entry.projector) for entry in entries]
    expected = [entry.projector(value) for entry, value in zip(entries, spaces[-1].values, strict=True)]
    for space in spaces[:-1]:
        projected = [
            entry.projector(value.reshape(whole.shape))
            for entry, value, whole in zip(entries, space.values, expected, strict=True)
        ]
        if all(torch.allclose(a, b, rtol=0, atol=_ROUNDING) for a, b in zip(projected, expected, strict=True)):
            return space, _Weights(projected, dimensions)
    return spaces[-1], _Weights(expected, dimensions)


def _distance(weights: _Weights, projected: _Weights, generator: np.random.Generator) -> tuple[float, float, float]:
    """Distance, its root mean square for random weights, and the share of those that are as close."""
    squares = np.array([float(value.square().sum()) for value in weights.values])
    rest = sum(float((a - b).square().sum()) for a, b in zip(weights.values, projected.values, strict=True))
    shares = squares / max(squares.sum(), np.finfo(float).tiny)
    halves = [((a - b) / 2, b / 2) for a, b in zip(weights.dimensions, projected.dimensions, strict=True)]
    # without one of the two parts the other has everything
    drawn = [generator.beta(a, b, _N_DRAWS) if a and b else np.full(_N_DRAWS, float(b == 0)) for a, b in halves]
    random, measured = shares @ np.stack(drawn), rest / max(squares.sum(), np.finfo(float).tiny)
    p_value = (1 + int((random <= measured).sum())) / (1 + _N_DRAWS)
    return measured**0.5, float(random.mean()) ** 0.5, p_value


def rank_groups_by_score(
    module: nn.Module,
    groups: Sequence[Group | str],
    *,
    loss: Callable[[Any, Any], Tensor],
    batches: Sequence[tuple[Any, Any]],
    fit: Callable[[nn.Module, Group], None] | None = None,
    level: float = 0.05,
    **declaration: Any,
) -> GroupRanking:
    """The gradient of the loss outside the equivariant weights, at equivariant networks, against its noise.

    If the data are symmetric under G, the gradient at an equivariant network is equivariant in the mean, wherever the
    network stands, and (1 − P)∇ is noise (`score_test`). For each candidate a copy of the network is projected, fitted
    if `fit` is given, projected again and tested. Without `fit` the whole law of inputs and targets is tested; at the
    strict solution the inputs matter less the better it explains the targets, and the noise is smallest. A group is
    rejected if its own test rejects it at the level, corrected for the number of candidates by Holm's method, or if a
    candidate inside it is rejected: a symmetric group with at most the probability `level`, as far as p-values hold.
    Groups whose kernels are sampled (C_8, SO(2)) are tested up to sampling: enough data reject them for that alone.

    Args:
        module: a network, trained or not; it is not changed.
        groups: candidates, or their names.
        loss: of outputs and targets, as `score_test` wants it.
        batches: pairs (inputs, targets); better others than those that `fit` uses.
        fit: trains a strictly equivariant copy in place: one that projects after each of its steps (`project_`).
        level: of the tests together.
        declaration: as for `rank_groups_by_distance`.

    Raises:
        ValueError: as `score_test`, or no candidates.

    Examples:
        >>> from equiproj.adaptive import rank_groups_by_score
        >>> from equiproj.representations import regular
        >>> seed = torch.Generator().manual_seed(0)
        >>> inputs = torch.randn(300, 4, generator=seed)
        >>> targets = inputs @ torch.tensor([[1.0], [2.0], [1.0], [2.0]])  # half turns keep it, quarter turns do not
        >>> ranking = rank_groups_by_score(
        ...     torch.nn.Linear(4, 1, bias=False),
        ...     ["C4"],
        ...     loss=torch.nn.functional.mse_loss,
        ...     batches=[(inputs, targets)],
        ...     input_type=regular,
        ... )
        >>> ranking.rows[0].is_kept
        False
    """
    candidates = candidate_groups(groups)
    found = []
    for group in candidates:
        declared = declaration_for(declaration, group)
        strict = project_(copy.deepcopy(module), group, **declared)
        if fit is not None:
            fit(strict, group)
            project_(strict, group, **declared)
        tested = score_test(strict, group, loss=loss, batches=batches, n_steps=1, **declared)
        score, noise = (sum(getattr(row, name) for row in tested.rows) for name in ("score", "noise"))
        found.append((score, noise, tested.p_value))
    kept = [not rejected for rejected in _holm([p_value for *_, p_value in found], level)]
    return ranked("score", candidates, found, kept, ("not rejected", "rejected", "rejected with"))


def declaration_for(declaration: dict[str, Any], group: Group) -> dict[str, Any]:
    """The declaration for one group."""
    made = {name: each for name, each in declaration.items() if callable(each) and not isinstance(each, Representation)}
    return declaration | {name: make(group) for name, make in made.items()}


def _holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses Holm's step-down method rejects.

    Examples:
        >>> _holm([0.01, 0.04, 0.03], 0.05)
        [True, False, False]
    """
    rejected = [False] * len(p_values)
    for rank, position in enumerate(np.argsort(p_values)):
        if p_values[position] > level / (len(p_values) - rank):
            break
        rejected[position] = True
    return rejected
