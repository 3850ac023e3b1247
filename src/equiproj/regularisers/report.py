"""How equivariant the weights of a module are, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Unpack

import torch
from torch import nn

from equiproj.groups import Group
from equiproj.layers import Coverage, TypedParameter, WeightDeclaration, coverage, typed_parameters
from equiproj.norms import CustomNorm, Norm, parse_norm
from equiproj.norms.names import NormName
from equiproj.regularisers.bundles import Bundle, bundle, stack_norms


class ReportRow(NamedTuple):
    """One weight: ‖PW‖, ‖W − PW‖ and ‖W − PW‖ / ‖W‖ (0 for W = 0, NaN for a W that holds NaN), in the norm named.

    Examples:
        >>> ReportRow("weight", norm_equivariant=4.0, norm_perpendicular=3.0, ratio=0.6, norm="frobenius").ratio
        0.6
    """

    name: str
    norm_equivariant: float
    norm_perpendicular: float
    ratio: float
    norm: str


@dataclass(frozen=True)
class EquivarianceReport:
    """Rows in order of registration, ‖W − PW‖ / ‖W‖ of all of them together in the Frobenius norm, and their share.

    A ratio of 0 says that the weights in the rows are equivariant, and nothing of what the rows leave out: that is in
    the coverage. Kernels of turns off the pixel grid (C_8, SO(2), …) are equivariant up to sampling at best
    (`equiproj.projections.turning_error`). Whether the whole network is, is measured (`measured_defect`).

    Examples:
        >>> from equiproj.layers import Coverage
        >>> row = ReportRow("weight", norm_equivariant=4.0, norm_perpendicular=3.0, ratio=0.6, norm="frobenius")
        >>> print(EquivarianceReport((row,), total_ratio=0.6, coverage=Coverage(9, 9, (), (), 0, ("bias",))))
        layer          ‖PW‖      ‖W−PW‖      ratio  norm
        weight            4           3        0.6  frobenius
        network                                0.6  frobenius
        covered: 100 % of matrix parameters (9 of 9); 0 of 1 vectors
    """

    rows: tuple[ReportRow, ...]
    total_ratio: float
    coverage: Coverage

    def __str__(self) -> str:
        width = max(len("network"), *(len(row.name) for row in self.rows))
        lines = [f"{'layer':{width}}  {'‖PW‖':>10}  {'‖W−PW‖':>10}  {'ratio':>9}  norm"]
        for name, equivariant, perpendicular, ratio, norm in self.rows:
            lines.append(f"{name:{width}}  {equivariant:10.4g}  {perpendicular:10.4g}  {ratio:9.3g}  {norm}")
        lines.append(f"{'network':{width}}  {'':10}  {'':10}  {self.total_ratio:9.3g}  frobenius")
        lines.append(f"covered: {self.coverage}")
        return "\n".join(lines)


def equivariance_report(
    module: nn.Module,
    group: Group | str | None = None,
    *,
    norm: NormName | Norm | CustomNorm = "frobenius",
    image_shape: tuple[int, ...] | None = None,
    **declaration: Unpack[WeightDeclaration],
) -> EquivarianceReport:
    """Size of the equivariant and the non-equivariant part of every layer.

    Args:
        module: any module with layers of a known kind.
        group: the group, where `layers=` does not give representations.
        norm: as for `matrix_norm`, of the kernel flattened to (c_out, c_in·k·…); exact, by SVD where one is needed.
        image_shape: pixels; if given, convolutions are measured as operators (`operator_norm`).
        declaration: `layers`, `parameters`, `skip`, `strict`, `example`, `input_type`, `hidden_type`, `output_type`,
            `include_bias`, `sampling` as for `typed_parameters`.

    Raises:
        ValueError: unknown norm, layers that do not fit the declaration, or with `strict=True` matrix parameters that
            are not covered.

    Warns:
        UserWarning: matrix parameters are not covered, by name.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> layer = nn.Linear(4, 4)
        >>> _ = nn.init.eye_(layer.weight)
        >>> report = equivariance_report(layer, CyclicGroup(4), input_type="regular", output_type="regular")
        >>> print(report)
        layer          ‖PW‖      ‖W−PW‖      ratio  norm
        weight            2           0          0  frobenius
        network                                  0  frobenius
        covered: 100 % of matrix parameters (16 of 16); 0 of 1 vectors
    """
    parameters = typed_parameters(module, group, **declaration)
    covered = coverage(module, parameters, declaration.get("skip", ()))
    return measure(parameters, bundle(parameters), parse_norm(norm), covered, image_shape)


@torch.no_grad()
def measure(
    parameters: Sequence[TypedParameter],
    bundles: Sequence[Bundle],
    norm: Norm | CustomNorm,
    covered: Coverage,
    image_shape: tuple[int, ...] | None = None,
) -> EquivarianceReport:
    """The report of bundles, rows in the order of the parameters."""
    rows: dict[str, ReportRow] = {}
    squared_total = squared_perpendicular = 0.0
    for entry in bundles:
        weights = entry.stack()
        projected = entry.projector(weights)
        parts = torch.stack([projected, weights - projected, weights])
        norms = stack_norms(parts.flatten(0, 1), entry.projector, norm, image_shape=image_shape).unflatten(0, (3, -1))
        for parameter, equivariant, perpendicular, whole in zip(entry.parameters, *norms.tolist(), strict=True):
            ratio = 0.0 if whole == 0 else perpendicular / whole
            rows[parameter.name] = ReportRow(parameter.name, equivariant, perpendicular, ratio, str(norm))
        squares = parts.double().square().flatten(1).sum(1).tolist()
        squared_perpendicular, squared_total = squared_perpendicular + squares[1], squared_total + squares[2]
    ratio = 0.0 if squared_total == 0 else (squared_perpendicular / squared_total) ** 0.5
    return EquivarianceReport(tuple(rows[parameter.name] for parameter in parameters), ratio, covered)
