"""Group augmentation: the same random element for all that belongs to a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from equiproj.groups import FiniteGroup
from equiproj.representations.action import act, pixel_move, send


def random_group_transform(*batches: Tensor, group: FiniteGroup, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Augment image batches: sample b of every batch is moved by the same random element g_b.

    Elements are drawn uniformly, one per sample; channels stay as they are.

    Args:
        batches: inputs, targets, masks, … of the same batch size, ``(batch, channels, *pixels)``.
        group: a group that maps the images onto themselves, such as C_4 or D_4 for square ones.
        generator: source of randomness, on the CPU.

    Raises:
        ValueError: if batch sizes differ, there are no pixel axes, or the group does not preserve the grid.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> images = torch.arange(8.0).reshape(2, 1, 2, 2)
        >>> seed = torch.Generator().manual_seed(1)
        >>> inputs, targets = random_group_transform(images, 2 * images, group=CyclicGroup(4), generator=seed)
        >>> torch.equal(targets, 2 * inputs)
        True
    """
    n_samples = check_image_batches(batches, group)
    drawn = torch.tensor([group.index(g) for g in group.sample(n_samples, generator)])
    # samples of one element side by side, so that the device needs two lists of places and no answer
    order = drawn.argsort(stable=True)
    places, counts = torch.stack([order, order.argsort()]), drawn.bincount(minlength=group.order).tolist()
    # channels side by side are moved at once
    alike = len({(batch.dtype, batch.device, batch.shape[2:]) for batch in batches}) == 1
    moved = []
    for batch in [torch.cat(batches, dim=1)] if alike else batches:
        there, back = send(places, batch.device)
        pieces = batch[there].split(counts)
        turned = [act(piece, g, group) for piece, g in zip(pieces, group.elements, strict=True) if len(piece)]
        moved.append(torch.cat(turned)[back])
    return moved[0].split([batch.shape[1] for batch in batches], dim=1) if alike else tuple(moved)


def check_image_batches(batches: tuple[Tensor, ...], group: FiniteGroup) -> int:
    """Batch size of image batches that belong together and can be turned in place.

    Raises:
        ValueError: if there are none, one has no pixel axes, sizes differ, or the group changes their shape.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> check_image_batches((torch.zeros(3, 1, 4, 4), torch.zeros(3, 2, 4, 4)), CyclicGroup(4))
        3
    """
    shapes = [tuple(batch.shape) for batch in batches]
    if not shapes or any(len(shape) < 3 for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"expected image batches (batch, channels, *pixels) of one batch size, found {shapes}")
    for shape in set(shapes):
        pixels = list(shape[2:])
        for g in group.generators:
            # the axes are asked, not a tensor without storage: flipping one of those imports all of sympy
            order, _ = pixel_move(g, group, len(pixels))
            if [pixels[axis] for axis in order] != pixels:
                raise ValueError(f"expected images that {group} maps onto themselves, found shape {shape}")
    return shapes[0][0]
