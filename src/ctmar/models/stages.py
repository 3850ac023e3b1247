"""What the unrolled networks share: their scale, and the intermediate results that the published loss weighs."""

from typing import NamedTuple

from torch import Tensor

# The published networks see 255 times attenuation in 1/cm, ours see 2 times attenuation in 1/cm.
PUBLISHED_SCALE = 127.5
STAGE_WEIGHT = 0.1
LAST_WEIGHT = 1.0

Weighted = list[tuple[float, Tensor]]


class StageOutputs(NamedTuple):
    """Everything that the published loss of an unrolled network looks at.

    Args:
        image: the network's output (n, 1, h, w), network scale.
        images: weight in the loss and image of X₀, of every stage, and of the last refinement.
        artefacts: weight in the loss and artefact image of every stage; the last one counts 1 more.
    """

    image: Tensor
    images: Weighted
    artefacts: Weighted


class ScannedImages(NamedTuple):
    """What a network is given, on the published scale, each (n, 1, h, w)."""

    corrupted: Tensor
    interpolated: Tensor
    outside_metal: Tensor


def on_published_scale(images: Tensor) -> ScannedImages:
    """Take (ma, LI, mask) of shape (n, 3, h, w) on the network scale apart; the mask turns to 1 outside metal."""
    return ScannedImages(images[:, :1] * PUBLISHED_SCALE, images[:, 1:2] * PUBLISHED_SCALE, 1 - images[:, 2:3])


def collect(image: Tensor, images: Weighted, artefacts: Weighted) -> StageOutputs:
    """Bring stages back to the network scale; ``image`` is the last refinement and gets the last weight."""
    images = [*images, (LAST_WEIGHT, image)]
    weight, artefact = artefacts[-1]
    artefacts = [*artefacts[:-1], (weight + LAST_WEIGHT, artefact)]
    scaled = [[(w, x / PUBLISHED_SCALE) for w, x in part] for part in (images, artefacts)]
    return StageOutputs(scaled[0][-1][1], *scaled)


def image_step(image: Tensor, artefact: Tensor, measured: ScannedImages, step_size: Tensor) -> Tensor:
    r"""Gradient step of the image towards :math:`Y - A` outside metal, X + (η/10) I ⊙ (Y − A − X)."""
    return image + step_size / 10 * measured.outside_metal * (measured.corrupted - artefact - image)
