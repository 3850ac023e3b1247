"""Right and wrong uses, for type checkers alone: nothing here is called.

A wrong line ends in what each checker has to call it; every other line is right.
"""

from torch import Tensor, nn

from equiproj import ProjectionPenalty, ProximalPenalty, equivariance_report, project_
from equiproj.groups import CyclicGroup
from equiproj.norms import CustomNorm, Norm, matrix_norm, parse_norm
from equiproj.regularisers import project_initial_
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)


def build(network: nn.Module, name: str, learnt: nn.Parameter) -> None:
    ProjectionPenalty(network, "C4", norm="spectral", power=2, method="gram", weight_perpendicular=1e-3)
    ProjectionPenalty(network, GROUP, norm=parse_norm(name), weight_perpendicular=learnt)
    ProjectionPenalty(network, GROUP, norm=Norm("schatten", (2.5,)), weight_equivariant={"0.weight": 0.5, name: learnt})
    ProjectionPenalty(network, norm=CustomNorm("own", lambda matrix: matrix.abs().sum((-2, -1))), input_type="regular")
    ProjectionPenalty(network, layers={"0": (trivial(GROUP), regular(GROUP))}, hidden_type="2*trivial + rest*regular")
    ProjectionPenalty(network, "C4", norm="frobenious")  # mypy: arg-type, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", norm=name)  # mypy: arg-type, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", power=3)  # mypy: arg-type, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", method="svd")  # mypy: arg-type, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", hidden_type=regular)  # mypy: arg-type, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", weight_perpendicular="1e-3")  # mypy: arg-type, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", weight_perpendicular={0: 1.0})  # mypy: dict-item, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", layers={"0": regular(GROUP)})  # mypy: dict-item, pyright: reportArgumentType
    ProjectionPenalty(network, "C4", lam=1e-3)  # mypy: call-arg, pyright: reportCallIssue
    ProjectionPenalty(network, "C4", "spectral")  # mypy: call-arg, pyright: reportCallIssue
    ProjectionPenalty("network", "C4")  # mypy: arg-type, pyright: reportArgumentType


def use(penalty: ProjectionPenalty) -> Tensor:
    penalty.load_state_dict(penalty.state_dict())
    penalty.breakdown().rows[0].ratio.is_integer()
    print(penalty().total_ratio)  # mypy: attr-defined, pyright: reportAttributeAccessIssue
    penalty("first")  # mypy: arg-type, pyright: reportArgumentType
    print(penalty.weight)  # mypy: attr-defined, pyright: reportAttributeAccessIssue
    print(penalty.breakdown().rows[0].ration)  # mypy: attr-defined, pyright: reportAttributeAccessIssue
    value: float = penalty()  # mypy: assignment, pyright: reportAssignmentType
    return value * penalty()


def project(network: nn.Sequential) -> None:
    project_(network, "C4", skip=["head.*"], strict=True, example=None).eval()
    project_initial_(network, layers={"0": (trivial(GROUP), regular(GROUP))}, input_type="trivial")
    project_(network, "C4", include_bias=True)  # mypy: call-arg, pyright: reportCallIssue
    project_(network, "C4", hiden_type="regular")  # mypy: call-arg, pyright: reportCallIssue
    project_(network, "C4", hidden_type=4)  # mypy: arg-type, pyright: reportArgumentType
    project_initial_(network, "C4", skip=3)  # mypy: arg-type, pyright: reportArgumentType
    project_(network[0].weight, 4)  # mypy: arg-type, pyright: reportArgumentType


def report(network: nn.Module, features: Tensor) -> None:
    print(equivariance_report(network, "C4", norm="mixed:2,1", include_bias=True).total_ratio)
    matrix_norm(features, "entrywise:inf", "exact").backward()
    equivariance_report(network, "C4", norm="mixed")  # mypy: arg-type, pyright: reportArgumentType
    equivariance_report(network, "C4", layer={})  # mypy: call-arg, pyright: reportCallIssue
    print(equivariance_report(network, "C4").ratio)  # mypy: attr-defined, pyright: reportAttributeAccessIssue
    matrix_norm(features, "nuclear", "power")  # mypy: arg-type, pyright: reportArgumentType
    matrix_norm(features, 2)  # mypy: arg-type, pyright: reportArgumentType


def step(network: nn.Module, penalty: ProximalPenalty) -> None:
    ProximalPenalty(network, "C4", weight_perpendicular=2.0, power=1, include_bias=True).step(1e-3)
    ProximalPenalty(network, "C4", weight=2.0)  # mypy: call-arg, pyright: reportCallIssue
    ProximalPenalty(network, "C4", power=0)  # mypy: arg-type, pyright: reportArgumentType
    penalty.step("1e-3")  # mypy: arg-type, pyright: reportArgumentType
    penalty()  # mypy: operator, pyright: reportCallIssue
