"""Cost of every method and norm beside the plain training step, and our step beside a straightforward one.

    python benchmarks/training_cost.py --device cuda                                          # the published size
    python benchmarks/training_cost.py --device cpu --batch-size 1 --patch-size 32 --repeats 6 # the smallest, minutes

Both tables are measured side by side in one process: all take turns, step by step, and ratios are taken within a
round. *Methods* are steps of `ctmar.training` with one method or norm each, relative to the plain step with the same
options. *Speed* is the plain step of `ctmar.training` with its options relative to the loop that anyone would write
first for the same network and loss: float32, eager, NCHW, `torch.optim.Adam`, cuDNN as torch sets it. Patches are
noise: reading is not part of a step (see reading_speed.py).
"""

import argparse
import csv
import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ctmar.config import Network, Run, Study, Timing, Training
from ctmar.config.methods import METHODS
from ctmar.estimate.paired_steps import seconds_of
from ctmar.estimate.step_cost import cost_of_network, methods_of
from ctmar.estimate.training_cost import synthetic_batch
from ctmar.evaluation.columns import COST_COLUMNS
from ctmar.models import build_network
from ctmar.models.device import convolutions_in
from ctmar.store.atomic import atomic_path
from ctmar.training.losses import masked_mean_square, stage_loss
from ctmar.training.patches import Batch
from ctmar.training.state import start
from ctmar.training.step import training_step

NORMS = (
    "frobenius",
    "spectral",
    "nuclear",
    "schatten:3",
    "entrywise:1",
    "entrywise:4",
    "entrywise:inf",
    "induced:1",
    "induced:inf",
    "mixed:2,1",
    "mixed:1,inf",
)
RUNS = [
    {"method": name, "norm": list(NORMS) if facts.reads_norm else ["none"]} for name, facts in METHODS.items()
]  # weights are those of `representative_run`
SPEED_COLUMNS = ("step", "milliseconds_per_step", "images_per_second", "ratio_to_straightforward", "device")
TARGET = 1.5  # times the straightforward step's images per second, on a GPU
STEPS_BEFORE = 3


def straightforward_step(
    network: torch.nn.Module, optimiser: torch.optim.Adam, batch: Batch, training: Training
) -> None:
    """One step as a first script has it."""
    optimiser.zero_grad()
    if training.loss == "stages":
        outputs = network.stage_outputs(batch.inputs)
        loss = stage_loss(outputs.images, outputs.artefacts, batch, training)
    else:
        loss = masked_mean_square(network(batch.inputs), batch)
    loss.backward()
    optimiser.step()
    loss.item()


def steps_to_compare(network: Network, training: Training, compiled: bool) -> dict[str, Callable[[], object]]:
    """The straightforward step first, then ours with more and more options."""
    device = torch.device(training.device)
    batch = synthetic_batch(training.batch_size, training.patch_size)
    module = build_network(network.architecture, **{"group_order": 4, **network.settings}).to(device)
    optimiser = torch.optim.Adam(module.parameters(), lr=training.learning_rate, betas=training.betas)
    plain_batch = batch.to(device, channels_last=False)

    def straightforward() -> None:
        # `start` asks cuDNN for deterministic kernels and plain float32; a first script would not
        torch.backends.cudnn.deterministic = False
        with convolutions_in("tf32"):
            straightforward_step(module, optimiser, plain_batch, training)

    steps: dict[str, Callable[[], object]] = {"straightforward: float32, eager, NCHW": straightforward}
    for compile_it in (False, True) if compiled else (False,):
        for precision in ("float32", "tf32", "bfloat16"):
            for channels_last in (False, True):
                options = {"precision": precision, "channels_last": channels_last, "compile": compile_it}
                settings = training.model_copy(update=options)
                state = start(Run(network="n", method="plain"), network, settings, "C4")
                name = f"ours: {precision}{', channels last' * channels_last}{', compiled' * compile_it}"
                steps[name] = partial(training_step, state, batch.to(device, channels_last), 0)
    return steps


def compare_speed(network: Network, training: Training, compiled: bool, n_repeats: int) -> list[dict[str, Any]]:
    """Images per second of every step, all in turns."""
    device = torch.device(training.device)
    steps = steps_to_compare(network, training, compiled)
    for name, step in steps.items():
        print(f"warming up {name}", flush=True)
        for _ in range(STEPS_BEFORE):
            step()
    rounds = [[seconds_of(step, device) for step in steps.values()] for _ in range(n_repeats)]
    rows = []
    for index, name in enumerate(steps):
        seconds = statistics.median(times[index] for times in rounds)
        ratio = statistics.median(times[0] / times[index] for times in rounds)
        rows.append(
            {
                "step": name,
                "milliseconds_per_step": round(1e3 * seconds, 2),
                "images_per_second": round(training.batch_size / seconds, 2),
                "ratio_to_straightforward": round(ratio, 3),
                "device": training.device,
            }
        )
    return rows


def text_table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    lines = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines) + "\n"


def write_csv(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="acdnet", help="architecture (%(default)s, as published)")
    parser.add_argument("--settings", type=json.loads, default={}, help="its settings, JSON")
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default, help="(%(default)s here)")
    parser.add_argument("--batch-size", type=int, help="patches of a step (32 on a GPU, 2 on a CPU)")
    parser.add_argument("--patch-size", type=int, default=64, help="side of a patch in pixels (%(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="rounds, at least 6 (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    parser.add_argument("--precision", default="float32", help="of the table of methods (%(default)s)")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=default == "cuda",
        help="try torch.compile in the table of speeds; minutes on a CPU (%(default)s here)",
    )
    output = Path("benchmarks/results/training_cost")
    parser.add_argument("--output", type=Path, default=output, help="path of the tables without suffix (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = Network(architecture=arguments.network, settings=arguments.settings)
    staged = hasattr(build_network(arguments.network, **arguments.settings), "stage_outputs")
    training = Training(
        batch_size=arguments.batch_size or (32 if arguments.device == "cuda" else 2),
        patch_size=arguments.patch_size,
        loss="stages" if staged else "masked_mse",
        betas=(0.5, 0.999),
        learning_rate=2e-4,
        threads=arguments.threads,
        device=arguments.device,
        precision=arguments.precision,
    )
    speeds = compare_speed(network, training, arguments.compile, arguments.repeats)
    study = Study.model_validate({"networks": {arguments.network: network.model_dump()}, "runs": RUNS})
    batch = synthetic_batch(training.batch_size, training.patch_size)
    methods = methods_of(study, arguments.network)
    timing = Timing(repeats=arguments.repeats)
    costs = cost_of_network(arguments.network, methods, study, training, timing, batch, n_steps=1)
    write_csv(arguments.output.with_suffix(".csv"), COST_COLUMNS, costs)
    write_csv(arguments.output.with_name(f"{arguments.output.name}_speed.csv"), SPEED_COLUMNS, speeds)
    best = max(row["ratio_to_straightforward"] for row in speeds)
    verdict = "met" if best >= TARGET else "missed"
    target = f"target {TARGET}× on a GPU: {verdict if arguments.device == 'cuda' else 'not measured, this is a CPU'}"
    text = f"{text_table(SPEED_COLUMNS, speeds)}best {best}×, {target}\n\n{text_table(COST_COLUMNS, costs)}"
    with atomic_path(arguments.output.with_suffix(".txt")) as temporary:
        temporary.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
