"""Losses against their formulas, and parts of a batch against the whole."""

import pytest
import torch
from torch.nn.functional import mse_loss

from ctmar.config import Training
from ctmar.training.losses import masked_mean_square, stage_loss
from ctmar.training.patches import Batch

TRAINING = Training(loss="stages", loss_image_l1=3e-4, loss_artefact_l1=7e-4)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(3, 1, 5, 4, generator=generator) > 0.8).float()
    images = torch.rand(3, 3, 5, 4, generator=generator) * 2
    return Batch(torch.cat([images[:, :2], mask], 1), images[:, 2:], 1 - mask)


def stages(batch: Batch, n: int, seed: int) -> list[tuple[float, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [(0.1 + 0.3 * k, torch.rand(batch.target.shape, generator=generator)) for k in range(n)]


def published(images, artefacts, batch: Batch) -> float:
    """The loss as the papers' code computes it: attenuation clamped at 1/cm times 255, mask 1 outside metal."""
    to_255 = 255 / 2  # the networks' scale ends at 2
    mask, gt, ma = batch.outside_metal, batch.target * to_255, batch.inputs[:, :1] * to_255
    l2 = sum(weight * mse_loss(image * to_255 * mask, gt * mask) for weight, image in images)
    l1 = sum(weight * (image * to_255 * mask - gt * mask).abs().sum() for weight, image in images)
    artefact = sum(weight * (image * to_255 * mask - mask * (ma - gt)).abs().sum() for weight, image in artefacts)
    return float(l2 + 3e-4 * l1 + 7e-4 * artefact)


def test_stages_are_the_published_loss(batch):
    images, artefacts = stages(batch, 3, 1), stages(batch, 2, 2)
    found = stage_loss(images, artefacts, batch, TRAINING).item()
    assert found == pytest.approx(published(images, artefacts, batch), rel=1e-5)
    assert found > 100


def test_stages_closed_form(batch):
    # one image that is 1/127.5 too bright at n pixels outside metal of N: n/N + λ n; metal does not count
    n, total = float(batch.outside_metal.sum()), batch.target.numel()
    wrong = batch.target + 1 / 127.5 + 50 * (1 - batch.outside_metal)
    found = stage_loss([(2.0, wrong)], [], batch, TRAINING).item()
    assert found == pytest.approx(2 * (n / total + 3e-4 * n), rel=1e-4)


def test_stages_vanish_at_the_truth(batch):
    truth = [(0.1, batch.target)] * 3
    assert stage_loss(truth, [(1.0, batch.inputs[:, :1] - batch.target)], batch, TRAINING).item() == 0


def test_parts_add_up_to_the_whole(batch):
    images, artefacts = stages(batch, 3, 1), stages(batch, 2, 2)
    whole = stage_loss(images, artefacts, batch, TRAINING).item()
    cuts = zip(batch.split(2), (slice(0, 2), slice(2, 3)), strict=True)
    parts = [
        stage_loss(
            [(w, x[rows]) for w, x in images], [(w, x[rows]) for w, x in artefacts], part, TRAINING, len(part) / 3
        ).item()
        for part, rows in cuts
    ]
    assert sum(parts) == pytest.approx(whole, rel=1e-6)


def test_a_batch_of_metal_alone_is_no_division_by_zero(batch):
    metal = Batch(batch.inputs, batch.target, torch.zeros_like(batch.outside_metal))
    assert masked_mean_square(batch.target + 1, metal).item() == 0
