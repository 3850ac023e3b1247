"""What a network makes of turned images: its defect at any angle, and its quality when the input is turned."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from ctmar.evaluation.columns import QUARTER_TURNS_DEG
from ctmar.evaluation.metrics import psnr_fixed
from ctmar.models.scaling import network_input, to_per_cm
from ctmar.store.pairs import Pair

_BICUBIC_REACH = 2  # pixels


def defects_at_angles(network: nn.Module, images: Tensor, angles_deg: Sequence[float]) -> dict[str, dict[str, float]]:
    """The measured defect at turns that are not multiples of 90°, beside what interpolation alone would show.

    With R_a the turn by angle a (bicubic), ``‖R₋ₐ f(R_a x) − f(x)‖ / ‖f(x)‖`` and the floor
    ``‖R₋ₐ R_a f(x) − f(x)‖ / ‖f(x)‖``: the defect that the identity has on the same images. Norms run over the whole
    batch, inside the `inscribed_disc`, because corners leave the image. A defect near its floor says that the network
    adds nothing to the error of interpolation; at 90° the floor is zero.

    Args:
        network: maps (n, 3, h, h) to (n, 1, h, h); its last input channel is a mask, turned without interpolation.
        images: what the network sees.
        angles_deg: angles, counter-clockwise.

    Returns:
        ``defect_at_angles`` and ``defect_floor_at_angles``, each by angle.
    """
    output = network(images)
    disc = inscribed_disc(output.shape[-1]).to(output)
    size = torch.linalg.vector_norm(output * disc)
    found: dict[str, dict[str, float]] = {"defect_at_angles": {}, "defect_floor_at_angles": {}}
    for angle in angles_deg:
        turned = torch.cat([turn(images[:, :-1], angle), turn(images[:, -1:], angle, "nearest")], dim=1)
        for name, there in (("defect_at_angles", network(turned)), ("defect_floor_at_angles", turn(output, angle))):
            change = (turn(there, -angle) - output) * disc
            found[name][f"{angle:g}"] = (torch.linalg.vector_norm(change) / size).item()
    return found


def psnr_of_turned(network: nn.Module, pairs: Sequence[Pair]) -> dict[str, float]:
    """Mean PSNR (*fixed*) in dB when the input is turned by 0, 90, 180 and 270° and the output turned back.

    Args:
        network: maps (1, 3, h, h) on the network's scale to (1, 1, h, h).
        pairs: pairs with images in 1/cm.

    Returns:
        By angle in degrees; an equivariant network has four equal numbers.
    """
    total = dict.fromkeys(QUARTER_TURNS_DEG, 0.0)
    for pair in pairs:
        images = pair_input(pair).to(next(network.parameters()).device)
        for angle in QUARTER_TURNS_DEG:
            output = network(torch.rot90(images, angle // 90, (-2, -1)))
            prediction = to_per_cm(torch.rot90(output, -(angle // 90), (-2, -1)))[0]
            total[angle] += psnr_fixed(prediction, pair.image, pair.mask)
    return {str(angle): value / len(pairs) for angle, value in total.items()}


def turn(images: Tensor, angle_deg: float, mode: str = "bicubic") -> Tensor:
    """Turn images (n, c, h, h) counter-clockwise about their centre; what comes from outside is 0.

    Examples:
        >>> images = torch.arange(9.0).reshape(1, 1, 3, 3)
        >>> torch.allclose(turn(images, 90), torch.rot90(images, 1, (-2, -1)), atol=1e-5)
        True
    """
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    # rows run downwards, so the inverse turn of (column, row) has the signs of a turn
    matrix = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]], dtype=images.dtype, device=images.device)
    grid = affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def inscribed_disc(side: int) -> Tensor:
    """1 at pixels of the largest disc in a square image that interpolation fills from inside, else 0, (side, side)."""
    position = torch.arange(side) - (side - 1) / 2
    return (position[:, None] ** 2 + position**2 <= (side / 2 - _BICUBIC_REACH) ** 2).float()


def pair_input(pair: Pair) -> Tensor:
    """What a network sees of one pair, shape (1, 3, h, w)."""
    return network_input(pair.ma_CT[None], pair.LI_CT[None], pair.mask[None])
