"""How far the weights of a network are from equivariant: by layer, all together, and since training began."""

import math

from torch import nn

from ctmar.models.build import layer_types
from ctmar.store.run_records import LayerNorms, WeightNorms
from equiproj import equivariance_report
from equiproj.groups import FiniteGroup

_ROUNDING = 1e-5  # a projection leaves ‖W − PW‖ / ‖W‖ below this in float32


def layer_norms(network: nn.Module, group: FiniteGroup) -> list[LayerNorms]:
    """‖P(W)‖_F, ‖W − P(W)‖_F and ‖W − P(W)‖_F / ‖W‖_F of every weight and bias of a typed layer."""
    report = equivariance_report(network, group, layers=layer_types(network, group), include_bias=True)
    return [LayerNorms(**row._asdict()) for row in report.rows]


def together(layers: list[LayerNorms]) -> WeightNorms:
    """The norms of the weights of all layers together.

    Examples:
        >>> row = LayerNorms(name="weight", norm_equivariant=4.0, norm_perpendicular=3.0, ratio=0.6, norm="frobenius")
        >>> together([row]).ratio
        0.6
    """
    perpendicular = math.hypot(*(row.norm_perpendicular for row in layers))
    return WeightNorms(
        norm=math.hypot(perpendicular, *(row.norm_equivariant for row in layers)), norm_perpendicular=perpendicular
    )


def non_equivariance_growth(start: WeightNorms, end: WeightNorms) -> float:
    """(‖W − PW‖ − ‖W₀ − PW₀‖) / ‖W₀‖: what training added to the non-equivariant part, in units of the first weights.

    It is 0 before the first step whatever the start. From the projection of the drawn weights it is never negative;
    from weights that were drawn at random it falls to −√(1 − 1/|G|) (−0.87 for regular fields of C_4) where all that
    was drawn outside the equivariant subspace is gone. NaN where the first weights are all 0.

    Args:
        start: the weights W₀ before the first step.
        end: the weights W now.

    Examples:
        >>> start, end = WeightNorms(norm=2.0, norm_perpendicular=0.0), WeightNorms(norm=3.0, norm_perpendicular=1.0)
        >>> non_equivariance_growth(start, end)
        0.5
    """
    grown = end.norm_perpendicular - start.norm_perpendicular
    return grown / start.norm if start.norm > 0 else math.nan


def non_equivariance_of_start(start: WeightNorms, end: WeightNorms) -> float:
    """‖W − PW‖ / ‖W‖ over ‖W₀ − PW₀‖ / ‖W₀‖: the share that is left of the non-equivariance of the drawn weights.

    Weights drawn at random have ‖W₀ − PW₀‖ / ‖W₀‖ = √(1 − 1/|G|) between regular fields, and most training leaves it
    there: the ratio by itself measures the draw. NaN where the start was equivariant: there is nothing to compare with.

    Args:
        start: the weights W₀ before the first step.
        end: the weights W now.

    Examples:
        >>> start, end = WeightNorms(norm=5.0, norm_perpendicular=4.0), WeightNorms(norm=5.0, norm_perpendicular=2.0)
        >>> non_equivariance_of_start(start, end)
        0.5
    """
    return end.ratio / start.ratio if start.ratio > _ROUNDING else math.nan
