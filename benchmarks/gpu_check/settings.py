"""Networks, batches and training settings of the check: the size of the literature, and a small one for quick runs."""

from pathlib import Path
from typing import Any

from ctmar.config import Network, Run, Training
from ctmar.estimate.step_cost import representative_run
from ctmar.training.patches import Batch, PatchSampler

GROUP = "C4"
# the ACDNet of config/workstation.yaml: 9 fields × 4 channels, near the published size
ACDNET = {"n_maps": 4, "n_extra_channels": 35, "n_atoms": 44, "normalisation": "field"}
SMALL_ACDNET = {
    "n_stages": 1,
    "n_blocks": 1,
    "n_maps": 4,
    "n_extra_channels": 3,
    "n_atoms": 4,
    "normalisation": "field",
}
DNCNN = {"fields": 4, "depth": 6}  # of the default study


def acdnet(quick: bool) -> Network:
    """The network of the cost table."""
    return Network(architecture="acdnet", settings=SMALL_ACDNET if quick else ACDNET)


def dncnn() -> Network:
    """The small network of the default study."""
    return Network(architecture="dncnn", settings=DNCNN)


def training(device: str, quick: bool, **changes: Any) -> Training:
    """64² patches in batches of 32 with the published loss, or the smallest that still has every operation."""
    size = {"batch_size": 2, "patch_size": 32} if quick else {"batch_size": 32, "patch_size": 64}
    published: dict[str, Any] = {"loss": "stages", "learning_rate": 2e-4, "betas": (0.5, 0.999), "warmup_steps": 0}
    return Training(**({"device": device, "epochs": 1, "steps_per_epoch": 1000} | size | published | changes))


def real_batch(bundle: Path, chosen: Training, seed: int = 0) -> Batch:
    """Patches of the pairs in the bundle."""
    return PatchSampler(bundle / "pairs.h5", chosen.batch_size, chosen.patch_size, seed).batch(0)


def representative(method: str, norm: str = "none") -> Run:
    """A run of that method with weights that do not disturb the training."""
    return representative_run("n", method, norm)
