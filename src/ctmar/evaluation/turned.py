"""What a network makes of turned images: its defect at any angle, and its quality when the input is turned."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from ctmar.evaluation.columns import QUARTER_TURNS_DEG
from ctmar.evaluation.truth import Truth
from ctmar.models.predictor import IMAGES_AT_ONCE
from ctmar.models.scaling import network_input, to_per_cm
from ctmar.store.pairs import Pair
from equiproj.groups import CyclicGroup, FiniteGroup
from equiproj.representations.action import act

_QUARTER_TURNS = CyclicGroup(4)
_BICUBIC_REACH = 2  # pixels


class TurnedInputs:
    """What turning the input does to a network's output, collected pair by pair; every norm runs over all pairs.

    Args:
        network: maps (n, 3, h, h) to (n, 1, h, h): images on the network's scale, of which the second is x_LI, after
            linear interpolation, and a mask, turned without interpolation.
        group: the group of the study; quarter turns take its place where it has but one element.
        angles_deg: further angles, counter-clockwise.
    """

    def __init__(self, network: nn.Module, group: FiniteGroup, angles_deg: Sequence[float]) -> None:
        self._network = network
        self._group = group if group.order > 1 else _QUARTER_TURNS
        self._angles_deg = angles_deg
        self._squares: list[Tensor] = []
        self._psnr_db: list[list[float]] = []

    def add(self, inputs: Tensor, output: Tensor, truth: Truth) -> None:
        """Measure one pair.

        Args:
            inputs: what the network sees of it, shape (1, 3, h, h).
            output: what the network makes of that, shape (1, 1, h, h).
            truth: its artefact-free image.
        """
        groups = [_QUARTER_TURNS] if self._group == _QUARTER_TURNS else [_QUARTER_TURNS, self._group]
        elements = [(group, element) for group in groups for element in group.elements[1:]]
        moved = [act(inputs, element, group) for group, element in elements]
        outputs = self._outputs(moved + [_turn_inputs(inputs, angle) for angle in self._angles_deg])
        moved_back = [
            act(there, group.inverse(element), group)
            for there, (group, element) in zip(outputs[: len(elements)], elements, strict=True)
        ]
        quarters = [output, *moved_back[: len(QUARTER_TURNS_DEG) - 1]]
        self._psnr_db.append([truth.psnr(to_per_cm(image)[0]) for image in quarters])
        changes = [image - output for image in moved_back[1 - self._group.order :]]
        disc = inscribed_disc(output.shape[-1]).to(output)
        compared = zip(self._angles_deg, outputs[len(elements) :], strict=True)
        turned_back = [turn(there, -angle) for angle, found in compared for there in (found, turn(output, angle))]
        self._squares.append(
            _squares(
                [output, output - inputs[:, 1:2], *changes, output * disc]
                + [(image - output) * disc for image in turned_back]
            )
        )

    def measures(self) -> dict[str, Any]:
        """What was found, by its name in `ctmar.store.run_records.Measurements`.

        * ``defect_mean``, ``defect_max``: mean and maximum over g ≠ e of ‖f(g·x) − g·f(x)‖ / ‖f(x)‖;
        * ``defect_of_correction_mean``, ``defect_of_correction_max``: the same over ‖f(x) − x_LI‖, the size of what the
          network learned to add to its input;
        * ``defect_at_angles``: with R_a the turn by angle a (bicubic) ``‖R₋ₐ f(R_a x) − f(x)‖ / ‖f(x)‖`` inside the
          `inscribed_disc`, because corners leave the image;
        * ``defect_floor_at_angles``: ``‖R₋ₐ R_a f(x) − f(x)‖ / ‖f(x)‖``, the defect that the identity has there. A
          defect near its floor says that the network adds nothing to the error of interpolation;
        * ``psnr_turned_db``: mean PSNR (*fixed*) of the outputs turned back, by quarter turn; an equivariant network
          has four equal numbers.
        """
        norms = torch.stack(self._squares).sum(dim=0).sqrt().tolist()
        n_changes = self._group.order - 1
        output, correction, *changes = norms[: 2 + n_changes]
        in_disc, *at_angles = norms[2 + n_changes :]
        mean, largest = math.fsum(changes) / n_changes, max(changes)
        names = [f"{angle:g}" for angle in self._angles_deg]
        of_all_pairs = zip(*self._psnr_db, strict=True)
        return {
            "defect_mean": _ratio(mean, output),
            "defect_max": _ratio(largest, output),
            "defect_of_correction_mean": _ratio(mean, correction),
            "defect_of_correction_max": _ratio(largest, correction),
            "defect_pairs": len(self._squares),
            "defect_at_angles": {name: _ratio(at_angles[2 * k], in_disc) for k, name in enumerate(names)},
            "defect_floor_at_angles": {name: _ratio(at_angles[2 * k + 1], in_disc) for k, name in enumerate(names)},
            "psnr_turned_db": {
                str(angle): math.fsum(found) / len(found)
                for angle, found in zip(QUARTER_TURNS_DEG, of_all_pairs, strict=True)
            },
        }

    def _outputs(self, inputs: list[Tensor]) -> list[Tensor]:
        batches = torch.cat(inputs).split(IMAGES_AT_ONCE[inputs[0].device.type])
        return list(torch.cat([self._network(batch) for batch in batches]).split(1))


def quarter_turned_back(network: nn.Module, inputs: Tensor) -> Tensor:
    """What a network makes of an input turned by one, two and three quarters, each turned back.

    Args:
        network: maps (1, 3, h, h) to (1, 1, h, h).
        inputs: shape (1, 3, h, h).

    Returns:
        Shape (3, 1, h, h); an equivariant network gives its output for the upright input three times.

    Examples:
        >>> image = torch.arange(12.0).reshape(1, 3, 2, 2)
        >>> bool((quarter_turned_back(lambda x: x[:, :1].square(), image) == image[:, :1].square()).all())
        True
    """
    group = _QUARTER_TURNS
    return torch.cat(
        [act(network(act(inputs, turn, group)), group.inverse(turn), group) for turn in group.elements[1:]]
    )


def _squares(images: list[Tensor]) -> Tensor:
    return torch.stack([image.double().square().sum() for image in images])


def _ratio(change: float, size: float) -> float:
    """No change is none, whatever it is measured by."""
    if change == 0:
        return 0.0
    return change / size if size > 0 else math.inf


def _turn_inputs(inputs: Tensor, angle_deg: float) -> Tensor:
    return torch.cat([turn(inputs[:, :-1], angle_deg), turn(inputs[:, -1:], angle_deg, "nearest")], dim=1)


def turn(images: Tensor, angle_deg: float, mode: str = "bicubic") -> Tensor:
    """Turn images (n, c, h, h) counter-clockwise about their centre; what comes from outside is 0.

    Examples:
        >>> images = torch.arange(9.0).reshape(1, 1, 3, 3)
        >>> torch.allclose(turn(images, 90), torch.rot90(images, 1, (-2, -1)), atol=1e-5)
        True
    """
    grid = _places(angle_deg, images.shape[-1], images.dtype, images.device).expand(len(images), -1, -1, -1)
    return grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


@lru_cache(maxsize=16)
def _places(angle_deg: float, side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Where each pixel of a turned image comes from, shape (1, side, side, 2)."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    # rows run downwards, so the inverse turn of (column, row) has the signs of a turn
    matrix = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]], dtype=dtype, device=device)
    return affine_grid(matrix[None], [1, 1, side, side], align_corners=False)


def inscribed_disc(side: int) -> Tensor:
    """1 at pixels of the largest disc in a square image that interpolation fills from inside, else 0, (side, side)."""
    position = torch.arange(side) - (side - 1) / 2
    return (position[:, None] ** 2 + position**2 <= (side / 2 - _BICUBIC_REACH) ** 2).float()


def pair_input(pair: Pair) -> Tensor:
    """What a network sees of one pair, shape (1, 3, h, w)."""
    return network_input(pair.ma_CT[None], pair.LI_CT[None], pair.mask[None])
