"""Cost of the penalty beside the plain training step of an ACDNet-sized network, interleaved in one run.

    python benchmarks/penalty_cost.py                                  # the full size: half a minute a step on 1 core
    python benchmarks/penalty_cost.py --batch 2 --patch 32 --repeats 2 # small; the penalty does not shrink along

The plain step is forward, mean squared error, backward and Adam of 78 convolutions 36→36, 5×5, in residual blocks. A
penalty is its forward and backward pass, accumulated into the gradients of the step before; it does not depend on
batch or patch. `naive` is one SVD per layer, differentiated by autograd. EQ-Reg is a whole step on its doubled batch,
of which the plain step is subtracted. All figures are medians, by CUDA events on a GPU and by the wall clock elsewhere.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty
from equiproj.baselines import EQReg
from equiproj.groups import CyclicGroup
from equiproj.projections import project_conv
from equiproj.representations import regular

GROUP = CyclicGroup(4)
# (norm, power, method), and the share of the plain step it may cost where there is a target.
PENALTIES: list[tuple[str, int, str | None, float | None]] = [
    ("frobenius", 2, None, 0.005),
    ("frobenius", 1, None, 0.015),
    ("spectral", 1, "gram", 0.015),
    ("spectral", 1, "power", 0.015),
    ("spectral", 1, "exact", None),
    ("nuclear", 1, "gram", None),
    ("nuclear", 1, "power", None),
    ("nuclear", 1, "exact", None),
    ("schatten:3", 1, "gram", None),
    ("entrywise:1", 1, None, 0.015),
    ("entrywise:4", 1, None, 0.015),
    ("entrywise:inf", 1, None, 0.015),
    ("induced:1", 1, None, 0.015),
    ("induced:inf", 1, None, 0.015),
    ("mixed:2,1", 1, None, 0.015),
    ("mixed:1,inf", 1, None, 0.015),
]


class ResidualBlocks(nn.Module):
    """As many convolutions as asked for, two to a block."""

    def __init__(self, n_layers: int, n_channels: int, kernel_size: int) -> None:
        super().__init__()
        convolution = partial(nn.Conv2d, n_channels, n_channels, kernel_size, padding=kernel_size // 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(), nn.ReLU(), convolution()) for _ in range(n_layers // 2)
        )

    def forward(self, features: Tensor) -> Tensor:
        for block in self.blocks:
            features = features + 0.1 * block(features)
        return features


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of one call."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end)
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def naive_spectral(network: nn.Module, types: dict[str, tuple]) -> None:
    total = torch.zeros(())
    for name, (rho_in, rho_out) in types.items():
        weight = network.get_submodule(name).weight
        part = weight - project_conv(weight, rho_in, rho_out)
        total = total.to(weight) + torch.linalg.matrix_norm(part.flatten(1), 2)
    total.backward()


def measure(arguments: argparse.Namespace) -> list[dict[str, object]]:
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    network = ResidualBlocks(arguments.layers, arguments.width, arguments.kernel).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4)
    shape = (arguments.batch, arguments.width, arguments.patch, arguments.patch)
    images, targets = torch.randn(shape, device=device), torch.randn(shape, device=device)
    rho = arguments.width // GROUP.order * regular(GROUP)
    types = {name: (rho, rho) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}

    def plain_step() -> None:
        optimiser.zero_grad()
        nn.functional.mse_loss(network(images), targets).backward()
        optimiser.step()

    def eqreg_step() -> None:
        regulariser = EQReg(network, GROUP, types)
        doubled, doubled_targets = regulariser.double(images, targets, generator=torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(network(doubled), doubled_targets) + 1e-6 * regulariser.penalty()
        loss.backward()
        optimiser.step()
        regulariser.remove()

    cheap: dict[str, Callable[[], None]] = {}
    targets_of: dict[str, float | None] = {"EQ-Reg, extra": None}
    for norm, power, method, limit in PENALTIES:
        name = f"{norm}{', squared' if power == 2 else ''}{f', {method}' if method else ''}"
        penalty = ProjectionPenalty(network, GROUP, norm=norm, power=power, method=method, layers=types)
        cheap[name], targets_of[name] = (lambda penalty=penalty: penalty().backward()), limit
    cheap["spectral, naive"], targets_of["spectral, naive"] = (lambda: naive_spectral(network, types)), None
    times: dict[str, list[float]] = {name: [] for name in ("plain step", "EQ-Reg step", *cheap)}
    for repeat in range(arguments.repeats + 1):
        # The first round warms caches and kernels up and is not kept.
        round_times = {"plain step": [timed(plain_step, device)]}
        for name, work in cheap.items():
            round_times[name] = [timed(work, device) for _ in range(arguments.penalty_repeats)]
        round_times["EQ-Reg step"] = [timed(eqreg_step, device)]
        if repeat:
            for name, values in round_times.items():
                times[name] += values
        print(f"round {repeat} of {arguments.repeats}: plain step {round_times['plain step'][0]:.0f} ms", flush=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    medians["EQ-Reg, extra"] = medians.pop("EQ-Reg step") - medians["plain step"]
    plain = medians.pop("plain step")
    rows: list[dict[str, object]] = [{"what": "plain step", "ms": round(plain, 2), "percent": 100.0, "target": ""}]
    for name, milliseconds in medians.items():
        limit = targets_of[name]
        row = {"what": name, "ms": round(milliseconds, 2), "percent": round(100 * milliseconds / plain, 3)}
        rows.append({**row, "target": "" if limit is None else f"{100 * limit:g}"})
    return rows


def write_tables(rows: list[dict[str, object]], setting: str, prefix: Path) -> str:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    lines = [setting, "", "| | ms | % of the plain step | target, % |", "|---|---:|---:|---:|"]
    lines += [f"| {row['what']} | {row['ms']} | {row['percent']} | {row['target']} |" for row in rows]
    table = "\n".join(lines) + "\n"
    partial = prefix.with_suffix(".csv.part")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["what", "ms", "percent", "target"])
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(prefix.with_suffix(".csv"))
    partial = prefix.with_suffix(".md.part")
    partial.write_text(table)
    partial.replace(prefix.with_suffix(".md"))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="images in a batch (%(default)s)")
    parser.add_argument("--patch", type=int, default=64, help="pixels along each side (%(default)s)")
    parser.add_argument("--layers", type=int, default=78, help="convolutions, an even number (%(default)s)")
    parser.add_argument("--width", type=int, default=36, help="channels, a multiple of 4 (%(default)s)")
    parser.add_argument("--kernel", type=int, default=5, help="kernel size in pixels, odd (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds kept, one plain step each (%(default)s)")
    parser.add_argument("--penalty-repeats", type=int, default=10, help="calls of each penalty a round (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default, help="torch device (%(default)s here)")
    output = Path("benchmarks/results/penalty_cost")
    parser.add_argument("--output", type=Path, default=output, help="path of the tables without suffix (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = measure(arguments)
    device = (
        torch.cuda.get_device_name() if arguments.device.startswith("cuda") else f"CPU, {arguments.threads} thread(s)"
    )
    setting = (
        f"{arguments.layers} convolutions {arguments.width}→{arguments.width}, {arguments.kernel}×{arguments.kernel}; "
        f"batch {arguments.batch} of {arguments.patch}×{arguments.patch}; {device}; torch {torch.__version__}; "
        f"medians of {arguments.repeats} steps and {arguments.repeats * arguments.penalty_repeats} calls"
    )
    print(write_tables(rows, setting, arguments.output))


if __name__ == "__main__":
    main()
