"""Cost of the penalty beside the plain training step of four networks, interleaved in one run.

    python benchmarks/penalty_cost.py                     # all four: three minutes of one processor
    python benchmarks/penalty_cost.py --networks resnet18 --norms frobenius --rounds 1    # a few seconds

The plain step is forward, loss, backward and Adam of

* `study`: the network of the default study, 6 convolutions of 16 channels, batch 8 of 32×32;
* `acdnet`: 78 convolutions 36→36, 5×5, in residual blocks, one image of 64×64 (32 where published);
* `resnet18`: ResNet-18 for small images (3×3 stem, no pooling), batch 16 of 32×32;
* `vit_s`: ViT-S, 12 layers of width 384, batch 4 of 65 tokens (images of 32×32 in patches of 4×4).

A penalty does not depend on the batch. *In the loss* is its forward and backward pass, *in place* `backward_`, both
accumulated into the gradients of the plain step; options are taken in place, and their cost is the mean over the steps
in which every weight has its turn once. Of `acdnet` there are two yardsticks besides: `naive` is one SVD per layer,
differentiated by autograd; EQ-Reg a whole step on its doubled batch less the plain step. Every figure is a share of
the plain step that was taken before its norm: the median over rounds, with the smallest and the largest. Times are
those of the processor, which others that compute beside do not lengthen by making it wait, and of CUDA events on a GPU.

Memory is how far the peak of the resident memory of a fresh process rises when the penalty is built, and beyond the
plain step's level when it is computed (Linux alone; on one CPU thread, at once given back when freed).
"""

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from penalty_networks import GROUP, NETWORKS, Case, build
from torch import nn

from equiproj import ProjectionPenalty
from equiproj.baselines import EQReg
from equiproj.projections import project_conv

# (norm, power, method), and the share of the plain step it may cost.
NORMS: dict[str, tuple[str, int, str | None, float]] = {
    "frobenius, squared": ("frobenius", 2, None, 5),
    "frobenius": ("frobenius", 1, None, 15),
    "spectral, gram": ("spectral", 1, "gram", 15),
    "nuclear": ("nuclear", 1, None, 15),
    "entrywise:1": ("entrywise:1", 1, None, 15),
    "mixed:2,1": ("mixed:2,1", 1, None, 15),
}
# Keywords of the penalty; as many parts as there are weights to share out at most.
OPTIONS: dict[str, dict[str, int]] = {
    "in place": {},
    "every=8": {"every": 8},
    "sample=8": {"sample": 8},
    "every=8, sample=6": {"every": 8, "sample": 6},
}
COLUMNS = ("network", "what", "option", "ms", "percent", "lowest", "highest", "target")


def plain_step_of(case: Case) -> Callable[[], None]:
    optimiser = torch.optim.Adam(case.network.parameters(), lr=1e-6)

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.mse_loss(case.network(case.inputs), case.targets).backward()
        optimiser.step()

    return step


def penalty_of(case: Case, norm: str, **options: int) -> ProjectionPenalty:
    kind, power, method, _ = NORMS[norm]
    return ProjectionPenalty(
        case.network,
        GROUP,
        norm=kind,
        power=power,
        method=method,
        layers=case.types,
        weight_perpendicular=1e-6,
        **options,
    )


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Time of one call."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3
    begin = time.process_time()
    work()
    return time.process_time() - begin


def works_of(case: Case, norm: str) -> dict[str, tuple[Callable[[], object], int]]:
    """What is timed of a norm, and of how many steps it is the cost."""
    whole = penalty_of(case, norm)
    works: dict[str, tuple[Callable[[], object], int]] = {"in the loss": (lambda: whole().backward(), 1)}
    for name, options in OPTIONS.items():
        options = {**options, "sample": min(options.get("sample", 1), len(case.types))}
        n_steps = options.get("every", 1) * options["sample"]
        penalty = penalty_of(case, norm, **options)
        works[name] = (lambda penalty=penalty, n_steps=n_steps: [penalty.backward_() for _ in range(n_steps)]), n_steps
    return works


def yardsticks_of(case: Case) -> dict[str, Callable[[], object]]:
    """What others do."""

    def naive() -> None:
        total = torch.zeros((), device=case.inputs.device)
        for name, types in case.types.items():
            weight = case.network.get_submodule(name).weight
            total = total + torch.linalg.matrix_norm((weight - project_conv(weight, *types)).flatten(1), 2)
        total.backward()

    def eqreg() -> None:
        regulariser = EQReg(case.network, GROUP, case.types)
        doubled, targets = regulariser.double(case.inputs, case.targets, generator=torch.Generator().manual_seed(0))
        (nn.functional.mse_loss(case.network(doubled), targets) + 1e-6 * regulariser.penalty()).backward()
        regulariser.remove()

    return {"spectral, naive": naive, "EQ-Reg": eqreg}


def measure(name: str, norms: list[str], n_rounds: int, device: torch.device) -> list[dict[str, object]]:
    case = build(name).to(device)
    step = plain_step_of(case)
    works = {(norm, option): work for norm in norms for option, work in works_of(case, norm).items()}
    for what, work in yardsticks_of(case).items() if name == "acdnet" else ():
        works[what, ""] = work, 1
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in works}
    shares: dict[tuple[str, str], list[float]] = {key: [] for key in works}
    plains: list[float] = []
    for _ in range(2):  # caches and kernels
        step()
    for _ in range(n_rounds):
        for key, (work, n_steps) in works.items():
            if key[1] in ("in the loss", ""):
                plains.append(seconds_of(step, device))
            plain = plains[-1]
            own = seconds_of(work, device) / n_steps - (plain if key[0] == "EQ-Reg" else 0)
            seconds[key].append(own)
            shares[key].append(100 * own / plain)
    print(f"{name}: plain step {1e3 * statistics.median(plains):.1f} ms", flush=True)
    rows: list[dict[str, object]] = [row_of(name, "plain step", "", plains, [100.0], "")]
    for (what, option), values in shares.items():
        target = NORMS[what][3] if what in NORMS else ""
        rows.append(row_of(name, what, option, seconds[what, option], values, target))
    return rows


def row_of(
    network: str, what: str, option: str, seconds: list[float], shares: list[float], target: object
) -> dict[str, object]:
    milliseconds = round(1e3 * statistics.median(seconds), 3)
    figures = [round(value, 2) for value in (statistics.median(shares), min(shares), max(shares))]
    return dict(zip(COLUMNS, (network, what, option, milliseconds, *figures, target), strict=True))


def resident(field: str) -> float:
    """Megabytes of this process, `VmRSS` now or `VmHWM` at most since the last reset."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) / 1024


def rise_of(work: Callable[[], object]) -> float:
    """How far the peak of resident memory lies above what is resident before, in megabytes."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    work()
    return resident("VmHWM") - before


def measure_memory(name: str, norm: str) -> dict[str, object]:
    """In a process of its own, because what a step frees would serve the penalty's build."""
    case = build(name)
    step = plain_step_of(case)
    for _ in range(2):
        step()
    made: list[ProjectionPenalty] = []
    before = resident("VmRSS")
    built = rise_of(lambda: made.append(penalty_of(case, norm)))
    kept, penalty = resident("VmRSS") - before, made[0]
    step()
    penalty().backward()
    sizes = [parameter.numel() * parameter.element_size() / 2**20 for parameter in case.network.parameters()]
    figures = {
        "weights": sum(sizes),
        "largest weight": max(sizes),
        "build, peak": built,
        "build, kept": kept,
        "in the loss, peak": rise_of(lambda: penalty().backward()),
        "in place, peak": rise_of(penalty.backward_),
    }
    return {"network": name, "what": norm, **{what: round(value, 1) for what, value in figures.items()}}


def memory_of(name: str, norm: str) -> dict[str, object]:
    """`measure_memory` in a fresh process whose allocator gives everything back."""
    limits = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--memory-of", name, norm]
    done = subprocess.run(command, env=os.environ | limits, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def table_of(columns: tuple[str, ...], rows: list[dict[str, object]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(row[column]) for column in columns)} |" for row in rows)]) + "\n"


def shares_table(rows: list[dict[str, object]]) -> str:
    """One row for each network and norm, one column for each option: % of the plain step, lowest to highest."""
    cells: dict[tuple[object, object], dict[str, object]] = {}
    for row in rows:
        if row["what"] != "plain step":
            cell = f"{row['percent']} ({row['lowest']}–{row['highest']})"
            cells.setdefault((row["network"], row["what"]), {})[str(row["option"] or "in the loss")] = cell
    columns = ("network", "what", "in the loss", *OPTIONS)
    found = [{**dict.fromkeys(columns, ""), "network": key[0], "what": key[1], **each} for key, each in cells.items()]
    return table_of(columns, found)


def write(path: Path, text: str) -> None:
    partial_path = path.with_name(f"{path.name}.part")
    partial_path.write_text(text)
    partial_path.replace(path)


def write_tables(rows: list[dict[str, object]], memory: list[dict[str, object]], setting: str, prefix: Path) -> str:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(prefix.with_suffix(".csv"), table.getvalue())
    text = f"{setting}\n\n% of the plain step: median (lowest to highest of the rounds).\n\n{shares_table(rows)}"
    if memory:
        text += f"\nResident memory, MB.\n\n{table_of(tuple(memory[0]), memory)}"
    write(prefix.with_suffix(".md"), text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="(all)")
    parser.add_argument("--norms", nargs="+", choices=list(NORMS), default=list(NORMS), help="(all)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds kept (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default, help="torch device (%(default)s here)")
    parser.add_argument("--memory-of", nargs=2, metavar=("NETWORK", "NORM"), help=argparse.SUPPRESS)
    output = Path("benchmarks/results/penalty_cost")
    parser.add_argument("--output", type=Path, default=output, help="path of the tables without suffix (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(json.dumps(measure_memory(*arguments.memory_of)))
        return
    device = torch.device(arguments.device)
    rows = [row for name in arguments.networks for row in measure(name, arguments.norms, arguments.rounds, device)]
    memory = []
    if device.type == "cpu" and sys.platform == "linux":
        memory = [memory_of(name, "frobenius, squared") for name in arguments.networks]
    machine = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {arguments.threads} thread(s)"
    setting = f"{machine}; torch {torch.__version__}; {arguments.rounds} rounds"
    print(write_tables(rows, memory, setting, arguments.output))


if __name__ == "__main__":
    main()
