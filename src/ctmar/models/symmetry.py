"""The group of a study: by its name or by import path, checked to act on images."""

import torch

from ctmar.config.own_code import is_import_path, load_object
from ctmar.errors import InputError
from equiproj.baselines.augmentation import check_image_batches
from equiproj.groups import FiniteGroup, parse_group
from equiproj.representations.action import pixel_move
from equiproj.testing import assert_group

KEY = "study.group"


def study_group(name: str) -> FiniteGroup:
    """The group that a configuration names.

    Args:
        name: ``C<n>``, ``D<n>``, a product such as ``C2 x D1``, or ``module:name`` of a finite group or of a class of
            one that needs no arguments.

    Raises:
        InputError: there is no such group, it is none, or it moves pixels of a square image between pixels.

    Examples:
        >>> study_group("D4").order
        8
    """
    try:
        group = _own_group(name) if is_import_path(name) else parse_group(name)
        # what turns images would find out in its first step, and the table of layers after the last one
        for element in group.elements:
            pixel_move(element, group, 2)
        check_image_batches((torch.empty(1, 1, 2, 2),), group)
    except ValueError as error:
        raise InputError(f"{KEY}: {error}") from None
    return group


def _own_group(name: str) -> FiniteGroup:
    found = load_object(name, KEY)
    try:
        group = found() if isinstance(found, type) else found
        if not isinstance(group, FiniteGroup):
            raise InputError(
                f"{KEY}: expected an equiproj.groups.FiniteGroup for '{name}', found {type(group).__name__}"
            )
        hash(group)
        assert_group(group, n_axes=2)
    except InputError:
        raise
    except Exception as error:  # somebody's own code can raise anything
        text = " ".join(str(error).split())
        raise InputError(f"{KEY}: '{name}' is no group that acts on images: {text}") from None
    return group
