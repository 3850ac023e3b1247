"""A pretrained network made equivariant: proximal fine-tuning against projecting at once and against a penalty.

A small convolutional network is first trained without a thought of symmetry to remove noise from patches of two
photographs: that is the pretrained network. It is then to become equivariant under quarter turns (C_4) within a given
number of steps, and to lose as little as possible of what it has learned.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import altair as alt
import comparison
import harness
import pandas as pd
import torch
from methods import Addition, Batch, Data, Domain, Predict, Unit
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from equiproj import equivariance_report, measured_defect, project_
from equiproj.baselines import GroupAveraged, random_group_transform
from equiproj.groups import CyclicGroup
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
PHOTOGRAPHS = ("china.jpg", "flower.jpg")  # come with scikit-learn
SHARES = ((0.0, 0.6), (0.6, 0.75), (0.75, 1.0))  # of the width of a photograph: training, validation, test
N_PATCHES = (1024, 512, 1024)
N_PIXELS = 16  # along each side of a patch
NOISE = 0.1  # standard deviation, where black is 0 and white 1
N_CHANNELS = 16  # four regular fields
N_PRETRAINING_STEPS = 1000
PAIRS = (("proximal", 1.0), ("penalty", 1e-2), ("trained on, averaged", 0.0))  # set beside what is projected first
MEASURES = ("rmse", "defect", "share", "rmse_projected")


@lru_cache
def grey(name: str) -> Tensor:
    """A photograph that comes with scikit-learn, (rows, columns), from 0 to 1."""
    return torch.from_numpy(load_sample_image(name).copy()).double().mean(dim=-1).div(255).float()


def drawn(share: tuple[float, float], n_patches: int, generator: torch.Generator) -> Batch:
    """Noisy patches and clean ones, (n, 1, 16, 16), half of each photograph, from this share of its width."""
    clean = []
    for name in PHOTOGRAPHS:
        photograph = grey(name)
        first, last = (round(end * photograph.shape[1]) for end in share)
        windows = photograph[:, first:last].unfold(0, N_PIXELS, 1).unfold(1, N_PIXELS, 1)
        n_rows, n_columns = windows.shape[:2]
        chosen = torch.randint(n_rows * n_columns, (n_patches // len(PHOTOGRAPHS),), generator=generator)
        clean.append(windows[chosen // n_columns, chosen % n_columns])
    patches = torch.cat(clean).unsqueeze(1)
    return patches + NOISE * torch.randn(patches.shape, generator=generator), patches


def data(dial: float, seed: int) -> Data:
    """Patches of three parts of the photographs that do not overlap; nothing is dialled."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return Data(*(drawn(share, n, generator) for share, n in zip(SHARES, N_PATCHES, strict=True)))


class Denoiser(nn.Module):
    """Three convolutions that find the noise, which is subtracted."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = nn.Sequential(
            *(nn.Conv2d(1, N_CHANNELS, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(N_CHANNELS, N_CHANNELS, 3, padding=1), nn.ReLU()),
            nn.Conv2d(N_CHANNELS, 1, 3, padding=1),
        )

    def forward(self, noisy: Tensor) -> Tensor:
        """(n, 1, rows, columns) to the same."""
        return noisy - self.noise(noisy)


def declaration() -> dict[str, Any]:
    """Images are trivial, hidden channels regular."""
    image, hidden = trivial(GROUP), N_CHANNELS // GROUP.order * regular(GROUP)
    return {"layers": {"noise.0": (image, hidden), "noise.2": (hidden, hidden), "noise.4": (hidden, image)}}


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean square error."""
    return nn.functional.mse_loss(output, target)


def scores(predict: Predict, batch: Batch) -> tuple[float, ...]:
    """Root mean square error in thousandths of white."""
    return (1000 * loss(predict(batch[0]), batch[1]).sqrt().item(),)


def augment(batch: Batch, generator: torch.Generator) -> Batch:
    """Every patch is turned."""
    return random_group_transform(*batch, group=GROUP, generator=generator)


def average(network: nn.Module) -> Predict:
    """Over the four turns."""
    return GroupAveraged(network, GROUP)


DOMAIN = Domain(
    name="pretrained",
    title="A pretrained denoiser",
    dial="nothing",
    dials=(0.0,),
    metrics={"test RMSE [1/1000]": -1},
    data=data,
    network=Denoiser,
    loss=loss,
    scores=scores,
    augment=augment,
    average=average,
    declaration=declaration,
    n_steps=600,
    batch_size=16,
    learning_rate=2e-3,
    weights=(1e-4, 1e-3, 1e-2),
    proximal_weights=(0.1, 0.3, 1.0),
)


class Pretraining(Unit):
    """Plain training from a draw that knows no symmetry."""

    def start(self) -> nn.Module:
        """The draw as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.domain.network()


class FineTuning(Unit):
    """Training that begins with the pretrained network."""

    def start(self) -> nn.Module:
        """A copy of the pretrained network."""
        return copy.deepcopy(pretrained(self.seed))


@lru_cache(maxsize=1)
def pretrained(seed: int) -> nn.Module:
    """The network that is to become equivariant."""
    unit = Pretraining(replace(DOMAIN, n_steps=N_PRETRAINING_STEPS), 0.0, seed)
    return unit.train(data(0.0, seed), lambda network: Addition()).network


def tried(unit: FineTuning, patches: Data) -> Iterator[tuple[str, float, nn.Module]]:
    """Every way to go on from the pretrained network: its name, its λ⊥ and what comes of it."""
    yield "as it is", 0.0, unit.start()
    yield "trained on", 0.0, unit.train(patches, lambda network: Addition()).network
    yield "augmentation", 0.0, unit.train(patches, unit.augmented).network
    yield "projected at once", 0.0, project_(unit.start(), **declaration())
    yield "projected, trained on", 0.0, unit.train(patches, unit.strict).network
    for weight in unit.domain.weights:
        yield "penalty", weight, unit.train(patches, partial(unit.penalised, weight)).network
    for weight in unit.domain.proximal_weights:
        yield "proximal", weight, unit.train(patches, partial(unit.proximal, weight)).network


def measured(network: nn.Module, test: Batch) -> dict[str, float]:
    """Error, defect of the noise that is found, share of W − P(W), and the error once everything is projected."""
    found = {
        "rmse": scores(network, test)[0],
        "defect": measured_defect(network.get_submodule("noise"), test[0], GROUP).maximum,
        "share": equivariance_report(network, include_bias=True, **declaration()).total_ratio,
    }
    return found | {"rmse_projected": scores(project_(network, **declaration()), test)[0]}


def rows_of(unit: FineTuning) -> list[dict[str, Any]]:
    """Everything with one seed: a row for each method and λ⊥."""
    torch.set_num_threads(1)  # sums of several threads round in an order of their own
    patches, rows = data(unit.dial, unit.seed), []
    for method, weight, network in tried(unit, patches):
        row = {"method": method, "weight": weight, "seed": unit.seed}
        if method == "trained on":
            rows.append(row | {"method": "trained on, averaged"} | averaged(network, patches.test))
        with torch.no_grad():
            rows.append(row | measured(network, patches.test))
    return rows


@torch.no_grad()
def averaged(network: nn.Module, test: Batch) -> dict[str, float]:
    """Error and defect of the average over the group, which costs four evaluations and has no weights of its own."""
    noise = GroupAveraged(network.get_submodule("noise"), GROUP)
    return {"rmse": scores(average(network), test)[0], "defect": measured_defect(noise, test[0], GROUP).maximum}


def units_of(n_seeds: int, n_steps: int) -> list[FineTuning]:
    """All seeds."""
    return [FineTuning(replace(DOMAIN, n_steps=n_steps), 0.0, seed) for seed in range(n_seeds)]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per method and λ⊥: means, and what the error has gained over the pretrained network, with limits.

    A gain is the pretrained network's error less that of the same seed, as it is or once it is projected.
    """
    start = table[table["method"] == "as it is"].set_index("seed")["rmse"]
    rows = []
    for (method, weight), part in table.groupby(["method", "weight"], sort=False):
        of_seed = part.set_index("seed")
        row = {"method": method, "weight": weight} | of_seed[list(MEASURES)].mean().to_dict()
        for column, name in (("rmse", "gain"), ("rmse_projected", "gain_projected")):
            ends = (f"{name}{end}" for end in ("", "_low", "_high"))
            row |= dict(zip(ends, comparison.paired_interval((start - of_seed[column]).tolist()), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def difference(table: pd.DataFrame, first: tuple[str, float], second: tuple[str, float]) -> str:
    """How much larger the error of the second method is, paired by seed, in words."""
    values = table.set_index(["method", "weight", "seed"])["rmse"].sort_index()
    interval = comparison.paired_interval((values[second] - values[first]).tolist())
    names = (named({"method": method, "weight": weight}) for method, weight in (second, first))
    return "{} against {}: {:+.2f} [{:+.2f}, {:+.2f}]".format(*names, *interval).replace("-", "−")


def named(row: Any) -> str:
    """A method, with its λ⊥ where it has one."""
    return f"{row['method']} {row['weight']:g}" if row["weight"] else row["method"]


def markdown(rows: pd.DataFrame) -> str:
    """The summary as a table of text."""
    lines = [
        "| method, λ⊥ | RMSE [1/1000] | gain over the pretrained | defect | ‖W − PW‖ / ‖W‖ | gain, once projected |",
        "|---|---|---|---|---|---|",
    ]
    for _, row in rows.iterrows():
        gains = [
            "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))
            for name in ("gain", "gain_projected")
        ]
        share, gains = f"{row['share']:.2g}", [gain.replace("-", "−") for gain in gains]
        if row["method"] == "trained on, averaged":  # has no weights of its own
            share, gains[1] = "", ""
        cells = [named(row), f"{row['rmse']:.2f}", gains[0], f"{row['defect']:.1g}", share, gains[1]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(rows: pd.DataFrame) -> alt.HConcatChart:
    """Gains as they are and once projected, with their intervals, and the defect."""
    listed = rows.assign(name=[named(row) for _, row in rows.iterrows()])
    y = alt.Y("name:N", sort=listed["name"].tolist(), title=None)
    panels = []
    for name, title in (("gain", "gain in RMSE [1/1000]"), ("gain_projected", "gain in RMSE, once projected")):
        present = listed[listed[f"{name}"].notna()]
        base = alt.Chart(present).encode(y=y)
        limits = base.mark_rule().encode(x=alt.X(f"{name}_low:Q", title=title), x2=alt.X2(f"{name}_high:Q"))
        middles = base.mark_point(filled=True, size=60).encode(x=alt.X(f"{name}:Q", title=title))
        panels.append(alt.layer(limits, middles).properties(width=240, height=340))
    defect = alt.Chart(listed).mark_bar().encode(y=y, x=alt.X("defect:Q", title="defect"))
    return alt.hconcat(*panels, defect.properties(width=180, height=340))


def main(argv: list[str] | None = None) -> None:
    """Train everything, write table and figure, print the summary."""
    chosen = harness.arguments(DOMAIN, __doc__ or "", argv)
    began = time.perf_counter()
    table = harness.run(units_of(chosen.seeds, chosen.steps), rows_of, chosen.jobs)
    comparison.write_table(table, chosen.table)
    rows = summary(table)
    comparison.save_figure(figure(rows), chosen.figure)
    print(f"{len(table)} rows in {time.perf_counter() - began:.0f} s with {chosen.jobs} process(es)")
    print(markdown(rows))
    for second in PAIRS:
        print(difference(table, ("projected, trained on", 0.0), second))


if __name__ == "__main__":
    main()
