"""A small network and its training."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctmar.config import Network, Run, Training
from ctmar.training.loop import TrainingFiles, train

NETWORK = Network(settings={"fields": 2, "depth": 3})
TRAINING = Training(epochs=3, steps_per_epoch=4, batch_size=2, patch_size=16, validation_pairs=2, warmup_steps=2)


@pytest.fixture
def train_run(pair_files: tuple[Path, Path], tmp_path: Path) -> Callable[..., TrainingFiles]:
    """Train in the folder ``name``: ``train_run(name, run, training)``; returns the result files."""

    def run_it(name: str, run: Run, training: Training = TRAINING, **options: object) -> TrainingFiles:
        folder = tmp_path / name
        names = ("weights.pt", "metrics.jsonl", "run.json", "checkpoint.pt")
        files = TrainingFiles(*(folder / file for file in names))
        train(*pair_files, run, NETWORK, training, 4, 1, files, **options)
        return files

    return run_it
