"""Memory and processor time of a job of trainings beside what its model expects, for networks, patches and batches.

    python benchmarks/job_memory.py                    # all configurations, twenty minutes of one core
    python benchmarks/job_memory.py --only unet-64 acdnet-64

Every row is a `ctmar train-and-evaluate` in a process of its own, with one run of a few steps and two test pairs.
Measured are the largest resident memory of the process and the processor time that it took (which another job on the
machine changes less than its wall clock), both as the system counts them for a child. The model is what
`ctmar.estimate` expects, before the margins that `asked` adds. Pairs are ellipses with noise.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.reading_speed import write_synthetic

from ctmar.config import Config, Job, Network, Site, Subset
from ctmar.config.methods import METHODS
from ctmar.datasets.split import write_split
from ctmar.estimate.demand import STARTING_SECONDS, asked
from ctmar.estimate.step_counts import count_network
from ctmar.estimate.training_demand import TrainingDemand

ACDNET = Network(
    architecture="acdnet", settings={"n_maps": 4, "n_extra_channels": 35, "n_atoms": 44, "normalisation": "field"}
)
DNCNN = Network(settings={"fields": 4, "depth": 6})
UNET = Network(architecture="unet")


class Row(NamedTuple):
    """A network, rows and columns of the slices, side of the patches, batch, steps and method."""

    network: Network
    image_size: int
    patch_size: int
    batch_size: int
    n_steps: int
    method: str = "plain"

    @property
    def study(self) -> Config:
        """The study whose one job this is."""
        weights = {"lam_perp": [1e-6]} if METHODS[self.method].reads_lam_perp else {}
        training = {"epochs": 1, "steps_per_epoch": self.n_steps, "validation_pairs": 1}
        training |= {"batch_size": self.batch_size, "patch_size": self.patch_size}
        return Config.model_validate(
            {
                "source": {"patients": ["one", "two"]},  # of whom all pairs below could be
                "ingest": {"image_size": self.image_size, "maximum_slices_per_patient": 1},
                "simulation": {"masks_per_slice": {"train": 6, "validation": 1, "test": 1}},
                "training": training,
                "study": {
                    "networks": {"n": self.network.model_dump()},
                    "seeds": [0],
                    "runs": [{"method": self.method, **weights}],
                },
                "evaluation": {"defect_slices": 1, "examples": 1},
            }
        )


N_PAIRS: dict[Subset, int] = {"train": 12, "validation": 2, "test": 2}
ROWS = {
    "dncnn-32x8": Row(DNCNN, 128, 32, 8, 200),
    "dncnn-64x32": Row(DNCNN, 128, 64, 32, 60),
    "dncnn-128x8": Row(DNCNN, 416, 128, 8, 60),
    "unet-64x8": Row(UNET, 128, 64, 8, 60),
    "unet-128x32": Row(UNET, 416, 128, 32, 4),
    "acdnet-64x1": Row(ACDNET, 128, 64, 1, 10),
    "acdnet-64x8": Row(ACDNET, 128, 64, 8, 3),
    "acdnet-64x4-eqreg": Row(ACDNET, 128, 64, 4, 3, "eqreg"),
    "acdnet-128x1": Row(ACDNET, 416, 128, 1, 4),
    "acdnet-416x1": Row(ACDNET, 416, 416, 1, 2),
}


def write_data(folder: Path, image_size: int) -> None:
    """Pairs of one patient in each subset, who is called like it."""
    folder.mkdir(parents=True)
    for subset, n_pairs in N_PAIRS.items():
        write_synthetic(folder / f"{subset}.h5", image_size, n_pairs, patient=subset)
    write_split(folder / "split.csv", [{subset: subset for subset in N_PAIRS}], N_PAIRS)


def command(study: Config, data: Path, folder: Path) -> list[str]:
    """The command line of the one job."""
    job = Job(runs=study.study.expand(), network=study.study.networks["n"])
    words = ["--split", data / "split.csv", "--job", job.model_dump_json(), "--output", folder / "runs"]
    words += ["--finished", folder / "finished.sha256", "--settings", study.training.model_dump_json()]
    words += ["--evaluation", study.evaluation.model_dump_json()]
    return [sys.executable, "-m", "ctmar", "train-and-evaluate", str(data), *map(str, words)]


def measure(words: list[str]) -> tuple[float, float]:
    """Largest resident memory [10⁶ bytes] and processor time [s] of a command."""
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(words, stderr=told)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            told.seek(0)
            raise SystemExit(told.read().decode()[-2000:])
    return used.ru_maxrss * 1024 / 1e6, used.ru_utime + used.ru_stime


def expected(study: Config) -> tuple[float, float]:
    """The same by the model."""
    (run,) = study.study.expand()
    network = study.study.networks["n"]
    counts = {"n": count_network(network, study.training, study.study.group, study.ingest.image_size)}
    model = TrainingDemand(study, Site(), counts)
    return model.run_memory_mb(run), STARTING_SECONDS + model.run_seconds(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    print(f"{'job':20} {'MB':>7} {'model':>7} {'asked':>7} {'core-s':>7} {'model':>7} {'asked':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name in parser.parse_args().only:
            row = ROWS[name]
            data = Path(folder) / str(row.image_size)
            if not data.exists():
                write_data(data, row.image_size)
            megabytes, seconds = measure(command(row.study, data, Path(folder) / name))
            own_megabytes, own_seconds = expected(row.study)
            demand = asked(own_megabytes, own_seconds)
            memory = f"{megabytes:7.0f} {own_megabytes:7.0f} {demand.memory_mb:7}"
            print(f"{name:20} {memory} {seconds:7.1f} {own_seconds:7.1f} {60 * demand.minutes:7}", flush=True)


if __name__ == "__main__":
    main()
