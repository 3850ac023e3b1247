"""Two noisy rings that break SO(2): the worked example of the paper (arXiv 2601.05028, section 4.1).

Points lie on two rings whose radius is perturbed by σ sin 5θ. A classifier of linear layers between band-limited
SO(2) irreps is trained with L + λ_G Σ‖P(W)‖ + λ_⊥ Σ‖W − P(W)‖ on the whole grid of weights. All runs of one σ
are trained together as a batch of networks that do not see each other.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from pathlib import Path

import altair as alt
import pandas as pd
import torch
from comparison import save_figure
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, silu

from equiproj.groups import SO2
from equiproj.projections import LinearProjector
from equiproj.representations import Representation, irreps, trivial

# The paper's grid, optimiser and measure of the defect.
WEIGHTS_EQUIVARIANT = (1e-1, 1e-2, 1e-3, 0.0)
WEIGHTS_PERPENDICULAR = (0.0, 1e-3, 1e-2, 1e-1)
SIGMAS = (0.0, 0.25, 0.5, 0.75, 1.0)
LEARNING_RATE = 3e-3
N_TURNS = 40

# Our choices where the paper's are not known.
RADII = (1.0, 2.0)
RADIAL_NOISE = 0.1
PERTURBATION_FREQUENCY = 5
BAND_LIMIT = 5
N_CHANNELS = 6  # copies of every irrep in a hidden layer
N_TRAIN, N_TEST = 400, 1000

Parameters = dict[str, Tensor]


def noisy_rings(n_points: int, sigma: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points (n, 2) with r = R + σ sin 5θ + noise, and the index of their ring (n,), in turn 0 and 1."""
    labels = torch.arange(n_points) % 2
    angles = 2 * math.pi * torch.rand(n_points, generator=generator)
    noise = RADIAL_NOISE * torch.randn(n_points, generator=generator)
    radii = torch.tensor(RADII)[labels] + sigma * torch.sin(PERTURBATION_FREQUENCY * angles) + noise
    return radii.unsqueeze(1) * torch.stack((angles.cos(), angles.sin()), dim=1), labels.float()


def representations() -> list[Representation]:
    """Features of each layer: the plane (frequency 1), two hidden sums of all irreps, one invariant logit."""
    zero, *turning = irreps(SO2(), BAND_LIMIT)
    hidden = N_CHANNELS * zero
    for rho in turning:
        hidden = hidden + N_CHANNELS * rho
    return [turning[0], hidden, hidden, trivial(SO2())]


def projectors() -> dict[str, LinearProjector]:
    """The projection of each weight onto SO(2)-equivariant maps."""
    rhos = representations()
    return {f"weight{i}": LinearProjector(a, b) for i, (a, b) in enumerate(itertools.pairwise(rhos))}


def initial_parameters(seeds: list[int]) -> Parameters:
    """One network per seed, stacked along the first axis; the same seed gives the same weights."""

    def one(seed: int) -> Parameters:
        generator = torch.Generator().manual_seed(seed)
        weights = {
            name: torch.randn(projector.weight_shape, generator=generator) / projector.rho_in.dim**0.5
            for name, projector in projectors().items()
        }
        return weights | {"bias0": torch.zeros(N_CHANNELS), "bias1": torch.zeros(N_CHANNELS), "bias2": torch.zeros(1)}

    networks = [one(seed) for seed in seeds]
    return {name: torch.stack([network[name] for network in networks]) for name in networks[0]}


def gated(features: Tensor, bias: Tensor) -> Tensor:
    """The nonlinearity, exactly SO(2)-equivariant: invariants see the norms of all irreps, and gate them.

    s' = silu(s + b + Σ_k |z_k|) and z_k' = sigmoid(s') z_k, channel by channel.

    Args:
        features: (runs, points, channels of frequency 0, then pairs per frequency and channel).
        bias: (runs, channels), added to the invariants only.
    """
    invariant, turning = features.split((N_CHANNELS, features.shape[-1] - N_CHANNELS), dim=-1)
    pairs = turning.unflatten(-1, (BAND_LIMIT, N_CHANNELS, 2))
    # The offset keeps the derivative of the square root finite at zero.
    norms = (pairs.square().sum(dim=-1) + 1e-12).sqrt()
    invariant = silu(invariant + bias.unsqueeze(1) + norms.sum(dim=-2))
    gate = torch.sigmoid(invariant).unsqueeze(-2).unsqueeze(-1)
    return torch.cat((invariant, (gate * pairs).flatten(-3)), dim=-1)


def logits(parameters: Parameters, points: Tensor) -> Tensor:
    """Logit of ring 1, (runs, points), for points (runs, points, 2)."""
    hidden = gated(points @ parameters["weight0"].mT, parameters["bias0"])
    hidden = gated(hidden @ parameters["weight1"].mT, parameters["bias1"])
    return (hidden @ parameters["weight2"].mT).squeeze(-1) + parameters["bias2"]


def penalties(parameters: Parameters) -> tuple[Tensor, Tensor]:
    """Σ_l ‖P(W_l)‖ and Σ_l ‖W_l − P(W_l)‖ in the Frobenius norm, (runs,) each."""
    equivariant, perpendicular = [], []
    for name, project in projectors().items():
        projected = project(parameters[name])
        equivariant.append(torch.linalg.vector_norm(projected, dim=(1, 2)))
        perpendicular.append(torch.linalg.vector_norm(parameters[name] - projected, dim=(1, 2)))
    return torch.stack(equivariant).sum(dim=0), torch.stack(perpendicular).sum(dim=0)


def train(parameters: Parameters, runs: pd.DataFrame, points: Tensor, labels: Tensor, n_epochs: int) -> Parameters:
    """Full-batch Adam on all runs at once; sums over runs, so that no run sees another."""
    parameters = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    optimiser = torch.optim.Adam(parameters.values(), lr=LEARNING_RATE)
    weight_equivariant = torch.tensor(runs["lam_equi"].to_numpy(), dtype=torch.float32)
    weight_perpendicular = torch.tensor(runs["lam_perp"].to_numpy(), dtype=torch.float32)
    for _ in range(n_epochs):
        task = binary_cross_entropy_with_logits(logits(parameters, points), labels, reduction="none").mean(dim=1)
        equivariant, perpendicular = penalties(parameters)
        loss = (task + weight_equivariant * equivariant + weight_perpendicular * perpendicular).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: value.detach() for name, value in parameters.items()}


@torch.no_grad()
def measured(parameters: Parameters, points: Tensor, labels: Tensor, turns: Tensor) -> dict[str, Tensor]:
    """Test accuracy, defect over the turns (absolute and relative to the output), and ‖W − PW‖ / ‖W‖, per run.

    The defect is max over turns g of the root mean square over the test set of f(g x) − f(x).
    """
    output = logits(parameters, points)
    defect = torch.zeros(len(output))
    for angle in turns:
        cosine, sine = angle.cos(), angle.sin()
        turn = torch.stack((torch.stack((cosine, -sine)), torch.stack((sine, cosine))))
        change = logits(parameters, points @ turn.mT) - output
        defect = torch.maximum(defect, change.square().mean(dim=1).sqrt())
    equivariant, perpendicular = penalties(parameters)
    return {
        "accuracy": ((output > 0) == labels.bool()).double().mean(dim=1),
        "defect": defect,
        "relative_defect": defect / output.square().mean(dim=1).sqrt(),
        "perpendicular_share": perpendicular / (equivariant + perpendicular),
    }


def train_and_measure(sigma: float, n_seeds: int, n_epochs: int) -> pd.DataFrame:
    """All runs of one σ: a row per (λ_G, λ_⊥, seed). A seed fixes data, initial weights and turns."""
    grid = itertools.product(WEIGHTS_EQUIVARIANT, WEIGHTS_PERPENDICULAR, range(n_seeds))
    runs = pd.DataFrame(grid, columns=["lam_equi", "lam_perp", "seed"])
    runs.insert(0, "sigma", sigma)
    generators = [torch.Generator().manual_seed(1000 + seed) for seed in range(n_seeds)]
    seeds = runs["seed"].tolist()
    train_set, test_set = (
        [torch.stack(part) for part in zip(*(noisy_rings(n, sigma, g) for g in generators), strict=True)]
        for n in (N_TRAIN, N_TEST)
    )
    parameters = train(initial_parameters(seeds), runs, train_set[0][seeds], train_set[1][seeds], n_epochs)
    turns = 2 * math.pi * torch.rand(N_TURNS, generator=torch.Generator().manual_seed(0))
    found = measured(parameters, test_set[0][seeds], test_set[1][seeds], turns)
    return runs.assign(**{name: value.double().numpy() for name, value in found.items()})


def trend(table: pd.DataFrame) -> pd.DataFrame:
    """Per σ: how much the defect falls and what it costs between the smallest and the largest λ_⊥, paired by run.

    Factors are geometric means over λ_G and seeds with their range; costs are means in percentage points.
    """
    rows = []
    for sigma, of_sigma in table.groupby("sigma"):
        row = {"sigma": sigma}
        for column in ("defect", "relative_defect"):
            weakest, strongest = ends(of_sigma, column)
            factors = weakest / strongest
            row[f"{column}_factor"] = math.exp(factors.map(math.log).mean())
            row[f"{column}_factor_min"], row[f"{column}_factor_max"] = factors.min(), factors.max()
        falls = by_run(of_sigma, "defect").diff(axis=1).iloc[:, 1:] < 0
        row["falls_at_every_step"], row["n_series"] = int(falls.all(axis=1).sum()), len(falls)
        weakest, strongest = ends(of_sigma, "accuracy")
        cost = 100 * (weakest - strongest)
        row["accuracy_cost"], row["accuracy_cost_min"], row["accuracy_cost_max"] = cost.mean(), cost.min(), cost.max()
        rows.append(row)
    return pd.DataFrame(rows).set_index("sigma")


def by_run(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row per (λ_G, seed), one column per λ_⊥ in rising order."""
    return table.pivot(index=["lam_equi", "seed"], columns="lam_perp", values=column)


def ends(table: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Values at the smallest and at the largest λ_⊥."""
    series = by_run(table, column)
    return series[min(WEIGHTS_PERPENDICULAR)], series[max(WEIGHTS_PERPENDICULAR)]


def figure(table: pd.DataFrame) -> alt.VConcatChart:
    """Defect, relative defect and accuracy against λ_⊥, one column per σ: mean and range over seeds."""
    named = table.assign(lam_perp=table["lam_perp"].map("{:g}".format), lam_equi=table["lam_equi"].map("{:g}".format))
    x = alt.X("lam_perp:N", title="λ⊥", sort=[f"{w:g}" for w in WEIGHTS_PERPENDICULAR], axis=alt.Axis(labelAngle=0))
    colour = alt.Color("lam_equi:N", title="λ_G", sort=[f"{w:g}" for w in WEIGHTS_EQUIVARIANT])
    # Side by side, or the ranges of the four λ_G hide each other.
    offset = alt.XOffset("lam_equi:N", sort=[f"{w:g}" for w in WEIGHTS_EQUIVARIANT])

    def row(column: str, title: str, scale: alt.Scale) -> alt.FacetChart:
        base = alt.Chart(named).encode(x=x, xOffset=offset, color=colour)
        spread = base.mark_rule().encode(
            alt.Y(f"min({column}):Q", scale=scale, title=title), alt.Y2(f"max({column}):Q")
        )
        mean = base.mark_line(point=True).encode(y=alt.Y(f"mean({column}):Q", scale=scale, title=title))
        panels = alt.layer(spread, mean).properties(width=150, height=150)
        return panels.facet(column=alt.Column("sigma:N", title="σ"))

    rows = (
        row("defect", "defect (logit)", alt.Scale(type="log", nice=False)),
        row("relative_defect", "relative defect", alt.Scale(type="log", nice=False)),
        row("accuracy", "test accuracy", alt.Scale(zero=False)),
    )
    return alt.vconcat(*rows).resolve_scale(color="shared")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--figure", type=Path, default=Path("rings.png"), help="figure to write, .png or .svg")
    parser.add_argument("--table", type=Path, default=Path("rings.csv"), help="table to write, one row per run")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds: data, initial weights")
    parser.add_argument("--epochs", type=int, default=200, help="full-batch Adam steps")
    parser.add_argument("--sigmas", type=float, nargs="+", default=list(SIGMAS), help="perturbations of the radius")
    chosen = parser.parse_args(argv)
    if chosen.figure.suffix not in (".png", ".svg"):
        parser.error(f"--figure: expected a name that ends in .png or .svg, found {chosen.figure}")
    if chosen.seeds < 1 or chosen.epochs < 0:
        parser.error(
            f"expected --seeds of at least 1 and --epochs of at least 0, found {chosen.seeds}, {chosen.epochs}"
        )
    return chosen


def main(argv: list[str] | None = None) -> None:
    """Train all runs, write table and figure, print the trend."""
    chosen = arguments(argv)
    started = time.perf_counter()
    table = pd.concat([train_and_measure(sigma, chosen.seeds, chosen.epochs) for sigma in chosen.sigmas])
    print(f"{len(table)} runs in {time.perf_counter() - started:.0f} s on {torch.get_num_threads()} thread(s)")
    temporary = chosen.table.with_name(f".{chosen.table.name}.partial")
    table.to_csv(temporary, index=False)
    temporary.replace(chosen.table)
    save_figure(figure(table), chosen.figure)
    means = table.groupby(["sigma", "lam_equi", "lam_perp"])[["defect", "relative_defect", "accuracy"]].mean()
    print("\nMeans over seeds:", means.unstack().round(3).to_string(), sep="\n")
    print("\nFrom the smallest to the largest λ_⊥ (over λ_G and seeds):", trend(table).round(3).T.to_string(), sep="\n")


if __name__ == "__main__":
    main()
