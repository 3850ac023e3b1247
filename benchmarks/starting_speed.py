"""How long `ctmar` takes to begin, beside a bare `import torch`, in one run.

    python benchmarks/starting_speed.py

`train` and `train-and-evaluate` train a small network for one step of one epoch and end: what they take is nearly all
beginning, and the first step comes before the end. In every round the commands follow one another, and the least
processor time of the rounds counts: all of it is one thread, and other work on the machine lengthens the time on the
clock. A round before them, in which Python's caches and ours are made, is not counted.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from planning_speed import measured
from reading_speed import write_synthetic

from ctmar.config import SUBSETS
from ctmar.datasets.split import write_split

TRAINING = json.dumps({"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "patch_size": 32, "validation_pairs": 2})
NETWORK = {"architecture": "dncnn", "settings": {"fields": 2, "depth": 3}}
RUN = {"network": "small", "method": "projection", "norm": "frobenius", "lam_perp": 1e-4}
EVALUATION = json.dumps({"defect_slices": 1, "examples": 1})


def write_data(folder: Path) -> None:
    """Pairs of one patient for each subset, and the split that says so."""
    for subset in SUBSETS:
        write_synthetic(folder / f"{subset}.h5", size=64, n_pairs=10, patient=subset)
    write_split(folder / "split.csv", [{subset: subset for subset in SUBSETS}], dict.fromkeys(SUBSETS, 2))


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by its name in the table."""
    ctmar = [sys.executable, "-m", "ctmar"]
    train = ["train", f"{folder}/train.h5", f"{folder}/validation.h5", "--output", f"{folder}/made/run"]
    job = ["train-and-evaluate", str(folder), "--split", f"{folder}/split.csv", "--output", f"{folder}/made/runs"]
    job += ["--job", json.dumps({"runs": [RUN], "network": NETWORK}), "--finished", f"{folder}/made/finished.sha256"]
    return {
        "import torch": [sys.executable, "-c", "import torch"],
        "ctmar --help": [*ctmar, "--help"],
        "ctmar train": [
            *ctmar,
            *train,
            "--run",
            json.dumps(RUN),
            "--network",
            json.dumps(NETWORK),
            "--settings",
            TRAINING,
        ],
        "ctmar train-and-evaluate": [*ctmar, *job, "--settings", TRAINING, "--evaluation", EVALUATION],
    }


def one_round(folder: Path) -> dict[str, float]:
    """Processor seconds of each command."""
    shutil.rmtree(folder / "made", ignore_errors=True)
    return {name: measured(command).processor_s for name, command in commands(folder).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder)
        one_round(folder)
        rounds = [one_round(folder) for _ in range(options.rounds)]
    least = {name: min(one[name] for one in rounds) for name in rounds[0]}
    print("command                     processor/s  ratio")
    for name, seconds in least.items():
        print(f"{name:26}  {seconds:11.2f}  {seconds / least['import torch']:5.2f}")


if __name__ == "__main__":
    main()
