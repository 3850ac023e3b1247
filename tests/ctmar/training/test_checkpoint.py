"""Checkpoints come back as they were, for their own run only, and hold no code."""

import pickle
from pathlib import Path

import pytest
import torch

from ctmar.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

CHECKPOINT = Checkpoint(
    identity="me",
    step=7,
    network={"w": torch.ones(2)},
    optimiser={"state": {0: {"step": torch.tensor(3.0)}}},
    scaler={"scale": 1024.0},
    method={},
    average={"w": torch.zeros(2)},
    best={"epoch": 1, "psnr": 31.5, "weights": {"w": torch.ones(2)}},
    epoch={"losses": [0.5], "penalties": [0.0], "seconds": [0.1]},
    records=[{"epoch": 1}],
    layers=[{"epoch": 0, "norms": {"w": (1.0, 0.0)}}],
)


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_comes_back_as_it_was(tmp_path):
    save_checkpoint(tmp_path / "c.pt", CHECKPOINT)
    found = load_checkpoint(tmp_path / "c.pt", "me")
    assert torch.equal(found.network["w"], CHECKPOINT.network["w"])
    assert torch.equal(found.best["weights"]["w"], torch.ones(2))
    for name in ("identity", "step", "optimiser", "scaler", "epoch", "records", "layers"):
        assert getattr(found, name) == getattr(CHECKPOINT, name)
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_of_another_run_is_left_alone(tmp_path):
    save_checkpoint(tmp_path / "c.pt", CHECKPOINT)
    assert load_checkpoint(tmp_path / "c.pt", "somebody else") is None


def test_missing_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "c.pt", "me") is None


@pytest.mark.parametrize("n_bytes", [0, 1, 100, 1000])
def test_cut_off_is_none(tmp_path, n_bytes):
    save_checkpoint(tmp_path / "c.pt", CHECKPOINT)
    whole = (tmp_path / "c.pt").read_bytes()
    (tmp_path / "c.pt").write_bytes(whole[:n_bytes])
    assert len(whole) > 1000
    assert load_checkpoint(tmp_path / "c.pt", "me") is None


@pytest.mark.parametrize("content", [b"hello", b"hello\n", b"{}", b"\x93NUMPY", b"PK\x03\x04", bytes(range(256))])
def test_a_foreign_file_is_none(tmp_path, content):
    (tmp_path / "c.pt").write_bytes(content)
    assert load_checkpoint(tmp_path / "c.pt", "me") is None


def test_code_in_a_file_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"identity": "me", "network": Payload(marker)}, tmp_path / "c.pt")
    assert load_checkpoint(tmp_path / "c.pt", "me") is None
    (tmp_path / "c.pt").write_bytes(pickle.dumps(Payload(marker), protocol=2))
    assert load_checkpoint(tmp_path / "c.pt", "me") is None
    assert not marker.exists()
