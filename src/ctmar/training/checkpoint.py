"""The checkpoint: what a killed run needs to go on as if nothing had happened.

Data order, positions, method draws and the learning rate are functions of the step (`random_streams`, `learning_rate`),
so the state of a run is its weights, Adam's moments, the penalty's buffers and the metrics so far.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ctmar.store.atomic import atomic_path


@dataclass(frozen=True)
class Checkpoint:
    """State after a whole number of epochs; ``identity`` says of which run."""

    identity: str
    network: dict[str, Any]
    optimiser: dict[str, Any]
    method: dict[str, Any]
    records: list[dict[str, Any]]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint; a kill at any moment leaves the old or the new file, whole."""
    with atomic_path(path) as temporary:
        torch.save(vars(checkpoint), temporary)


def load_checkpoint(path: Path, identity: str) -> Checkpoint | None:
    """Read the checkpoint of the run ``identity``.

    None where there is no file, the file belongs to other settings, data or code, or cannot be read: the run then
    starts from the beginning, which gives the same weights.
    """
    if not path.is_file():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint = Checkpoint(**values)
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError):
        return None
    return checkpoint if checkpoint.identity == identity else None
