"""The scale on which networks see attenuation, shared by training and evaluation.

Networks work on ``x = clamp(μ, 0, 1 cm⁻¹) / 0.5 cm⁻¹``, from 0 to 2. The published networks are trained on images up to
1 cm⁻¹, which keeps dense bone. The metric protocol *fixed* (ctmar.evaluation.metrics) goes on to clamp at 0.5 cm⁻¹,
where x is 1, so that a squared error of the network is the squared error of that protocol wherever both images stay
below.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RANGE_PER_CM = 0.5  # where x is 1, and the upper end of the metrics
LARGEST_PER_CM = 1.0  # what networks see at most


def to_network_scale(attenuation_per_cm: Tensor) -> Tensor:
    """Clamp attenuation to [0, 1] 1/cm and divide by 0.5 1/cm.

    Examples:
        >>> to_network_scale(torch.tensor([-0.1, 0.25, 0.9, 3.0]))
        tensor([0.0000, 0.5000, 1.8000, 2.0000])
    """
    return attenuation_per_cm.clamp(0, LARGEST_PER_CM) / RANGE_PER_CM


def network_input(ma_CT: NDArray[np.float32], LI_CT: NDArray[np.float32], mask: NDArray[np.uint8]) -> Tensor:
    """Stack what a network sees.

    Args:
        ma_CT: images with metal artefacts, 1/cm, shape (n, h, w).
        LI_CT: images after linear interpolation over the metal trace, 1/cm, shape (n, h, w).
        mask: 1 where there is metal, shape (n, h, w).

    Returns:
        Shape (n, 3, h, w), float32: both images on the network's scale, and the mask.
    """
    images = [to_network_scale(torch.from_numpy(image)) for image in (ma_CT, LI_CT)]
    return torch.stack([*images, torch.from_numpy(mask).float()], dim=1)


def network_target(image: NDArray[np.float32]) -> Tensor:
    """The artefact-free images (n, h, w), 1/cm, on the network's scale, shape (n, 1, h, w)."""
    return to_network_scale(torch.from_numpy(image)).unsqueeze(1)


def to_per_cm(output: Tensor) -> NDArray[np.float32]:
    """Bring a network's output (n, 1, h, w) back to attenuation in 1/cm, shape (n, h, w)."""
    return (output.squeeze(1) * RANGE_PER_CM).cpu().numpy()
