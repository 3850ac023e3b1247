"""Small pair files whose artefacts a network can learn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctmar.config import Network, Run, Training
from ctmar.store.pairs import PairRecord, SliceRecord, write_pairs
from ctmar.training.loop import TrainingFiles, train

SIZE = 32
NETWORK = Network(settings={"fields": 2, "depth": 3})
TRAINING = Training(epochs=3, steps_per_epoch=4, batch_size=2, patch_size=16, validation_pairs=2, warmup_steps=2)


@pytest.fixture(scope="session")
def write_pair_file() -> Callable[..., Path]:
    """Write ``n_slices`` smooth slices, each with ``n_masks`` discs of metal and streaks that depend on the disc."""

    def write(path: Path, seed: int = 0, n_slices: int = 3, n_masks: int = 2) -> Path:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:SIZE, :SIZE]
        slices, pairs = [], []
        for k in range(n_slices):
            image = gaussian_filter(random.random((SIZE, SIZE)), 2).astype(np.float32) * 0.4
            slices.append(SliceRecord(image, image, f"patient-{k}", f"patient-{k}/1/{k:04d}", 3.0))
            for mask_index in range(n_masks):
                row, column = random.integers(8, SIZE - 8, size=2)
                mask = ((y - row) ** 2 + (x - column) ** 2 < (2 + mask_index) ** 2).astype(np.uint8)
                streaks = 0.05 * np.cos(y - row) * np.exp(-(((x - column) / 8) ** 2))
                ma_CT, LI_CT = (image + factor * streaks.astype(np.float32) for factor in (2, 1))
                pairs.append(PairRecord(ma_CT, LI_CT, mask, k, mask_index))
        write_pairs(path, slices, pairs, "train", {"seed": seed})
        return path

    return write


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory: pytest.TempPathFactory, write_pair_file: Callable[..., Path]) -> tuple[Path, Path]:
    """Pair files to train and to validate on."""
    folder = tmp_path_factory.mktemp("pairs")
    return write_pair_file(folder / "train.h5", seed=0), write_pair_file(folder / "validation.h5", seed=1)


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
