"""A small network and its training."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctmar.config import Network, Run, RunSettings, Training
from ctmar.store.run_folder import RunFolder
from ctmar.training.loop import train

NETWORK = Network(settings={"fields": 2, "depth": 3})
TRAINING = Training(epochs=3, steps_per_epoch=4, batch_size=2, patch_size=16, validation_pairs=2, warmup_steps=2)


@pytest.fixture
def train_run(pair_files: tuple[Path, Path], tmp_path: Path) -> Callable[..., RunFolder]:
    """Train in the folder ``name``: ``train_run(name, run, training)``; returns the result files."""

    def run_it(name: str, run: Run, training: Training = TRAINING, **options: object) -> RunFolder:
        folder = RunFolder(tmp_path / name)
        train(*pair_files, RunSettings(run=run, network=NETWORK, training=training), folder, **options)
        return folder

    return run_it
